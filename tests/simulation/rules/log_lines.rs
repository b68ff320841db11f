//! Rule: each change is told once: in the log, except where that is limited, and by an event.

use crate::world::State;

/// Changes that were told twice or not at all.
pub fn check(state: &State) -> Vec<String> {
    let mut found = Vec::new();
    if state.setup.grows() {
        return found;
    }
    let killed = state.processes.iter().filter(|it| it.is_killed).count();
    for (at, server) in state.setup.servers.iter().enumerate() {
        let changes = state
            .history
            .turns
            .iter()
            .filter(|turn| turn.server == at)
            .count();
        let (mut lines, mut others) = (0, 0);
        for (_, line) in &state.history.log {
            others +=
                usize::from(line.starts_with(&format!("WARN: server {} stays ", server.written)));
            let Some(rest) = line.strip_prefix(&format!("WARN: server {} is ", server.written))
            else {
                continue;
            };
            if rest.contains("; it was ") {
                lines += 1;
            }
        }
        let is_told_twice = lines > changes;
        // What is more than five lines in a minute is left out, and told at its end.
        let is_lost = lines < changes.saturating_sub(killed) && lines + others < 5;
        let is_reloaded = state.history.is_reloaded;
        if !is_reloaded && (is_told_twice || is_lost) {
            found.push(format!(
                "server {at} has changed {changes} times, and the log tells {lines} of them"
            ));
        }
        let events = state
            .history
            .announcements
            .iter()
            .filter(|(_, name, _)| *name == server.written);
        let mut is_up = true;
        for (_, _, event) in events {
            if *event == is_up && !state.history.is_reloaded {
                found.push(format!(
                    "server {at} was announced twice as {}",
                    if is_up { "up" } else { "down" }
                ));
            }
            is_up = *event;
        }
        if !is_up && !is_reloaded && state.rest.is_some() {
            found.push(format!("server {at} was not announced as up"));
        }
    }
    found
}
