//! Connection: this process's connection to one server, and one exchange under one deadline.
//!
//! Opened on first use by the process that uses it; one inherited over a fork is never touched,
//! only replaced. A reply that is not read to its proper end closes the connection, so the next
//! caller cannot see it. A connection that has been idle for a moment is looked at before it is
//! used: a server that was restarted then costs nobody an operation, and nothing is counted twice.

use std::time::{Duration, Instant};

use crate::clock::Deadline;
use crate::error::Error;
use crate::net::{Stream, sys};
use crate::protocol::ascii::encode;
use crate::protocol::parse::{Input, Source, read_reply};
use crate::protocol::{Reply, Request};
use crate::server::Address;

/// A connection unused for this long is looked at before it is used again. No server restarts
/// faster, and operations that follow each other need no look.
const IDLE: Duration = Duration::from_millis(5);

/// A request buffer that grew beyond this for a large value is given back.
const KEEP: usize = 64 * 1024;

/// A lazily opened connection to one server.
#[derive(Debug)]
pub struct Connection {
    address: Address,
    open: Option<Open>,
    output: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    stream: Stream,
    input: Input,
    /// The process that opened it, as [`sys::process`] tells them apart.
    process: u32,
    last_used: Instant,
}

/// How an attempt failed: whether the server can have seen the whole request.
enum Failure {
    NotSent(Error),
    Sent(Error),
}

impl Connection {
    /// A connection to `address` that nobody has needed yet.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            open: None,
            output: Vec::new(),
        }
    }

    /// Sends `request` and reads its reply; a value's bytes replace what `value` held.
    ///
    /// A connection that turns out to be closed is replaced once, within the deadline, if the
    /// request may safely be repeated or cannot have reached the server.
    ///
    /// # Errors
    /// Whatever kept the reply from being read; the connection is closed unless
    /// [`Error::in_step`].
    pub fn exchange(
        &mut self,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        deadline: &Deadline,
    ) -> Result<Reply, Error> {
        self.output.clear();
        self.output.shrink_to(KEEP);
        encode(request, &mut self.output);
        let result = match self.take_usable(deadline.start()) {
            None => self.attempt_anew(request, value, deadline),
            Some(open) => match self.attempt(open, request, value, deadline) {
                Err(Failure::NotSent(error)) if error.is_hangup() => {
                    self.attempt_anew(request, value, deadline)
                }
                Err(Failure::Sent(error)) if error.is_hangup() && request.is_repeatable() => {
                    self.attempt_anew(request, value, deadline)
                }
                result => result,
            },
        };
        result.map_err(|(Failure::NotSent(error) | Failure::Sent(error))| error)
    }

    fn take_usable(&mut self, now: Instant) -> Option<Open> {
        let open = self.open.take()?;
        let usable = open.process == sys::process()
            && (now.duration_since(open.last_used) < IDLE || open.stream.is_idle());
        usable.then_some(open)
    }

    fn attempt_anew(
        &mut self,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        deadline: &Deadline,
    ) -> Result<Reply, Failure> {
        let stream = Stream::connect(&self.address, deadline).map_err(Failure::NotSent)?;
        let open = Open {
            stream,
            input: Input::new(),
            process: sys::process(),
            last_used: deadline.start(),
        };
        self.attempt(open, request, value, deadline)
    }

    /// One exchange; the connection is kept only when it is in step afterwards.
    fn attempt(
        &mut self,
        mut open: Open,
        request: &Request<'_>,
        value: &mut Vec<u8>,
        deadline: &Deadline,
    ) -> Result<Reply, Failure> {
        open.stream
            .send(&self.output, deadline)
            .map_err(Failure::NotSent)?;
        let mut source = Timed {
            stream: &mut open.stream,
            deadline,
        };
        let reply = read_reply(request, &mut open.input, &mut source, value);
        if reply.as_ref().map_or_else(Error::in_step, |_| true) {
            open.last_used = deadline.start();
            self.open = Some(open);
        }
        reply.map_err(Failure::Sent)
    }
}

/// A stream with the deadline that its receives have to keep.
struct Timed<'a> {
    stream: &'a mut Stream,
    deadline: &'a Deadline,
}

impl Source for Timed<'_> {
    fn receive(&mut self, into: &mut [u8]) -> Result<usize, Error> {
        self.stream.receive(into, self.deadline)
    }
}
