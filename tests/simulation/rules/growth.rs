//! What comes over when servers are added.
//!
//! What is removed is removed in both lists, and never comes over afterwards. What is written is written by the new
//! list alone: while it is there, nothing older comes over. If its server loses it, what the old list has may come.
//! A worker that removes it, and cannot do so everywhere, is no such loss.

use crate::history::{Operation, Served, What};
use crate::process::Role;
use crate::world::State;

/// Whether what an operation has replaced may not be read any more.
pub fn is_bound(state: &State, new: &Operation, done: &Served, served: &Served) -> bool {
    match new.what {
        What::Delete => true,
        // A server that refuses meta commands once does not tell then that its item is out of date.
        What::Invalidate if done.server != served.server => false,
        _ => !is_lost(state, done, served),
    }
}

/// Whether the server has lost what it had written before it was read.
fn is_lost(state: &State, done: &Served, served: &Served) -> bool {
    let history = &state.history;
    let between = |at: u64, server| server == done.server && (done.at..=served.at).contains(&at);
    let mut losses = history.losses.iter();
    let mut answers = history.served.iter();
    losses.any(|&(at, server)| between(at, server))
        || answers.any(|it| {
            let is_removed = matches!(it.command.verb(), b"delete" | b"md");
            between(it.at, it.server)
                && is_removed
                && it.command.key() == done.command.key()
                && state.processes[it.process].role == Role::Prober
        })
}
