//! Server: a memcached as a process on a machine of its own, with all that can be wrong with it.

use std::sync::Arc;

use rustls::ServerConfig;
use support::model::{ClientSession, Memcached, Options};

use super::command::Command;
use super::history::What;
use super::login;
use super::network::{Client, Segment};
use super::process::Role;
use super::sealed::{self, Opened, Sealed, Version};
use super::setup::{Setup, Spec};
use super::world::{Event, MICRO, SECOND, State, TODAY};

/// Whether the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// It serves.
    Up,
    /// It is stopped: its system accepts connections and bytes, and nobody reads them.
    Stopped,
    /// There is no such process.
    Down,
}

/// A memcached.
#[derive(Debug)]
pub struct Server {
    pub memcached: Memcached,
    /// The TLS of its process, if it speaks that.
    tls: Option<(Version, Arc<ServerConfig>)>,
    pub run: Run,
    /// Changes with each start: flows of another one are unknown.
    pub epoch: u32,
    /// By how many seconds its clock is ahead.
    skew: u64,
    /// Until when no segment comes through in either direction.
    pub cut_until: u64,
    /// Until when segments take long.
    pub far_until: u64,
    /// Until when nobody listens for new connections.
    pub refuses_until: u64,
    /// Until when requests for connections get no answer.
    pub ignores_until: u64,
    /// Until when new connections are told that they are too many.
    pub turns_away_until: u64,
    /// Until when commands take long, and how long at most.
    pub slow: (u64, u64),
    /// Until when some answers are garbled.
    pub garbles_until: u64,
    /// Until when some commands are refused.
    pub errs_until: u64,
    /// Until when the commands for a third of the keys wait, as behind a proxy.
    pub stuck_until: u64,
    /// It has moved to another address, which clients may not know yet.
    pub has_moved: bool,
    /// Since when its process does not serve, if it does not.
    pub down_since: u64,
    /// When the last trouble with it has ended, or will end.
    pub trouble_until: u64,
}

impl Server {
    /// One that is started now, and empty.
    pub fn new(spec: &Spec, setup: &Setup) -> Self {
        let Setup { logs_in, tls, .. } = *setup;
        let words = || (login::USER.to_vec(), login::PASSWORD.to_vec());
        Self {
            memcached: Memcached::new(Options {
                started: TODAY + spec.skew,
                credentials: logs_in.then(words),
                ..Options::default()
            }),
            tls: tls.map(|version| (version, sealed::config(version))),
            run: Run::Up,
            epoch: 0,
            skew: spec.skew,
            cut_until: 0,
            far_until: 0,
            refuses_until: 0,
            ignores_until: 0,
            turns_away_until: 0,
            slow: (0, 0),
            garbles_until: 0,
            errs_until: 0,
            stuck_until: 0,
            has_moved: false,
            down_since: 0,
            trouble_until: 0,
        }
    }

    /// Its process begins anew: it has forgotten all sessions.
    pub fn forget_sessions(&mut self) {
        if let Some((version, config)) = &mut self.tls {
            *config = sealed::config(*version);
        }
    }

    /// Its side of a connection that it has just accepted, if it speaks TLS.
    pub fn sealed(&self) -> Option<Sealed> {
        let config = self.tls.as_ref().map(|(_, config)| config);
        config.map(Sealed::new)
    }

    /// The seconds of its clock.
    pub fn clock(&self, now: u64) -> u64 {
        TODAY + self.skew + now / SECOND
    }

    /// The answer to a command on a connection.
    fn answer(&mut self, session: &mut ClientSession, command: &[u8], now: u64) -> Vec<u8> {
        let clock = self.clock(now);
        self.memcached.input(session, command, clock).bytes
    }

    /// Executes a command of somebody else, who has the password.
    pub fn obey(&mut self, command: &[u8], now: u64) {
        let mut session = ClientSession::default();
        for command in [&*login::command(), command] {
            self.answer(&mut session, command, now);
        }
    }

    /// Until when a segment cannot pass, if it cannot.
    pub fn blocked_until(&self, now: u64, is_opening: bool) -> Option<u64> {
        let until = match is_opening {
            true => self.cut_until.max(self.ignores_until),
            false => self.cut_until,
        };
        (until > now).then_some(until)
    }

    /// Whether nobody listens.
    pub fn refuses(&self, now: u64) -> bool {
        self.refuses_until > now
    }

    /// Whether new connections are too many.
    pub fn turns_away(&self, now: u64) -> bool {
        self.turns_away_until > now
    }

    /// Since when it serves everybody, if it does.
    pub fn well_since(&self, now: u64) -> Option<u64> {
        (self.run == Run::Up && self.trouble_until <= now).then_some(self.trouble_until)
    }

    /// Whether the commands for this key wait.
    fn is_stuck(&self, now: u64, key: &[u8]) -> bool {
        let number: u64 = key.iter().map(|&byte| u64::from(byte)).sum();
        self.stuck_until > now && number.is_multiple_of(3)
    }
}

impl State {
    /// The server looks at a flow soon.
    pub fn serve_soon(&mut self, number: u32) {
        let Some(at) = self.flows[number as usize].server else {
            return;
        };
        if self.flows[number as usize].is_served || self.servers[at].run != Run::Up {
            return;
        }
        let (slow_until, slowness) = self.servers[at].slow;
        let time = match slow_until > self.now {
            true => self.random.below(slowness),
            false => self.random.between(5 * MICRO, 40 * MICRO),
        };
        self.flows[number as usize].is_served = true;
        self.at(self.now + time, Event::Serve { flow: number });
    }

    /// The server reads one command of a flow, and answers it.
    pub fn serve(&mut self, number: u32) {
        let now = self.now;
        let flow = &mut self.flows[number as usize];
        flow.is_served = false;
        let (Some(at), known_to) = (flow.server, flow.known_to) else {
            return;
        };
        let server = &self.servers[at];
        if server.run != Run::Up || known_to != Some(server.epoch) {
            return;
        }
        if !self.unseal(number) {
            return;
        }
        let flow = &mut self.flows[number as usize];
        let server = &self.servers[at];
        let Some(command) = Command::first(&flow.unread) else {
            if flow.ends {
                flow.known_to = None;
            }
            return;
        };
        if server.is_stuck(now, command.key()) {
            let until = server.stuck_until;
            self.flows[number as usize].is_served = true;
            self.at(until, Event::Serve { flow: number });
            return;
        }
        flow.unread.drain(..command.bytes.len());
        self.execute(number, at, &command);
        self.serve_soon(number);
    }

    /// The server opens what has arrived, and goes on with agreeing. False if it hangs up.
    fn unseal(&mut self, number: u32) -> bool {
        let flow = &mut self.flows[number as usize];
        let Some(sealed) = flow.sealed.as_mut().filter(|sealed| sealed.has_unread()) else {
            return true;
        };
        let Opened {
            plain,
            output,
            ends,
        } = sealed.open();
        flow.unread.extend(plain);
        if !output.is_empty() {
            self.put_bytes(number, false, &output);
        }
        if ends {
            self.hang_up(number, Segment::End);
        }
        !ends
    }

    /// The bytes that the server sends for these.
    fn seal(&mut self, number: u32, bytes: Vec<u8>) -> Vec<u8> {
        match &mut self.flows[number as usize].sealed {
            Some(sealed) => sealed.seal(&bytes),
            None => bytes,
        }
    }

    /// The server sends these bytes at once.
    fn tell(&mut self, number: u32, bytes: Vec<u8>) {
        let bytes = self.seal(number, bytes);
        self.put(number, false, Segment::Bytes(bytes));
    }

    fn execute(&mut self, number: u32, at: usize, command: &Command) {
        let now = self.now;
        let server = &mut self.servers[at];
        let is_login = command.key() == login::KEY;
        if server.errs_until > now && !is_login && self.random.once_in(2) {
            let words: &[u8] = match self.random.below(3) {
                0 => b"SERVER_ERROR out of memory storing object\r\n",
                1 => b"ERROR\r\n",
                _ => b"SERVER_ERROR Connection timed out\r\n",
            };
            self.tell(number, words.to_vec());
            return;
        }
        if self.setup.is_classic && matches!(command.verb(), b"ma" | b"mn" | b"mg" | b"md") {
            self.tell(number, b"ERROR\r\n".to_vec());
            return;
        }
        let session = &mut self.flows[number as usize].session;
        let reply = server.answer(session, &command.bytes, now);
        let garbles = server.garbles_until > now && self.random.once_in(2);
        self.note_served(number, at, command, &reply);
        if garbles {
            return self.garble(number, command, reply);
        }
        let reply = self.seal(number, reply);
        self.put_bytes(number, false, &reply);
    }

    /// Whether the client sends nothing more on the flow before it has the answer that comes next.
    fn is_awaited(&self, number: u32) -> bool {
        let flow = &self.flows[number as usize];
        let it = &self.processes[flow.process];
        let waits = it.operation.is_none_or(|index| {
            let defers = self.setup.defers;
            match self.history.operations[index].what {
                What::Prefetch(_) | What::Many(_) => false,
                What::Set | What::Zero | What::Delete | What::Touch => !defers,
                _ => true,
            }
        });
        let is_worker = it.role == Role::Worker;
        let is_last = !flow.has_unread() && flow.is_silent();
        let awaits = it
            .waits
            .is_some_and(|(server, ..)| Some(server) == flow.server);
        !is_worker || is_last && waits && awaits
    }

    /// Something else than the answer.
    fn garble(&mut self, number: u32, command: &Command, reply: Vec<u8>) {
        if self.flows[number as usize].sealed.is_some() && self.random.once_in(3) {
            // Somebody on the way changes a bit.
            let mut reply = self.seal(number, reply);
            let bit = self.random.below(8 * reply.len() as u64) as usize;
            reply[bit / 8] ^= 1 << (bit % 8);
            return self.put(number, false, Segment::Bytes(reply));
        }
        // A surplus answer that another request could have is no garbage.
        let is_awaited = self.is_awaited(number);
        let is_question = command.key().starts_with(b"kamailio-memcached:");
        let reads = matches!(command.verb(), b"get" | b"gets" | b"mg");
        let has_value = reads && reply.starts_with(b"VA") || is_question;
        let garbled = match self.random.below(6) {
            0 => b"@#$%&\r\n".to_vec(),
            1 if is_awaited && !has_value => [&reply[..], b"STORED\r\n"].concat(),
            2 if is_awaited && !has_value => [&reply[..], &reply[..]].concat(),
            3 if has_value && !is_question => {
                let text = String::from_utf8_lossy(&reply);
                let key = String::from_utf8_lossy(command.key());
                text.replacen(&*key, "x", 1).into_bytes()
            }
            4 => match reads {
                true => b"STORED\r\n".to_vec(),
                false => b"END\r\n".to_vec(),
            },
            _ => {
                let cut = self.random.below(reply.len() as u64) as usize;
                self.tell(number, reply[..cut].to_vec());
                let by = if self.random.once_in(2) {
                    Segment::End
                } else {
                    Segment::Reset
                };
                return self.hang_up(number, by);
            }
        };
        self.tell(number, garbled);
    }

    /// All flows that lead to the server and that it knows.
    pub fn flows_to(&self, server: usize) -> Vec<u32> {
        let leads = |(_, flow): &(usize, &super::network::Flow)| {
            flow.server == Some(server)
                && (flow.known_to.is_some() || flow.client != Client::Closed)
        };
        let flows = self.flows.iter().enumerate().filter(leads);
        flows.map(|(number, _)| number as u32).collect()
    }

    /// The server's process goes on after it was stopped, or begins.
    pub fn go_on_serving(&mut self, server: usize) {
        self.servers[server].run = Run::Up;
        for flow in self.flows_to(server) {
            self.serve_soon(flow);
        }
    }
}
