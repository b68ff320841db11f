//! Observer: looks at the shared states of the servers whenever a process gives way, and so sees each of
//! their changes.

use internals::Cache;
use internals::simulation::{self, Watched};
use kamailio_memcached::internals;

use super::history::{Outage, Turn};
use super::process::Role;
use super::setup::Setup;
use super::world::{MILLI, SECOND, State};

/// What it has seen.
pub struct Observer {
    cache: Cache,
    /// The version of the list that `watched` is of.
    version: u32,
    watched: Vec<(usize, Watched)>,
    servers: Vec<Seen>,
}

/// What it knows of a server.
#[derive(Clone)]
struct Seen {
    state: &'static str,
    /// What it has seen of it last, as one number, if it is listed.
    verdict: Option<u64>,
    /// Since when workers may not ask it, if so; not by an operator.
    out_since: Option<u64>,
    /// Since when it is out of service, if it is, and whether an operator has had a hand in that.
    away: Option<(u64, bool)>,
    is_listed: bool,
}

impl Observer {
    /// One that begins to look.
    pub fn new(cache: Cache, setup: &Setup) -> Self {
        let seen = Seen {
            state: "active",
            verdict: None,
            out_since: None,
            away: None,
            is_listed: true,
        };
        Self {
            cache,
            version: 1,
            watched: Vec::new(),
            servers: vec![seen; setup.servers.len()],
        }
    }

    /// Looks at all servers.
    pub fn look(&mut self, state: &mut State) {
        self.follow(state);
        for (at, watched) in &self.watched {
            let (verdict, seen) = (watched.verdict(), &mut self.servers[*at]);
            if seen.verdict.replace(verdict) == Some(verdict) {
                continue;
            }
            let (now, role) = (
                state.now,
                state.current.map(|current| state.processes[current].role),
            );
            let (word, is_diverted) = watched.state();
            if word != seen.state {
                let (from, to) = (seen.state, word);
                let attempt = state.current.and_then(|current| {
                    let (server, since) = state.processes[current].attempt?;
                    (server == *at).then_some((current, since))
                });
                let returned = state.history.returned[*at];
                state.history.turns.push(Turn {
                    at: now,
                    server: *at,
                    from,
                    to,
                    by: role,
                    process: state.current,
                    attempt,
                    returned,
                });
                seen.state = word;
                let is_operators = role == Some(Role::Operator);
                match (seen.away, to) {
                    (None, "inactive" | "disabled") => seen.away = Some((now, is_operators)),
                    (Some((since, was)), "disabled") => {
                        seen.away = Some((since, was || is_operators))
                    }
                    (Some((began, was)), "active") => {
                        let is_operators = was || is_operators;
                        state.history.outages.push(Outage {
                            server: *at,
                            began,
                            ended: now,
                            is_operators,
                        });
                        state.history.returned[*at] = now;
                        seen.away = None;
                    }
                    _ => {}
                }
            }
            let is_out = word != "disabled" && (word != "active" || is_diverted);
            match (seen.out_since, is_out) {
                (None, true) => seen.out_since = Some(now),
                (Some(since), false) => {
                    state.history.outs.push((since, now, *at));
                    Self::check(state, *at, seen);
                    seen.out_since = None;
                }
                _ => {}
            }
        }
    }

    /// The process has just ended an operation: it may wait for no server any more.
    pub fn check_mark(&self, state: &mut State, process: usize) {
        let pid = state.processes[process].pid;
        let waits = |(at, watched): &(usize, Watched)| (watched.holder() == pid).then_some(*at);
        if let Some(at) = self.watched.iter().find_map(waits) {
            let found = format!("a worker has ended its operation and still waits for server {at}");
            state.history.violations.push(found);
        }
    }

    fn follow(&mut self, state: &mut State) {
        let version = simulation::list_version(&self.cache);
        if version == self.version || version % 2 == 1 {
            return;
        }
        self.version = version;
        let watched = simulation::servers(&mut self.cache);
        let index = |watched: Watched| {
            let of = |spec: &super::setup::Spec| spec.written == watched.server;
            state
                .setup
                .servers
                .iter()
                .position(of)
                .map(|at| (at, watched))
        };
        self.watched = watched.into_iter().filter_map(index).collect();
        for (at, seen) in self.servers.iter_mut().enumerate() {
            seen.verdict = None;
            let is_listed = self.watched.iter().any(|(listed, _)| *listed == at);
            if is_listed && !seen.is_listed {
                // It begins anew.
                seen.state = "active";
            }
            if !is_listed {
                (seen.out_since, seen.away) = (None, None);
            }
            seen.is_listed = is_listed;
        }
    }

    /// A server that serves everybody is not out of service for long.
    pub fn check_outages(&self, state: &mut State) {
        for at in 0..self.servers.len() {
            let seen = self.servers[at].clone();
            Self::check(state, at, &seen);
        }
    }

    fn check(state: &mut State, at: usize, seen: &Seen) {
        let (Some(out_since), Some(well_since)) =
            (seen.out_since, state.servers[at].well_since(state.now))
        else {
            return;
        };
        // A name is looked up again a minute later, and a server that refuses to be emptied stays out.
        let is_named = !state.setup.servers[at].written.starts_with("10.");
        let has_names = state.names.fail_until.max(state.names.hang_until) == 0;
        if state.servers[at].has_moved || is_named && !has_names {
            return;
        }
        let refuses_until = match state.setup.makes_up() || state.setup.has_sources() {
            true => state.servers[at]
                .errs_until
                .max(state.servers[at].turns_away_until),
            false => 0,
        };
        let since = out_since
            .max(well_since)
            .max(refuses_until)
            .max(state.node_well_since());
        if state.now > since + state.setup.recovery() {
            let millis = (state.now - since) / MILLI;
            let found =
                format!("server {at} serves everybody for {millis} ms, but was out of service");
            state.history.violations.push(found);
        }
    }

    /// The run is over: all servers are in service.
    pub fn end(&self, state: &mut State) {
        self.check_outages(state);
        let in_flight: u32 = self.watched.iter().map(|(_, it)| it.in_flight()).sum();
        state.history.in_flight = in_flight;
        let items = (0..state.setup.keys).map(|number| format!("k{number}"));
        let counters = (0..3).map(|number| format!("n{number}"));
        for key in items.chain(counters) {
            let order = simulation::order(&self.cache, key.as_bytes());
            let place = |name: String| state.setup.servers.iter().position(|it| it.written == name);
            let order = order.into_iter().filter_map(place).collect();
            state.history.orders.push((key, order));
        }
        state.history.statistics = simulation::statistics(&self.cache);
        for (at, seen) in self.servers.iter().enumerate() {
            let since = seen.out_since.map(|since| (since, u64::MAX, at));
            state.history.outs.extend(since);
        }
        let out = self
            .servers
            .iter()
            .enumerate()
            .filter(|(_, it)| it.is_listed && it.state != "active");
        let out: Vec<_> = out
            .map(|(at, it)| format!("server {at} is {} at the end", it.state))
            .collect();
        state.history.violations.extend(out);
        state.say(|state| format!("the end, after {} s", state.now / SECOND));
    }
}
