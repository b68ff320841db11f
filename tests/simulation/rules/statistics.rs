//! Rule: the statistics add up, and at rest nothing is under way. What a worker was doing when it was killed may
//! be counted or not. No buffer grows beyond what arrives.
//!
//! Of the items that are asked for together, each one that fails is counted. A deferred write that nobody has
//! done is counted as an error, when its process looks for the answer.

use crate::history::{Answer, Operation, What};
use crate::world::State;

use super::near;

/// The most bytes that are received at once.
const ROOM: usize = 256 * 1024;

/// Numbers that are not right.
pub fn check(state: &State) -> Vec<String> {
    let mut found = Vec::new();
    let operations = &state.history.operations;
    let of =
        |test: &dyn Fn(&Operation) -> bool| operations.iter().filter(|it| test(it)).count() as u64;
    let died = of(&|it| it.answer == Answer::Open);
    let failed = |words: &[&str]| {
        of(&|it| matches!(it.answer, Answer::Failed(word) if words.contains(&word)))
    };
    // What may be counted besides the operations that have failed.
    let many: u64 = operations
        .iter()
        .map(|it| match it.what {
            What::Many(count) => count as u64,
            _ => 0,
        })
        .sum();
    let writes = |it: &Operation| !matches!(it.what, What::Prefetch(_));
    let deferred = of(&|it| it.answer == Answer::Sent && writes(it));
    let died_in = |it: &Operation| state.processes[it.process].is_killed;
    let undone = of(&|it| {
        it.what == What::Set && it.answer == Answer::Sent && it.last_executed == 0 && !died_in(it)
    });
    let is_miss = |answer: &Answer| match answer {
        Answer::Leased(value) => value.is_empty(),
        other => *other == Answer::Miss,
    };
    let reads = |it: &Operation| matches!(it.what, What::Get | What::Gets | What::Lease);
    let stores =
        |it: &Operation| matches!(it.what, What::Set | What::Zero | What::Cas | What::Fulfil);
    let over = of(&near::is_over);
    let expected = [
        ("gets", of(&reads)),
        ("hits", of(&|it| it.answer.value().is_some())),
        ("misses", of(&|it| reads(it) && is_miss(&it.answer))),
        ("leases", of(&|it| matches!(it.answer, Answer::Leased(_)))),
        ("near_hits", of(&near::has_answered) - over),
        ("stale", of(&|it| matches!(it.answer, Answer::Stale(_)))),
        ("sets", of(&stores)),
        (
            "deletes",
            of(&|it| matches!(it.what, What::Delete | What::Invalidate)),
        ),
        (
            "counts",
            of(&|it| matches!(it.what, What::Count(_) | What::Create(_))),
        ),
        ("touches", of(&|it| it.what == What::Touch)),
        ("deferred", deferred),
        ("timeouts", failed(&["timeout"])),
        ("refused", failed(&["refused"])),
        (
            "errors",
            failed(&[
                "down",
                "busy",
                "server_error",
                "rejected",
                "garbled",
                "not_a_number",
                "too_large",
            ]),
        ),
    ];
    for (name, number) in expected {
        let statistic = state
            .history
            .statistics
            .iter()
            .find(|(known, _)| *known == name);
        let counted = statistic.map_or(0, |(_, counted)| *counted);
        let more = match name {
            "gets" | "timeouts" => many,
            // Each copy may fail.
            "errors" => many + deferred * state.setup.replicas as u64,
            _ => 0,
        };
        if counted + died < number || counted > number + more + died {
            found.push(format!("the statistic {name} is {counted}, not {number}"));
        }
        let known = counted + died + state.history.owed;
        if name == "errors" && known < number + undone {
            found.push(format!(
                "of {undone} writes that were not done, none is counted"
            ));
        }
    }
    if u64::from(state.history.in_flight) > died {
        found.push(format!(
            "{} operations are under way at rest",
            state.history.in_flight
        ));
    }
    if state.largest_room > ROOM {
        found.push(format!("a buffer of {} bytes", state.largest_room));
    }
    found
}
