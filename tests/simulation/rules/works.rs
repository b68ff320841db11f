//! Rule: while nothing is wrong, nothing fails; and a moment after a server has closed its connections, or was
//! restarted, nothing is lost by that.

use std::collections::BTreeSet;

use crate::history::{Answer, Operation, What};
use crate::world::{MILLI, State};

use super::{leases, near};

/// How long after connections were closed everybody knows.
const KNOWN: u64 = 10 * MILLI;

/// Operations that have failed although nothing was wrong.
pub fn check(state: &State) -> Vec<String> {
    let history = &state.history;
    let names = state.names.fail_until.max(state.names.hang_until);
    let has_moved = state.servers.iter().any(|server| server.has_moved);
    let mut found = Vec::new();
    for (number, operation) in history.operations.iter().enumerate() {
        let Some(ended) = operation.ended else {
            continue;
        };
        // What is computed under a lease is lost with the connection on which that was given.
        let (word, began) = match (&operation.answer, leases::lost(state, number)) {
            (Answer::Failed(word), _) => (*word, operation.began),
            (Answer::Stale(_), _) if near::is_over(operation) => ("stale", operation.began),
            (_, Some(lease)) => ("miss", lease.began),
            _ => continue,
        };
        // The value under this key is not a number, or the key is one that a fault is about.
        if word == "not_a_number" {
            continue;
        }
        let at_rest = state.rest.is_some_and(|rest| began >= rest);
        let since = began.saturating_sub(state.setup.recovery());
        let troubled = history
            .other_troubles
            .iter()
            .chain(&history.troubles)
            .any(|&(from, to, _)| from <= ended && to >= since);
        let stopped = history
            .stops
            .iter()
            .any(|&(from, to)| from <= ended && to >= since);
        let commanded = history
            .commands
            .iter()
            .any(|&at| at <= ended && at >= since);
        // Two in a row are a reason to take the server out.
        let blips = history.blips.iter();
        let is_condemned = blips.filter(|&&(at, _)| at <= ended && at >= since).count() > 1;
        // Another copy may have given the lease until the first one had made up for a write.
        let is_bound = operation.what == What::Fulfil;
        let is_copied = is_bound && state.setup.replicas > 1;
        let closed = history
            .blips
            .iter()
            .any(|&(at, _)| at <= ended && (at + KNOWN >= began || is_copied && at >= since));
        let unknown = names > 0 || has_moved || began < state.setup.start();
        // What must not be done twice is lost on a connection that a firewall has forgotten. A lease may take
        // steps that must not, and so may the question what a server speaks, before a read with a near cache.
        let is_near = operation.what == What::Get && state.setup.near_size > 0;
        let has_steps = is_near || matches!(operation.what, What::Lease | What::Invalidate);
        let is_once = has_steps
            || matches!(
                operation.what,
                What::Count(_) | What::Create(_) | What::Cas | What::Fulfil
            )
            || state.setup.adds && !matches!(operation.what, What::Get | What::Gets | What::Lease);
        // What a stand-in has taken for another process, or what that could not remove before servers were added, keeps
        // a server from being asked, and nobody stands in where a lease was given.
        let since_short = |&(from, to, process): &(u64, u64, usize)| {
            let concerns = process == operation.process || is_bound || state.setup.grows();
            concerns && from <= ended && to >= since
        };
        let is_short = history.shortages.iter().any(since_short);
        // A second firewall may forget the second connection; then this worker waits before it tries again.
        let pause = state.setup.longest_timeout() + state.setup.retry_interval;
        let forgets = history.forgets.iter().any(|&at| {
            at <= ended && (at >= began || matches!(word, "down" | "stale") && at + pause >= began)
        });
        // A source has half of the time to remove an item, and makes up for what it was asked on such a connection.
        let has_sources = state.setup.has_sources();
        let removes = has_sources && matches!(operation.what, What::Delete | What::Invalidate);
        let is_lost = (is_once || removes || is_silent_twice(state, operation))
            && !history.forgets.is_empty()
            && (has_sources && word == "busy"
                || matches!(word, "timeout" | "down" | "miss" | "stale"));
        // A lease is lost with the copy that has given it, which is not asked while it makes up for a write.
        let mut outs = history.outs.iter();
        let is_given_elsewhere =
            is_copied && word == "miss" && outs.any(|&(from, to, _)| from <= ended && to >= began);
        if is_lost
            || is_given_elsewhere
            || matches!(word, "down" | "timeout" | "stale") && make_up(state, operation)
        {
            continue;
        }
        if at_rest && !stopped
            || !troubled
                && !stopped
                && !commanded
                && !closed
                && !is_condemned
                && !unknown
                && !is_short
                && !forgets
        {
            let what = operation.what;
            found.push(format!(
                "{what:?} {}: operation {number} ended '{word}', and nothing was wrong",
                operation.key
            ));
        }
    }
    found
}

/// Whether a firewall had forgotten this process's flows to two servers that keep the item: to wait for both of
/// them, one after the other, may take all the time.
fn is_silent_twice(state: &State, operation: &Operation) -> bool {
    let forgotten = state.flows.iter().filter(|flow| {
        flow.process == operation.process && flow.is_forgotten && flow.opened < operation.began
    });
    let servers: BTreeSet<_> = forgotten.map(|flow| flow.server).collect();
    state.setup.replicas > 1 && servers.len() > 1
}

/// Whether all servers that keep the item make up for writes that they have missed. A process may find out long
/// after the trouble that nobody has answered a deferred write.
fn make_up(state: &State, operation: &Operation) -> bool {
    let history = &state.history;
    let order = history.orders.iter().find(|(key, _)| *key == operation.key);
    let copies = order.map_or(&[][..], |(_, order)| order);
    let is_out = |server: &usize| {
        let mut outs = history.outs.iter();
        // It is seen when another process runs.
        let seen = operation.ended.map(|ended| ended + MILLI);
        outs.any(|&(from, to, at)| at == *server && Some(from) <= seen && to >= operation.began)
    };
    let replicas = state.setup.replicas as usize;
    let mut copies = copies.iter().take(replicas);
    replicas > 1 && copies.len() > 0 && copies.all(is_out)
}
