//! Waits: for which server a worker waits, since when, and since when it has asked that within its operation.

use super::history::{LongWait, What};
use super::network::Client;
use super::process::Role;
use super::world::State;

impl State {
    /// The process begins to connect to a server.
    pub fn note_connection(&mut self, process: usize, server: usize) {
        if self.processes[process].operation.is_none() {
            return;
        }
        let mut flows = self.flows.iter();
        let is_beside = flows.any(|it| {
            it.process == process && it.server == Some(server) && it.client != Client::Closed
        });
        if !is_beside && self.has_steps(process) {
            self.processes[process].attempt = Some((server, self.now));
        }
        self.note_attempt(process, server);
        self.begin_wait(process, server);
    }

    /// The process has begun to send something to a server.
    pub fn note_request(&mut self, socket: u32) {
        let flow = &self.flows[socket as usize];
        let (process, Some(server), opened) = (flow.process, flow.server, flow.opened) else {
            return;
        };
        let it = &self.processes[process];
        if it.role != Role::Worker || it.operation.is_none() {
            return;
        }
        let began = it
            .operation
            .map_or(0, |index| self.history.operations[index].began);
        let returned = self
            .history
            .returned
            .get(server)
            .copied()
            .unwrap_or_default();
        if opened < returned && returned < began && !self.setup.grows() {
            let found = format!("connection {socket} is older than the server's last outage");
            self.history.violations.push(found);
        }
        self.note_attempt(process, server);
        self.begin_wait(process, server);
    }

    /// The worker asks a server. While it waits for that, this is no other attempt.
    fn note_attempt(&mut self, process: usize, server: usize) {
        let has_steps = self.has_steps(process);
        let now = self.now;
        let it = &mut self.processes[process];
        let is_next = has_steps && it.waits.is_none_or(|(other, ..)| other != server);
        if is_next || it.attempt.is_none_or(|(last, _)| last != server) {
            it.attempt = Some((server, now));
        }
    }

    /// The worker waits for these sockets, which may lead to one server.
    pub fn wait_for(&mut self, process: usize, sockets: &[(u32, bool)]) {
        let mut servers = sockets
            .iter()
            .map(|(socket, _)| self.flows[*socket as usize].server);
        if let Some(Some(server)) = servers.next()
            && servers.all(|other| other == Some(server))
        {
            self.begin_wait(process, server);
        }
    }

    /// The worker begins to wait for a server, if it does not do so already.
    fn begin_wait(&mut self, process: usize, server: usize) {
        let it = &self.processes[process];
        let (now, stopped) = (self.now, it.stopped);
        if it.role != Role::Worker || it.operation.is_none() {
            return;
        }
        if self.processes[process]
            .waits
            .is_some_and(|(other, ..)| other == server)
        {
            return;
        }
        self.end_wait(process);
        let it = &mut self.processes[process];
        it.waits = Some((server, now.max(it.stopped_until), stopped));
    }

    /// Whether its operation takes several steps, of which each is an attempt of its own.
    fn has_steps(&self, process: usize) -> bool {
        let it = &self.processes[process];
        // A copy may be asked once more, and so may a server that has missed an item.
        let asks_again = self.setup.replicas > 1 || self.setup.miss_failover != 0;
        it.operation.is_some_and(|index| {
            match self.history.operations[index].what {
                _ if asks_again => true,
                What::Create(_) | What::Lease | What::Invalidate | What::Many(_) => true,
                // It may be near, or asked ahead.
                What::Get => self.setup.near_size > 0 || it.has_asked,
                _ => false,
            }
        })
    }

    /// The worker has heard of the server, or waits for it no more.
    pub fn end_wait(&mut self, process: usize) {
        let (now, limit) = (
            self.now,
            self.setup.stall_limit * 7 / 5 + self.setup.slack(),
        );
        let it = &mut self.processes[process];
        // Who asks for many items may wait for one after the other, until its deadline.
        let what = it
            .operation
            .map(|index| self.history.operations[index].what);
        // So may who asks elsewhere for what is missing, each time for a share of the time.
        let is_one = !matches!(what, Some(What::Many(_))) && self.setup.miss_failover == 0;
        // What it asked before the server came back has no answer; after that, its wait begins anew.
        let has_returned = |server: usize, from: u64| {
            let returned = self.history.returned.get(server);
            returned.is_some_and(|returned| (from..=now).contains(returned))
        };
        if let Some((server, from, stopped)) = it.waits.take()
            && is_one
            && !has_returned(server, from)
            && it.stopped == stopped
            && now > from + limit
        {
            let (from, to) = (from + limit, now);
            self.history.long_waits.push(LongWait {
                server,
                process,
                from,
                to,
            });
        }
    }

    /// Something has arrived for the client of a flow.
    pub fn note_arrival(&mut self, socket: u32) {
        let flow = &self.flows[socket as usize];
        let (process, server) = (flow.process, flow.server);
        let is_waited_for = self.processes[process].waits.map(|(at, ..)| at) == server;
        if let Some(server) = server
            && is_waited_for
        {
            self.end_wait(process);
            if flow_is_open(self.flows[socket as usize].client) {
                if self.processes[process].attempt.is_some() {
                    self.note_attempt(process, server);
                }
                self.begin_wait(process, server);
            }
        }
    }
}

fn flow_is_open(client: Client) -> bool {
    matches!(client, Client::Open | Client::Connecting)
}
