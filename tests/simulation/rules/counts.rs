//! Rule: what is acknowledged is done exactly once, and what is not is done once at most, for all that must
//! not be done twice: counts, counters that one creates, an item that only one may add or change, what the
//! holder of a lease stores. Where an item has several copies, each of them counts.

use crate::history::{Answer, What};
use crate::world::State;

/// Counts and additions that were done too often, or not at all.
pub fn check(state: &State) -> Vec<String> {
    let mut found = Vec::new();
    for (number, operation) in state.history.operations.iter().enumerate() {
        let is_addition = operation.what == What::Set && state.setup.adds;
        let is_once = matches!(
            operation.what,
            What::Count(_) | What::Create(_) | What::Cas | What::Fulfil
        );
        if !is_addition && !is_once {
            continue;
        }
        let (servers, answer) = (&operation.executed, &operation.answer);
        let times = servers.len();
        let is_counted = matches!(operation.what, What::Count(_) | What::Create(_));
        let is_right = match answer {
            // Each copy counts for itself, if it has the item.
            _ if is_counted && state.setup.replicas > 1 => {
                let mut servers = servers.iter().enumerate();
                let is_done = times > 0 || !matches!(answer, Answer::Counted(_));
                is_done && servers.all(|(at, server)| !operation.executed[..at].contains(server))
            }
            Answer::Counted(_) | Answer::Stored => times == 1,
            Answer::Miss | Answer::NotStored => times == 0,
            _ => times <= 1,
        };
        if !is_right {
            let what = operation.what;
            found.push(format!(
                "{what:?} {}: operation {number} was done {times} times, and ended {answer:?}",
                operation.key
            ));
        }
    }
    found
}
