//! Rule: no value comes back that was replaced.
//!
//! A read that began (or was asked ahead) after a write or a delete was acknowledged never gives a value that was written before
//! that write or delete began. What the configuration does not promise is left out:
//!
//! * `rejoin=keep` promises nothing of values that different servers hold.
//! * With `rejoin=flush`, a server that is back, or was in trouble for a moment, gives no value that was
//!   replaced at a stand-in meanwhile. What a stand-in holds stays there after the return of the owner, and
//!   may be read at the next outage: so only servers that come before the stand-in in the order of the key are
//!   bound.
//! * `failover=2` with `modula` moves keys of servers that are well, too, and back again. It promises nothing.
//! * With `replicas` and `miss_failover`, a server that is lost while a write to its item is under way at another copy may
//!   get back what that copy had.
//! * An operator who puts a server back, or replaces the list, says that its items are right.
//! * A write that is not acknowledged, or was repeated on a second connection, may be done by a copy that is
//!   still under way. It replaces what was written meanwhile.
//!
//! With `miss_failover=-1` and `rejoin=flush`, what comes over to its owner was not replaced there.
//!
//! And with `rejoin=flush`, a server that was out of service gives no value from before.

use crate::history::{Answer, Operation, Served, What, number_of};
use crate::world::State;

use super::growth;

/// Reads of values that were replaced.
pub fn check(state: &State) -> Vec<String> {
    let reads = state.history.operations.iter().enumerate();
    let hits = reads.filter_map(|(number, read)| {
        let value = read.answer.value()?;
        Some((number, read, number_of(value.as_bytes())?))
    });
    let found = hits.flat_map(|(number, read, writer)| {
        let Some(served) = source(state, read, writer) else {
            return vec![];
        };
        let replaced = replacement(state, read, writer, served);
        let stale = survivor(state, read, writer, served);
        let words = replaced.into_iter().chain(stale);
        words
            .map(|words| {
                format!(
                    "{:?} {}: operation {number} has read what operation {writer} wrote, {words}",
                    read.what, read.key
                )
            })
            .collect()
    });
    found.collect()
}

/// The server's answer that the read is: of several, the last one, since those before were lost.
fn source<'a>(state: &'a State, read: &Operation, writer: usize) -> Option<&'a Served> {
    let served = &state.history.served;
    let first = served.partition_point(|served| served.at < read.from);
    let during = served[first..]
        .iter()
        .take_while(|served| Some(served.at) <= read.ended);
    let mark = format!("\r\nv{writer}.");
    let answers = during.filter(|served| {
        served.process == read.process
            && matches!(served.command.verb(), b"get" | b"gets" | b"mg")
            && served.command.key() == read.key.as_bytes()
            && has(&served.reply, mark.as_bytes())
    });
    answers.last()
}

/// Whether the mark, which begins with the end of a line, stands in a reply.
fn has(reply: &[u8], mark: &[u8]) -> bool {
    let mut ends = reply
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == mark[0]);
    ends.any(|(at, _)| reply[at..].starts_with(mark))
}

/// What has replaced the value before the read began.
fn replacement(state: &State, read: &Operation, writer: usize, served: &Served) -> Option<String> {
    let (history, server) = (&state.history, served.server);
    let old = &history.operations[writer];
    let later = history.operations.iter().enumerate().skip(writer + 1);
    let mut later = later.filter(|(_, it)| {
        let acknowledged = match it.what {
            What::Set | What::Cas | What::Fulfil => it.answer == Answer::Stored,
            What::Delete => matches!(it.answer, Answer::Deleted | Answer::Miss),
            // The old value is given, but to those who ask for a lease not as a new one where the server can
            // tell.
            What::Invalidate if it.answer == Answer::Touched => {
                let is_told = served.command.verb() == b"mg" && read.what == What::Lease;
                is_told && matches!(read.answer, Answer::Hit(_))
            }
            // One copy may have removed it, and another one keeps it as out of date.
            What::Invalidate if state.setup.replicas > 1 => false,
            // A stand-in had nothing, and a copy on its way has marked it after all.
            What::Invalidate if served.is_stale() => false,
            What::Invalidate => matches!(it.answer, Answer::Deleted | Answer::Miss),
            _ => false,
        };
        acknowledged && it.key == old.key && it.ended.is_some_and(|ended| ended < read.from)
    });
    later.find_map(|(number, new)| {
        // The old write, or a copy of it, was done later.
        let is_late = old.ended.is_none_or(|ended| ended >= new.began);
        if is_late || old.last_executed >= new.began || is_coming(state, writer, new, served) {
            return None;
        }
        let done = done(state, number, new)?;
        if is_lost_meanwhile(state, done, new) {
            return None;
        }
        let at = done.server;
        if state.setup.grows() {
            return growth::is_bound(state, new, done, served)
                .then(|| replaced(number, server, at));
        }
        let is_bound = match at == server {
            true => !comes_back(state, old, writer, done, served),
            false => {
                is_promised(state, old, &read.key, server, at)
                    || comes_over(state, read, served)
                        && is_removed_elsewhere(state, old, &read.key, at)
            }
        };
        is_bound.then(|| replaced(number, server, at))
    })
}

fn replaced(number: usize, read_at: usize, at: usize) -> String {
    format!("from server {read_at}, although operation {number} had replaced it at server {at}")
}

/// The server's answer by which a write or a delete is acknowledged.
fn done<'a>(state: &'a State, number: usize, operation: &Operation) -> Option<&'a Served> {
    let ended = operation.ended?;
    let mut during = state
        .history
        .served
        .iter()
        .rev()
        .skip_while(|served| served.at > ended);
    during.find(|served| {
        served.process == operation.process
            && served.command.key() == operation.key.as_bytes()
            && match operation.what {
                What::Set | What::Cas | What::Fulfil => {
                    number_of(served.command.value()) == Some(number)
                }
                What::Delete => served.command.verb() == b"delete",
                _ => matches!(served.command.verb(), b"delete" | b"md"),
            }
    })
}

/// Whether the server of that answer was in trouble before the operation ended: while another copy was still waited for,
/// it may have lost what it had stored, and got back what that copy had.
fn is_lost_meanwhile(state: &State, done: &Served, operation: &Operation) -> bool {
    let mut troubles = state.history.troubles.iter();
    let gets_back = state.setup.replicas > 1 && state.setup.miss_failover != 0;
    gets_back
        && troubles.any(|&(from, to, server)| {
            server == done.server && to >= done.at && Some(from) <= operation.ended
        })
}

/// Whether the configuration promises that what was replaced at one server is not read at another.
fn is_promised(
    state: &State,
    old: &Operation,
    key: &str,
    read_at: usize,
    replaced_at: usize,
) -> bool {
    let order = state.history.orders.iter().find(|(known, _)| known == key);
    let place = |server| order.and_then(|(_, order)| order.iter().position(|it| *it == server));
    let moves_all = state.setup.failover == 2 && state.setup.distribution == "modula";
    let has_copy = |server| place(server).is_some_and(|at| at < state.setup.replicas as usize);
    let is_copied = has_copy(read_at) && has_copy(replaced_at);
    let is_made_up = state.setup.makes_up() && place(read_at) < place(replaced_at);
    is_unchanged(state, old) && !moves_all && (is_copied || is_made_up)
}

/// Whether no operator has changed anything since that operation began.
fn is_unchanged(state: &State, since: &Operation) -> bool {
    let mut commands = state.history.commands.iter();
    commands.all(|&command| command < since.began)
}

/// The server that owns a key.
fn owner(state: &State, key: &str) -> Option<usize> {
    let mut orders = state.history.orders.iter();
    let order = orders.find(|(known, _)| known == key);
    order.and_then(|(_, order)| order.first().copied())
}

/// Whether the read has asked there because another server, which owns the item, did not have it.
fn comes_over(state: &State, read: &Operation, served: &Served) -> bool {
    let owner = owner(state, &read.key);
    let before = state.history.served.iter();
    let mut before = before.filter(|it| (read.from..=served.at).contains(&it.at));
    owner.is_some_and(|owner| owner != served.server)
        && before.any(|it| {
            it.process == read.process
                && Some(it.server) == owner
                && it.command.key() == read.key.as_bytes()
                && matches!(
                    &it.reply[..],
                    b"END\r\n" | b"EN\r\n" | b"NOT_FOUND\r\n" | b"NF\r\n"
                )
        })
}

/// Whether the value has come over to this server after it was replaced there, and that is not promised: the server that
/// holds it was put back by an operator, or keeps its items.
fn comes_back(
    state: &State,
    old: &Operation,
    writer: usize,
    done: &Served,
    served: &Served,
) -> bool {
    let history = &state.history;
    let mut later = history
        .served
        .iter()
        .filter(|it| it.at > done.at && it.at < served.at && it.server == served.server);
    !(is_unchanged(state, old) && state.setup.makes_up())
        && later.any(|it| it.has_stored() && number_of(it.command.value()) == Some(writer))
}

/// Whether somebody is just having the value come over to this server, and may still find that it was removed. Or gave
/// that up without an answer, and the server has done it after `new` began.
fn is_coming(state: &State, writer: usize, new: &Operation, served: &Served) -> bool {
    let history = &state.history;
    let write = &history.operations[writer];
    let mut stored = history.served.iter().filter(|it| {
        let is_before = it.server == served.server && it.at <= served.at && it.has_stored();
        // The writer may have it come over, too.
        let is_write =
            it.process == write.process && write.ended.is_none_or(|ended| it.at <= ended);
        is_before && !is_write && number_of(it.command.value()) == Some(writer)
    });
    stored.any(|stored| {
        let own = history.operations.iter();
        let mut own = own.filter(|it| it.process == stored.process && it.began <= stored.at);
        let is_until = |at, it: &Operation| it.ended.is_none_or(|ended| ended >= at);
        let is_waited_for = |it: &Operation| it.key == new.key && is_until(stored.at, it);
        let is_given_up = stored.command.verb() == b"add" && !own.clone().any(is_waited_for);
        is_given_up && stored.at >= new.began || own.any(|it| is_until(served.at, it))
    })
}

/// Whether what is replaced at this server is removed where it could come over from.
fn is_removed_elsewhere(state: &State, old: &Operation, key: &str, replaced_at: usize) -> bool {
    let setup = &state.setup;
    let is_owner = owner(state, key) == Some(replaced_at);
    let is_alone = setup.miss_failover < 0 && setup.replicas == 1;
    is_owner && is_unchanged(state, old) && setup.empties && is_alone
}

/// Whether the value was in the server before its last outage, and should have been removed.
fn survivor(state: &State, read: &Operation, writer: usize, served: &Served) -> Option<String> {
    // What the old list knows of its servers is its own.
    let is_of_old_list = state.setup.grows() && owner(state, &read.key) != Some(served.server);
    if !state.setup.empties || is_of_old_list {
        return None;
    }
    let mut outages = state.history.outages.iter().rev();
    let outage = outages.find(|it| it.server == served.server && it.ended < read.from)?;
    let mut writes = state.history.served.iter().rev();
    let write = writes.find(|it| {
        it.server == served.server
            && it.at < served.at
            && it.has_stored()
            && number_of(it.command.value()) == Some(writer)
    })?;
    let server = served.server;
    (write.at < outage.began && !outage.is_operators)
        .then(|| format!("from server {server}, which was not emptied after its outage"))
}
