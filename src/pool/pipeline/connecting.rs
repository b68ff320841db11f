//! Connecting: several members open their connections at the same time.

use super::super::member::{Member, Way};
use crate::clock::Deadline;
use crate::config::Settings;
use crate::wire::dial::Dial;
use crate::wire::polled::{Polled, wait_any};
use crate::wire::wait_budget::WaitBudget;

/// Connects those of these members that have no connection, all at the same time. This takes no longer
/// than connecting may, and never longer than the stall limit. A member that could not be connected is
/// asked in the ordinary way, which finds out why.
pub(in crate::pool) fn connect(
    members: Vec<&mut Member>,
    deadline: &Deadline,
    settings: &Settings,
) {
    let longest = settings.connect_timeout.unwrap_or(settings.stall_limit);
    let connecting = Deadline::new(deadline.start(), longest.min(settings.stall_limit));
    let mut begun = Vec::new();
    for member in members {
        if member.needs_connection(deadline.start()) {
            let polled = Way::new(member.server(), settings).begin();
            if let Ok(polled) = polled {
                begun.push((member, polled));
            }
        }
    }
    while !begun.is_empty()
        && let Some(left) = connecting.remaining()
    {
        let waiting: Vec<&Polled> = begun.iter().map(|(_, polled)| polled).collect();
        let ready = wait_any(&waiting, left);
        let mut rest = Vec::new();
        for ((member, mut polled), is_ready) in begun.into_iter().zip(ready) {
            let is_well = !is_ready || polled.go_on().is_ok();
            match is_well {
                true if !is_ready || polled.is_opening() => rest.push((member, polled)),
                true => member.take(polled, deadline, settings),
                false => {}
            }
        }
        begun = rest;
    }
    for (member, _) in begun {
        member.connection.close_silent();
    }
}

impl Member {
    fn take(&mut self, polled: Polled, deadline: &Deadline, settings: &Settings) {
        let (stall, connect) = (settings.stall_limit, settings.connect_timeout);
        let budget = WaitBudget::new(deadline, stall, connect, &|_| false);
        let way = Way::new(&self.server, settings);
        // If this process lacks something, the ordinary way says so.
        let _ = self.connection.take(polled, &budget, &way);
    }
}
