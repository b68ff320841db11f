//! Rule: what is acknowledged is done by every copy that is well.
//!
//! Of a write that was answered, each server that keeps the item, has been in service and without any trouble since
//! an operation's time before, has got the command while the operation was under way. So, whichever copy is
//! asked next, it is there.

use crate::history::{Answer, Operation, What};
use crate::world::State;

/// Copies that were left out.
pub fn check(state: &State) -> Vec<String> {
    let history = &state.history;
    if state.setup.replicas == 1 || history.is_reloaded {
        return Vec::new();
    }
    let writes = history.operations.iter().enumerate();
    let writes = writes.filter(|(_, it)| is_done(it) && it.stopped == 0);
    let found = writes.flat_map(|(number, write)| {
        let order = history.orders.iter().find(|(key, _)| *key == write.key);
        let copies = order.map_or(&[][..], |(_, order)| order);
        let copies = copies.iter().take(state.setup.replicas as usize);
        let left_out =
            copies.filter(|&&at| is_well(state, write, at) && !has_got(state, write, at));
        let words = move |at: &usize| {
            let Operation { what, key, .. } = write;
            format!("{what:?} {key}: server {at} has not got operation {number}")
        };
        left_out.map(words).collect::<Vec<_>>()
    });
    found.collect()
}

/// Whether it has changed an item, for all copies.
fn is_done(operation: &Operation) -> bool {
    match operation.what {
        What::Set | What::Cas | What::Fulfil => operation.answer == Answer::Stored,
        What::Delete => operation.answer == Answer::Deleted,
        What::Touch => operation.answer == Answer::Touched,
        What::Count(_) | What::Create(_) => matches!(operation.answer, Answer::Counted(_)),
        _ => false,
    }
}

/// Whether the server was well for so long that the process of this operation knows it.
fn is_well(state: &State, operation: &Operation, server: usize) -> bool {
    let (history, setup) = (&state.history, &state.setup);
    let Some(ended) = operation.ended else {
        return false;
    };
    let since = operation.began.saturating_sub(setup.recovery());
    let is_between = |at: u64| at <= ended && at >= since;
    let troubles = history.troubles.iter().chain(&history.other_troubles);
    let troubled = troubles
        .filter(|(.., at)| *at == server)
        .any(|&(from, to, _)| from <= ended && to >= since);
    let mut blips = history.blips.iter().filter(|(_, at)| *at == server);
    let mut turns = history.turns.iter().filter(|turn| turn.server == server);
    let mut outs = history.outs.iter().filter(|(.., at)| *at == server);
    let mut pauses = history.stops.iter().map(|&(from, to)| (from, to));
    let short = history.shortages.iter();
    let mut short = short.filter(|(.., process)| *process == operation.process);
    let has_names = state.names.fail_until.max(state.names.hang_until) == 0;
    let is_named = !setup.servers[server].written.starts_with("10.");
    let is_unknown = is_named && (!has_names || operation.began < setup.start());
    !(troubled
        || is_unknown
        || state.servers[server].has_moved
        || blips.any(|&(at, _)| is_between(at))
        || turns.any(|turn| is_between(turn.at))
        || outs.any(|&(from, to, _)| from <= ended && to >= since)
        || history.forgets.iter().any(|&at| at <= ended)
        || history.commands.iter().any(|&at| is_between(at))
        || pauses.any(|(from, to)| from <= ended && to >= since)
        || short.any(|&(from, to, _)| from <= ended && to >= since))
}

/// Whether the server has executed the command of this operation while that was under way.
fn has_got(state: &State, operation: &Operation, server: usize) -> bool {
    let served = &state.history.served;
    let first = served.partition_point(|served| served.at < operation.began);
    let during = served[first..].iter();
    let mut during = during.take_while(|served| Some(served.at) <= operation.ended);
    during.any(|served| {
        let is_own = served.server == server && served.process == operation.process;
        is_own && served.command.key() == operation.key.as_bytes()
    })
}
