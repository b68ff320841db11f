//! Rule: a server that serves fresh connections is not condemned.
//!
//! Nobody condemns it who has asked it before it came back from an outage, or whom it keeps waiting while it
//! answers others. It becomes *trying* or *inactive* only if, within the time of an operation before, it did not serve fresh
//! connections. One broken connection, a refusal or a shortage of this node is no reason. (That it does not
//! stay out for long is checked while the run goes on, by the observer.)

use internals::simulation::Source;
use kamailio_memcached::internals;

use crate::history::{Answer, What};
use crate::process::Role;
use crate::world::{MILLI, State};

use super::near;

/// How much later an answer may be noted than it came.
const STEP: u64 = 5 * MILLI;

/// An operation of another process that the server has answered, and that has begun and ended in this time.
fn answered(state: &State, server: usize, process: usize, since: u64, until: u64) -> Option<usize> {
    let history = &state.history;
    let mut operations = history.operations.iter().enumerate();
    let answered = operations.find(|(_, it)| {
        let is_between = it.process != process
            && it.began >= since
            && it.ended.is_some_and(|ended| ended < until);
        is_between
            && it.asked == Some(server)
            && !matches!(it.answer, Answer::Failed(_) | Answer::Sent | Answer::Found(_))
            // A lease that was lost is not asked for.
            && (it.what, &it.answer) != (What::Fulfil, &Answer::Miss)
            // The copy that was asked last need not be the one that has answered.
            && (state.setup.replicas == 1 || it.what.is_read())
            // What was not found was asked for elsewhere.
            && state.setup.miss_failover == 0
            // What was asked ahead may have been answered long before, and who asks for many items receives first
            // what servers owe from before.
            && it.source == Source::Server
            && !matches!(it.what, What::Many(_))
            && !near::is_over(it)
    });
    answered.map(|(number, _)| number)
}

/// Verdicts without a reason.
pub fn check(state: &State) -> Vec<String> {
    let history = &state.history;
    let window = state.setup.longest_timeout().max(1500 * MILLI) + state.setup.slack();
    let mut found = Vec::new();
    for turn in &history.turns {
        let puts_back = history
            .activations
            .iter()
            .any(|&(at, server)| server == turn.server && at <= turn.at);
        if turn.to == "active" && turn.by == Some(Role::Operator) && !puts_back {
            found.push(format!(
                "server {} is active, and no operator has said so",
                turn.server
            ));
        }
        let condemns = matches!(
            (turn.from, turn.to),
            ("active", "trying" | "inactive") | ("trying", "inactive")
        );
        if !condemns || turn.by == Some(Role::Operator) {
            continue;
        }
        if turn.by == Some(Role::Worker)
            && let Some((process, since)) = turn.attempt
        {
            if since < turn.returned {
                found.push(format!(
                    "server {} is {} by an operation from before its return",
                    turn.server, turn.to
                ));
            }
            // A process that looks at the answers, and is stopped before it gives its verdict, is not wrong.
            let stops = history.stops.iter();
            let was_stopped = stops
                .clone()
                .any(|&(from, to)| from <= turn.at && to >= since);
            if !was_stopped
                // The other list draws its own verdict of what it is answered.
                && !state.setup.grows()
                && let Some(other) = answered(state, turn.server, process, since + STEP, turn.at)
            {
                let at = turn.at as f64 / MILLI as f64;
                found.push(format!(
                    "server {} is {} at {at:.3} ms, but it has answered operation {other}",
                    turn.server, turn.to
                ));
            }
        }
        let since = turn.at.saturating_sub(window);
        let troubles = history
            .troubles
            .iter()
            .filter(|(.., server)| *server == turn.server);
        let troubled = troubles
            .clone()
            .any(|&(from, to, _)| from <= turn.at && to >= since);
        let stops = history.stops.iter();
        let stops = stops.filter(|&&(from, to)| from <= turn.at && to >= since);
        let blips = history
            .blips
            .iter()
            .filter(|&&(at, server)| server == turn.server && at <= turn.at && at >= since);
        let blips = blips.count();
        // The prober listens once more after it was stopped, unless its connection has broken meanwhile.
        let listens = turn.by == Some(Role::Prober) && blips == 0;
        let stopped = stops.count() > usize::from(listens);
        let is_named = !state.setup.servers[turn.server].written.starts_with("10.");
        let has_names = state.names.fail_until.max(state.names.hang_until) == 0;
        let is_new = state.history.is_reloaded || !has_names || turn.at < state.setup.start();
        let is_unknown = is_named && (is_new || state.servers[turn.server].has_moved);
        // A server that refuses to be emptied, or to forget what was replaced or removed elsewhere, is taken out.
        let refusals = history
            .other_troubles
            .iter()
            .filter(|(.., server)| *server == turn.server);
        let refuses = (state.setup.makes_up() || state.setup.has_sources())
            && turn.by == Some(Role::Prober)
            && refusals
                .clone()
                .any(|&(from, to, _)| from <= turn.at && to >= since);
        // A probe is on its way when a firewall forgets its flow: a silent probe is a failure. A worker whose flow
        // is forgotten, and whom the server gives no other connection, finds it silent.
        let forgets = history
            .forgets
            .iter()
            .any(|&at| at <= turn.at && at >= since);
        let turns_away = refusals
            .clone()
            .any(|&(from, to, _)| from <= turn.at && to >= since);
        // So does one whose flow was opened for this very operation.
        let has_fresh = turn.process.is_some_and(|process| {
            let mut operations = history.operations.iter().rev();
            let under_way = operations.find(|it| it.process == process && it.began <= turn.at);
            let began = under_way.map_or(turn.at, |it| it.began);
            let mut flows = state.flows.iter();
            flows.any(|flow| {
                let is_its = flow.process == process && flow.server == Some(turn.server);
                is_its && flow.is_forgotten && (began..=turn.at).contains(&flow.opened)
            })
        });
        let is_lost = forgets && (turn.by == Some(Role::Prober) || turns_away || has_fresh);
        if !refuses && !is_lost && !troubled && !is_unknown && !stopped && blips < 2 {
            let at = turn.at as f64 / MILLI as f64;
            found.push(format!(
                "server {} is {} at {at:.3} ms, without a reason",
                turn.server, turn.to
            ));
        }
    }
    found
}
