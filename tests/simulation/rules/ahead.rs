//! Rule: an answer that was asked ahead is for the reads of its message, within `timeout`, and knows what its
//! process has written.
//!
//! A read gets no such answer if its message has begun after the question, if the question is older than any
//! `timeout`, or if its process has begun to write the item since then, by whatever operation.

use internals::simulation::Source;
use kamailio_memcached::internals;

use crate::history::Operation;
use crate::world::{MILLI, State};

/// Reads that should have asked again.
pub fn check(state: &State) -> Vec<String> {
    let reads = state.history.operations.iter().enumerate();
    let found = reads.filter_map(|(number, read)| {
        let Source::Ahead(since) = read.source else {
            return None;
        };
        let words = fault(state, read, since)?;
        Some(format!("Get {}: operation {number} {words}", read.key))
    });
    found.collect()
}

fn fault(state: &State, read: &Operation, since: u64) -> Option<String> {
    if read.from < read.message {
        return Some("has had the answer of another message".into());
    }
    let age = read.clock - since;
    if age >= state.setup.longest_timeout() {
        return Some(format!("has had an answer of {} ms before", age / MILLI));
    }
    let mut operations = state.history.operations.iter().enumerate();
    let written = operations.find(|(_, it)| {
        let is_between = (read.from..read.began).contains(&it.began);
        is_between && !it.what.is_read() && it.process == read.process && it.key == read.key
    });
    written.map(|(number, _)| format!("has had an answer from before operation {number}"))
}
