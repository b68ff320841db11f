//! Rule: nobody waits long.
//!
//! An operation ends within its `timeout`. And of all workers, one at a time waits for a server for longer
//! than `stall_limit`, and two fifths of it for a look on a fresh connection. The time for which a process
//! did not run does not count.

use crate::world::{MILLI, State};

/// Operations that have taken too long, and workers that have waited beside another.
pub fn check(state: &State) -> Vec<String> {
    let limit = state.setup.longest_timeout() + state.setup.slack();
    let mut found = Vec::new();
    for (number, operation) in state.history.operations.iter().enumerate() {
        let Some(ended) = operation.ended else {
            continue;
        };
        let took = (ended - operation.began).saturating_sub(operation.stopped);
        if took > limit {
            let what = operation.what;
            found.push(format!(
                "{what:?} {}: operation {number} has taken {} ms",
                operation.key,
                took / MILLI
            ));
        }
    }
    // A server that leaves the list and comes back is another one, and so it is in another list.
    let waits = if state.history.is_reloaded || state.setup.grows() {
        &[][..]
    } else {
        &state.history.long_waits
    };
    for (at, one) in waits.iter().enumerate() {
        let beside = waits[..at].iter().find(|other| {
            other.server == one.server
                && other.process != one.process
                && other.from < one.to
                && one.from < other.to
        });
        if let Some(other) = beside {
            let (server, from) = (one.server, one.from.max(other.from) as f64 / MILLI as f64);
            found.push(format!(
                "two workers wait for server {server} at {from:.3} ms"
            ));
        }
    }
    found
}
