//! Rules: what must hold in every run, whatever breaks. Each is a file of its own.

use super::world::State;

mod ahead;
mod answers;
mod copies;
mod counts;
mod growth;
pub mod leases;
mod log_lines;
mod near;
mod statistics;
mod time;
mod values;
mod verdicts;
mod works;

/// Finds what in the history of a run breaks a rule.
pub fn check(state: &mut State) {
    let rules = [
        ahead::check,
        answers::check,
        copies::check,
        counts::check,
        values::check,
        leases::check,
        near::check,
        time::check,
        verdicts::check,
        works::check,
        log_lines::check,
        statistics::check,
    ];
    let found = rules.iter().flat_map(|rule| rule(state));
    let found: Vec<String> = found.collect();
    state.history.violations.extend(found);
}
