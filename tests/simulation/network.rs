//! Flow: one TCP connection, with the segments that are on their way in both directions.
//!
//! Segments of a direction arrive in their order. A path that is blocked keeps them until it is open
//! again, as retransmissions do; a flow that a firewall has forgotten loses them for good.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};

use internals::simulation::Place;
use kamailio_memcached::internals;

use super::sealed::Sealed;
use super::trace::shown;
use super::world::{Event, MICRO, MILLI, State};

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
    pub segments: VecDeque<(u64, Segment)>,
    /// When the last one arrives.
    last: u64,
    /// Whether the arrival of the first one is an event already.
    pub is_due: bool,
    /// The first one was lost, and is sent again until it arrives.
    pub is_lost: bool,
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
    /// When the client closes it, what has been lost on the way is not sent again.
    pub is_abandoned: bool,
    /// The end of what the client wanted to send last is still to be sent.
    is_half_sent: bool,
    /// What the client has not received yet.
    pub inbox: VecDeque<u8>,
    to_server: Direction,
    pub to_client: Direction,
    /// The run of the server that knows the flow.
    pub known_to: Option<u32>,
    /// The server's side of TLS, if it speaks that and has accepted.
    pub sealed: Option<Box<Sealed>>,
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

    /// Whether the server has something to read.
    pub fn has_unread(&self) -> bool {
        let is_sealed = |sealed: &Sealed| sealed.has_unread();
        !self.unread.is_empty() || self.sealed.as_deref().is_some_and(is_sealed)
    }

    /// Bytes for the trace. What is encrypted is different each time.
    fn shown(&self, bytes: &[u8]) -> String {
        match self.sealed {
            Some(_) => format!("{} bytes", bytes.len()),
            None => shown(bytes),
        }
    }

    /// The segments on the way there.
    pub fn direction(&mut self, to_server: bool) -> &mut Direction {
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
            is_abandoned: false,
            is_half_sent: false,
            inbox: VecDeque::new(),
            to_server: Direction::default(),
            to_client: Direction::default(),
            known_to: None,
            sealed: None,
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
        self.say(|it| {
            let shown = it.flows[socket as usize].shown(&bytes[..count]);
            format!("sends on flow {socket}: {shown}")
        });
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
            let inbox = flow.inbox.make_contiguous();
            into[..count].copy_from_slice(&inbox[..count]);
            if !keeps {
                flow.inbox.drain(..count);
                self.say(|it| {
                    let shown = it.flows[socket as usize].shown(&into[..count]);
                    format!("receives on flow {socket}: {shown}")
                });
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
            _ if flow.is_abandoned => Segment::Reset,
            (Client::Connecting | Client::Ended(Some(_)), _) | (_, false) => Segment::Reset,
            _ => Segment::End,
        };
        let is_open = flow.client == Client::Open && !self.processes[flow.process].is_killed;
        flow.client = Client::Closed;
        flow.inbox.clear();
        let way = &mut flow.to_server;
        // Before both sides have agreed on TLS there is no request.
        let is_agreed = flow.sealed.as_deref().is_none_or(Sealed::has_agreed);
        let is_request =
            |(_, segment): &(u64, Segment)| is_agreed && matches!(segment, Segment::Bytes(_));
        if way.is_lost && flow.is_abandoned {
            way.segments.clear();
        } else if way.is_lost && is_open && way.segments.iter().any(is_request) {
            let found = format!("flow {socket} is closed, and what was lost on it will arrive");
            self.history.violations.push(found);
        }
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
}
