//! Polled: a connection that never waits by itself. So one process can talk to many servers at the
//! same time: it [waits](wait_any) for all its connections at once, and lets those that are ready go
//! on.

use std::time::Duration;

use super::access::Access;
use super::net::{self, Stream, Target, is_passing};
use super::protocol::{Reply, Request};
use super::session::Session;
use super::wait_budget::WaitBudget;
use crate::error::{Error, Waiting};
use crate::sys;

/// A connection to one server, from its beginning on.
pub(crate) struct Polled {
    socket: sys::Socket,
    session: Session,
    connected: bool,
    value: Vec<u8>,
}

impl Polled {
    /// Goes on with a connection that is open, whose session may be in the middle of receiving a value
    /// into `value`.
    pub(super) fn take_over(stream: Stream, session: Session, value: Vec<u8>) -> Self {
        Self {
            socket: stream.into_socket(),
            session,
            connected: true,
            value,
        }
    }

    /// The value or text of the last reply.
    pub(super) fn take_value(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.value)
    }

    /// The connection.
    ///
    /// # Errors
    /// [`Error::Down`]
    pub(super) fn into_parts(self, budget: &WaitBudget<'_>) -> Result<(Stream, Session), Error> {
        Ok((Stream::of(self.socket, budget)?, self.session))
    }

    /// It is about to be closed, and if it owes a reply, nobody waits for that any more.
    pub(crate) fn abandon(&self) {
        if !self.session.is_idle() {
            net::abandon(&self.socket);
        }
    }

    /// Begins to connect, as `access` says. Values of up to `value_limit` bytes are read.
    ///
    /// # Errors
    /// [`Error::Down`]
    pub(crate) fn connect(
        target: &Target,
        value_limit: u32,
        access: &Access,
    ) -> Result<Self, Error> {
        let socket = match target {
            Target::Tcp(address) => sys::begin_connect_tcp(address),
            Target::Unix(path) => sys::begin_connect_unix(path.as_ref()),
        };
        Ok(Self {
            socket: socket.map_err(Error::of_connecting)?,
            session: Session::on(value_limit, access)?,
            connected: false,
            value: Vec::new(),
        })
    }

    /// Adds a request. It is sent as soon as the connection is open and has room.
    ///
    /// # Errors
    /// Those of [`Session::request`].
    pub(crate) fn request(&mut self, request: &Request<'_>) -> Result<(), Error> {
        self.session.request(request)
    }

    /// True if all goes through TLS.
    pub(super) fn is_secured(&self) -> bool {
        self.session.is_secured()
    }

    /// Whether it is connected.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }

    /// True in the middle of a reply.
    pub(super) fn is_receiving(&self) -> bool {
        self.session.has_input()
    }

    /// Sends or receives what it can, once [`wait_any`] has told that it can go on.
    ///
    /// # Errors
    /// What has happened to the connection, which is of no use then.
    pub(crate) fn go_on(&mut self) -> Result<(), Error> {
        if !self.connected {
            sys::connected(&self.socket).map_err(Error::of_connecting)?;
            self.connected = true;
        }
        if self.has_to_send() {
            self.send()?;
            // A server that does not take more may wait until its answers are taken.
            if !self.has_to_send() {
                return Ok(());
            }
        }
        if self.session.is_secured() {
            return self.receive_sealed();
        }
        let received = sys::receive_now(&self.socket, self.session.room(&mut self.value));
        let count = received.as_ref().map_or(0, |&count| count);
        self.session.received(count, &mut self.value);
        match received {
            Ok(0) => Err(self.session.closed()),
            Err(error) if !is_passing(&error) => Err(self.session.lost(Error::of_exchange(error))),
            _ => Ok(()),
        }
    }

    #[cold]
    fn receive_sealed(&mut self) -> Result<(), Error> {
        let received = match self.session.tls() {
            Some(tls) => sys::receive_now(&self.socket, tls.room()),
            None => return Ok(()),
        };
        match received {
            Ok(count @ 1..) => match self.session.tls() {
                Some(tls) => {
                    tls.received(count);
                    tls.advance()
                }
                None => Ok(()),
            },
            Ok(_) => Err(self.session.closed()),
            Err(error) if is_passing(&error) => Ok(()),
            Err(error) => Err(self.session.lost(Error::of_exchange(error))),
        }
    }

    /// True until both sides have agreed on TLS, if there is any.
    pub(crate) fn is_opening(&self) -> bool {
        self.session.is_opening()
    }

    /// When the first of the certificates ends that the server has shown, in seconds of Unix time.
    pub(crate) fn certificates_end(&self) -> Option<i64> {
        self.session.certificates_end()
    }

    /// Waits until both sides have agreed on TLS.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Denied`], [`Error::Garbled`], [`Error::Down`]
    pub(super) fn agree(mut self, budget: &WaitBudget<'_>) -> Result<(Stream, Session), Error> {
        while self.is_opening() {
            let time = budget.left(Waiting::Agreement)?;
            if wait_any(&[&self], time)[0] {
                self.go_on()?;
                budget.note_progress();
            }
        }
        self.into_parts(budget)
    }

    /// The next reply with its value or text, or `None` if that is still to come, or none is owed.
    ///
    /// # Errors
    /// Those of [`Session::reply`]: also if something has come that nobody has asked for.
    pub(crate) fn reply(&mut self) -> Result<Option<(Reply, &[u8])>, Error> {
        let reply = match self.session.is_secured() {
            true => self.session.secured_reply(&mut self.value)?,
            false => self.session.reply(&mut self.value)?,
        };
        Ok(reply.map(|reply| (reply, &self.value[..])))
    }

    /// True when no reply is owed.
    pub(crate) fn is_idle(&self) -> bool {
        self.session.is_idle()
    }

    fn has_to_send(&self) -> bool {
        self.session.has_to_send()
    }

    fn send(&mut self) -> Result<(), Error> {
        if let Some(tls) = self.session.sealed()? {
            match sys::send_now(&self.socket, tls.unsent()) {
                Ok(count) => tls.note_sent(count),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(Error::of_exchange(error)),
            }
            return Ok(());
        }
        match sys::send_now(&self.socket, self.session.unsent()) {
            Ok(count) => self.session.note_sent(count),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(Error::of_exchange(error)),
        }
        Ok(())
    }
}

/// Waits, `time` at most, until any of them can go on; tells for each whether it can.
pub(crate) fn wait_any(connections: &[&Polled], time: Duration) -> Vec<bool> {
    let sockets: Vec<_> = connections
        .iter()
        .map(|polled| (&polled.socket, polled.has_to_send() || !polled.connected))
        .collect();
    // If the kernel does not tell, all of them look for themselves.
    sys::wait_any(&sockets, time).unwrap_or_else(|_| vec![true; sockets.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Deadline, Moment};
    use crate::item::key::WireKey;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A server that answers by `replies` once it has got `len` bytes.
    fn answering(len: usize, replies: &'static [u8]) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Tcp(listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.read_exact(&mut vec![0; len]).unwrap();
            stream.write_all(replies).unwrap();
        });
        target
    }

    #[test]
    fn many_servers_answer_many_requests_at_the_same_time() {
        let key = &WireKey::new(b"", b"k").unwrap();
        let requests = [
            Request::Get { key },
            Request::Version,
            Request::Delete { key },
        ];
        let len = "get k\r\nversion\r\ndelete k\r\n".len();
        let servers = [
            answering(
                len,
                b"VALUE k 0 3\r\none\r\nEND\r\nVERSION 1\r\nDELETED\r\n",
            ),
            answering(len, b"END\r\nVERSION 2\r\nNOT_FOUND\r\n"),
        ];
        let mut connections = servers.map(|target| {
            let mut polled = Polled::connect(&target, 3, &Access::default()).unwrap();
            for request in &requests {
                polled.request(request).unwrap();
            }
            polled
        });
        let mut answers = [const { Vec::new() }; 2];
        let deadline = Deadline::new(Moment::now(), Duration::from_secs(10));
        while answers.iter().any(|answers| answers.len() < requests.len()) {
            let left = deadline.remaining().expect("all of them in time");
            let ready = wait_any(&connections.each_ref(), left);
            // A server that has answered everything closes its connection.
            let waits = |at: &usize| ready[*at] && answers[*at].len() < requests.len();
            for at in (0..2).filter(waits).collect::<Vec<_>>() {
                connections[at].go_on().unwrap();
                while let Some((_, value)) = connections[at].reply().unwrap() {
                    answers[at].push(String::from_utf8(value.to_vec()).unwrap());
                }
            }
        }
        assert_eq!(answers[0][..2], ["one", "1"]);
        assert_eq!(answers[1][1], "2");
    }
}
