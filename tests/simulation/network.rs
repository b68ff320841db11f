//! Flow: one TCP connection, with the segments that are on their way in both directions.
//!
//! Segments of a direction arrive in their order. A path that is blocked keeps them until it is open
//! again, as retransmissions do; a flow that a firewall has forgotten loses them for good.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use internals::simulation::Place;
use kamailio_memcached::internals;

use super::server::Run;
use super::trace::shown;
use super::world::{Event, MICRO, MILLI, SECOND, State};

/// What is on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// The client wants to connect.
    Open,
    /// The server's system accepts.
    Accepted,
    /// Nobody listens there.
    Refused,
    /// Bytes.
    Bytes(Vec<u8>),
    /// No more bytes follow.
    End,
    /// The other side knows nothing of this flow.
    Reset,
}

/// What the client knows of its flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// It waits to be connected.
    Connecting,
    /// It is connected.
    Open,
    /// The server has closed it, with the number of the error if it is one.
    Ended(Option<i32>),
    /// The client has closed it.
    Closed,
}

/// Segments on the way in one direction.
#[derive(Debug, Default)]
pub struct Direction {
    segments: VecDeque<(u64, Segment)>,
    /// When the last one arrives.
    last: u64,
    /// Whether the arrival of the first one is an event already.
    is_due: bool,
}

/// A connection.
#[derive(Debug)]
pub struct Flow {
    /// The index of the process that has opened it.
    pub process: usize,
    /// The index of the server, if one has that address.
    pub server: Option<usize>,
    /// When it was opened.
    pub opened: u64,
    /// A firewall has forgotten it.
    pub is_forgotten: bool,
    pub client: Client,
    /// The end of what the client wanted to send last is still to be sent.
    is_half_sent: bool,
    /// What the client has not received yet.
    pub inbox: VecDeque<u8>,
    to_server: Direction,
    to_client: Direction,
    /// The run of the server that knows the flow.
    pub known_to: Option<u32>,
    /// What the server has not read yet.
    pub unread: Vec<u8>,
    /// What the server knows of the client.
    pub session: support::model::ClientSession,
    /// Whether the server's next look at it is an event already.
    pub is_served: bool,
    /// The client has closed it, and the server will know once it has read all.
    pub ends: bool,
}

impl Flow {
    /// Whether nothing is on its way to the server.
    pub fn is_silent(&self) -> bool {
        self.to_server.segments.is_empty()
    }

    fn direction(&mut self, to_server: bool) -> &mut Direction {
        match to_server {
            true => &mut self.to_server,
            false => &mut self.to_client,
        }
    }
}

impl State {
    /// Begins to connect.
    pub fn connect(&mut self, place: Place<'_>) -> io::Result<u32> {
        let current = self.current.expect("a process");
        if self.processes[current].short_until > self.now {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        let (number, server) = (self.flows.len() as u32, self.names.server_at(place));
        if let Some(server) = server {
            self.note_connection(current, server);
        }
        self.flows.push(Flow {
            process: current,
            server,
            opened: self.now,
            is_forgotten: false,
            client: Client::Connecting,
            is_half_sent: false,
            inbox: VecDeque::new(),
            to_server: Direction::default(),
            to_client: Direction::default(),
            known_to: None,
            unread: Vec::new(),
            session: Default::default(),
            is_served: false,
            ends: false,
        });
        self.say(|_| format!("connects to {place:?}: flow {number}"));
        match server {
            Some(_) => self.put(number, true, Segment::Open),
            None => {
                if !self.servers.iter().any(|server| server.has_moved) {
                    let found = format!("a connection to {place:?}, where no server was ever");
                    self.history.violations.push(found);
                }
                self.put(number, false, Segment::Refused);
            }
        }
        Ok(number)
    }

    /// How connecting went.
    pub fn connected(&mut self, socket: u32) -> io::Result<()> {
        match self.flows[socket as usize].client {
            Client::Connecting => Err(io::Error::from_raw_os_error(libc::ENOTCONN)),
            Client::Ended(Some(code)) => Err(io::Error::from_raw_os_error(code)),
            _ => Ok(()),
        }
    }

    /// Whether a call on the socket would not wait.
    pub fn is_ready(&self, socket: u32, sends: bool) -> bool {
        let flow = &self.flows[socket as usize];
        match flow.client {
            Client::Connecting => false,
            Client::Open => sends || !flow.inbox.is_empty(),
            Client::Ended(_) | Client::Closed => true,
        }
    }

    /// Sends bytes, most often all of them.
    pub fn send(&mut self, socket: u32, bytes: &[u8]) -> io::Result<usize> {
        match self.flows[socket as usize].client {
            Client::Connecting => return Err(ErrorKind::WouldBlock.into()),
            Client::Ended(Some(code)) => return Err(io::Error::from_raw_os_error(code)),
            Client::Closed => return Err(io::Error::from_raw_os_error(libc::EPIPE)),
            Client::Open | Client::Ended(None) => {}
        }
        let count = match self.random.once_in(60) {
            true => self.random.between(1, bytes.len() as u64) as usize,
            false => bytes.len(),
        };
        self.say(|_| format!("sends on flow {socket}: {}", shown(&bytes[..count])));
        let flow = &mut self.flows[socket as usize];
        let has_begun = std::mem::replace(&mut flow.is_half_sent, count < bytes.len());
        if !has_begun {
            self.note_request(socket);
        }
        self.put_bytes(socket, true, &bytes[..count]);
        Ok(count)
    }

    /// Receives what is there.
    pub fn receive(&mut self, socket: u32, into: &mut [u8], keeps: bool) -> io::Result<usize> {
        self.largest_room = self.largest_room.max(into.len());
        let flow = &mut self.flows[socket as usize];
        let count = flow.inbox.len().min(into.len());
        if count > 0 {
            for (to, from) in into.iter_mut().zip(&flow.inbox) {
                *to = *from;
            }
            if !keeps {
                flow.inbox.drain(..count);
                self.say(|_| format!("receives on flow {socket}: {}", shown(&into[..count])));
            }
            return Ok(count);
        }
        match flow.client {
            Client::Connecting | Client::Open => Err(ErrorKind::WouldBlock.into()),
            Client::Ended(None) => Ok(0),
            Client::Ended(Some(code)) => Err(io::Error::from_raw_os_error(code)),
            Client::Closed => Err(io::Error::from_raw_os_error(libc::EBADF)),
        }
    }

    /// The client closes the flow.
    pub fn close(&mut self, socket: u32) {
        let flow = &mut self.flows[socket as usize];
        let segment = match (flow.client, flow.inbox.is_empty()) {
            (Client::Closed, _) => return,
            (Client::Connecting | Client::Ended(Some(_)), _) | (_, false) => Segment::Reset,
            _ => Segment::End,
        };
        flow.client = Client::Closed;
        flow.inbox.clear();
        self.say(|_| format!("closes flow {socket}"));
        self.put(socket, true, segment);
    }

    /// Puts bytes on their way, perhaps in pieces.
    pub fn put_bytes(&mut self, flow: u32, to_server: bool, bytes: &[u8]) {
        let mut rest = bytes;
        while rest.len() > 1 && self.random.once_in(12) {
            let cut = self.random.between(1, rest.len() as u64 - 1) as usize;
            self.put(flow, to_server, Segment::Bytes(rest[..cut].to_vec()));
            rest = &rest[cut..];
            if self.random.once_in(8) {
                let is_far = self.is_far(self.flows[flow as usize].server);
                let most = if is_far {
                    self.setup.stall_limit
                } else {
                    MILLI / 5
                };
                let gap = self.random.below(most);
                self.flows[flow as usize].direction(to_server).last += gap;
            }
        }
        self.put(flow, to_server, Segment::Bytes(rest.to_vec()));
    }

    /// Puts a segment on its way.
    pub fn put(&mut self, number: u32, to_server: bool, segment: Segment) {
        let delay = self.delay(self.flows[number as usize].server);
        let now = self.now;
        let way = self.flows[number as usize].direction(to_server);
        let arrives = way.last.max(now + delay);
        way.last = arrives;
        way.segments.push_back((arrives, segment));
        if !way.is_due {
            way.is_due = true;
            let event = Event::Arrive {
                flow: number,
                to_server,
            };
            self.at(arrives, event);
        }
    }

    fn delay(&mut self, server: Option<usize>) -> u64 {
        let usual = self.random.between(20 * MICRO, 120 * MICRO);
        match self.is_far(server) {
            true => usual + self.random.below(self.setup.stall_limit),
            false => usual,
        }
    }

    fn is_far(&self, server: Option<usize>) -> bool {
        server.is_some_and(|server| self.servers[server].far_until > self.now)
    }

    /// The first segment of a direction is due.
    pub fn arrive(&mut self, number: u32, to_server: bool) {
        let now = self.now;
        let flow = &mut self.flows[number as usize];
        let (server, opened, is_forgotten) = (flow.server, flow.opened, flow.is_forgotten);
        let way = flow.direction(to_server);
        way.is_due = false;
        let Some((_, segment)) = way.segments.front() else {
            return;
        };
        if is_forgotten {
            way.segments.clear();
            return;
        }
        let is_opening = *segment == Segment::Open;
        if let Some(until) =
            server.and_then(|server| self.servers[server].blocked_until(now, is_opening))
        {
            let again = self.again(opened, until, is_opening);
            self.flows[number as usize].direction(to_server).is_due = true;
            self.at(
                again,
                Event::Arrive {
                    flow: number,
                    to_server,
                },
            );
            return;
        }
        let way = self.flows[number as usize].direction(to_server);
        let segment = way.segments.pop_front().map(|(_, segment)| segment);
        if let Some(next) = way.segments.front().map(|(arrives, _)| (*arrives).max(now)) {
            way.is_due = true;
            self.at(
                next,
                Event::Arrive {
                    flow: number,
                    to_server,
                },
            );
        }
        match (segment, to_server) {
            (Some(segment), true) => self.reach_server(number, segment),
            (Some(segment), false) => self.reach_client(number, segment),
            (None, _) => {}
        }
    }

    /// When a segment is sent again that was lost until `until`.
    fn again(&mut self, opened: u64, until: u64, is_opening: bool) -> u64 {
        if !is_opening {
            return until + self.random.below(200 * MILLI);
        }
        let mut wait = SECOND;
        while opened + wait < until {
            wait = 2 * wait + SECOND;
        }
        opened + wait
    }

    fn reach_client(&mut self, number: u32, segment: Segment) {
        let flow = &mut self.flows[number as usize];
        match (flow.client, segment) {
            (Client::Closed, _) => return,
            (Client::Connecting, Segment::Accepted) => flow.client = Client::Open,
            (Client::Connecting, Segment::Refused | Segment::Reset) => {
                flow.client = Client::Ended(Some(libc::ECONNREFUSED));
            }
            (_, Segment::Bytes(bytes)) => flow.inbox.extend(bytes),
            (_, Segment::End) => flow.client = Client::Ended(None),
            (Client::Open, Segment::Reset) => flow.client = Client::Ended(Some(libc::ECONNRESET)),
            _ => return,
        }
        self.note_arrival(number);
        self.wake_waiting_for(number);
    }

    fn reach_server(&mut self, number: u32, segment: Segment) {
        let Some(at) = self.flows[number as usize].server else {
            return;
        };
        let (run, epoch) = (self.servers[at].run, self.servers[at].epoch);
        let is_known = self.flows[number as usize].known_to == Some(epoch);
        match segment {
            Segment::Open if run == Run::Down || self.servers[at].refuses(self.now) => {
                self.put(number, false, Segment::Refused);
            }
            Segment::Open => {
                self.flows[number as usize].known_to = Some(epoch);
                self.put(number, false, Segment::Accepted);
                if self.servers[at].turns_away(self.now) && run == Run::Up {
                    self.put(
                        number,
                        false,
                        Segment::Bytes(b"ERROR Too many open connections\r\n".to_vec()),
                    );
                    self.hang_up(number, Segment::End);
                }
            }
            Segment::Reset => {
                let flow = &mut self.flows[number as usize];
                flow.known_to = None;
                flow.unread.clear();
            }
            _ if run == Run::Down || !is_known => self.put(number, false, Segment::Reset),
            Segment::Bytes(bytes) => {
                self.flows[number as usize].unread.extend(bytes);
                self.serve_soon(number);
            }
            Segment::End => {
                self.flows[number as usize].ends = true;
                self.serve_soon(number);
            }
            Segment::Accepted | Segment::Refused => {}
        }
    }

    /// The server closes the flow.
    pub fn hang_up(&mut self, number: u32, by: Segment) {
        let flow = &mut self.flows[number as usize];
        if flow.known_to.take().is_some() {
            flow.unread.clear();
            // What is lost before a reset is never sent again.
            if by == Segment::Reset && self.random.once_in(2) {
                flow.to_client.segments.clear();
            }
            self.put(number, false, by);
        }
    }
}
