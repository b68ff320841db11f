//! Rule: the near cache gives what a server has told this node, neither too late nor after a change by the node.
//!
//! A read that no server has answered gives exactly what some server has answered to a read of that key by any
//! worker. That answer is at most `near_expire` old; `near_stale` may be added, if the read's own server could not
//! be asked. And no operation of the node that may change the item has ended between that answer and this
//! read, however it has ended. What another node changes, and what arrives at a server after its operation has
//! ended, is seen when the time is over.

use internals::simulation::Source;
use kamailio_memcached::internals;

use crate::history::{Answer, Operation, Served, What};
use crate::world::{MILLI, State};

/// Reads that should not have had what they had.
pub fn check(state: &State) -> Vec<String> {
    let reads = state.history.operations.iter().enumerate();
    let found = reads.filter_map(|(number, read)| {
        let words = fault(state, read)?;
        Some(format!("Get {}: operation {number} {words}", read.key))
    });
    found.collect()
}

/// Whether the server of this read could not be asked, and the near cache has answered.
pub fn is_over(operation: &Operation) -> bool {
    operation.what == What::Get && matches!(operation.answer, Answer::Stale(_))
}

/// Whether the near cache has answered this operation.
pub fn has_answered(operation: &Operation) -> bool {
    operation.source == Source::Near || is_over(operation)
}

fn fault(state: &State, read: &Operation) -> Option<String> {
    let (value, limit) = match &read.answer {
        Answer::Stale(_) | Answer::Hit(_) if !has_answered(read) => return None,
        Answer::Stale(_) if state.setup.near_stale == 0 => {
            return Some("has had an item that was over".into());
        }
        Answer::Stale(value) => (value, state.setup.near_expire + state.setup.near_stale),
        Answer::Hit(value) => (value, state.setup.near_expire),
        _ => return None,
    };
    if state.setup.near_size == 0 {
        return Some(format!("has had {value} without a near cache"));
    }
    if matches!(read.answer, Answer::Hit(_)) && read.asked.is_some() {
        return Some(format!("has asked a server, but has had {value} near"));
    }
    // The clock of the node does not go on while it stands still.
    let limit = limit + state.lag + state.setup.slack();
    let served = &state.history.served;
    let oldest = first_at(state, read.began.saturating_sub(limit)).max(changed(state, read));
    let mut recent = served[oldest..]
        .iter()
        .take_while(|served| Some(served.at) <= read.ended);
    let is_source = |served: &&Served| {
        matches!(served.command.verb(), b"get" | b"gets" | b"mg")
            && served.command.key() == read.key.as_bytes()
            // memcached leaves blanks behind a number that has become shorter.
            && served.value().map(str::trim_end) == Some(value)
    };
    (!recent.any(|served| is_source(&served))).then(|| {
        let since = served.get(oldest).map_or(read.began, |served| served.at);
        let since = since as f64 / MILLI as f64;
        format!("has had {value:.20}, which no server has told since {since:.3} ms")
    })
}

/// The first answer of a server after this node has changed the item for the last time before that read.
fn changed(state: &State, read: &Operation) -> usize {
    let operations = state.history.operations.iter();
    let changes = operations.filter(|it| {
        let is_read = it.what.is_read() || it.what == What::Lease;
        !is_read && it.key == read.key && it.ended.is_some_and(|ended| ended < read.began)
    });
    let done = changes.map(|change| {
        let done = match change.answer {
            Answer::Sent => sent(state, change, read),
            _ => own_answers(state, change).last(),
        };
        let begun = || first_at(state, change.began);
        done.map_or_else(begun, |at| at + 1)
    });
    done.max().unwrap_or_default()
}

/// The first answer of a server at that moment or later.
fn first_at(state: &State, moment: u64) -> usize {
    let served = &state.history.served;
    served.partition_point(|served| served.at < moment)
}

/// When a server has executed the deferred write, if that was within its time and before the read.
fn sent(state: &State, write: &Operation, read: &Operation) -> Option<usize> {
    let limit = (write.began + state.setup.shortest_timeout()).min(read.began);
    // What is executed after the next such write of the process may be that one.
    let mut next = state.history.operations.iter();
    let next = next.find(|it| {
        it.process == write.process
            && it.began > write.began
            && it.key == write.key
            && it.what == write.what
    });
    let limit = next.map_or(limit, |next| next.began.min(limit));
    let verb: &[u8] = match write.what {
        What::Delete => b"delete",
        What::Touch => b"touch",
        _ => b"set",
    };
    let served = state.history.served.iter().enumerate();
    let later = served.skip(first_at(state, write.began));
    let mut later = later.take_while(|(_, it)| it.at < limit);
    let found = later.find(|(_, it)| {
        it.process == write.process
            && it.command.key() == write.key.as_bytes()
            && it.command.verb() == verb
    });
    found.map(|(at, _)| at)
}

/// What servers have answered to the operation's commands about its key while it was under way.
fn own_answers(state: &State, operation: &Operation) -> impl Iterator<Item = usize> {
    let served = state.history.served.iter().enumerate();
    let during = served.skip(first_at(state, operation.from));
    let during =
        during.take_while(|(_, served)| operation.ended.is_none_or(|ended| served.at <= ended));
    let own = during.filter(|(_, served)| {
        served.process == operation.process && served.command.key() == operation.key.as_bytes()
    });
    own.map(|(at, _)| at)
}
