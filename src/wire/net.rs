//! Stream: one connected byte stream to a memcached, on which every wait has a limit.
//!
//! It knows sockets and time, but no protocol. A healthy exchange is one `send` and one `recv`: the
//! socket stays blocking, and its receive timeout is the first wait of an operation, so this wait
//! needs no further system call, unless it [spins](Spin). (On a unix socket it polls if nothing is there yet:
//! `recv` would be woken up once more, when the server has taken the request.) Any later wait (after connecting, or
//! for a reply in pieces) polls for the time that is left, so a server that sends byte by byte cannot make it longer.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use super::spin::{self, Spin};
use super::wait_budget::WaitBudget;
use crate::clock::Moment;
use crate::error::{Down, Error, Waiting};
use crate::sys::{self, NotConnected};

/// The shortest time that one target gets.
const MIN_SHARE: Duration = Duration::from_millis(1);

/// A place where a server can be connected. No name is left to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(String),
}

impl AsRef<Target> for Target {
    fn as_ref(&self) -> &Target {
        self
    }
}

/// What was sent on a socket does not arrive after that is closed, if it has not arrived before.
pub(super) fn abandon(socket: &sys::Socket) {
    if !sys::planted("what is given up arrives later") {
        // If that fails, it is as it was: the kernel sends it again and again.
        let _ = sys::throw_away_unsent(socket);
    }
}

/// A connected stream; closed when dropped.
#[derive(Debug)]
pub(crate) struct Stream {
    socket: sys::Socket,
    /// The receive timeout that the socket carries.
    timeout: Duration,
    /// True while the operation has not waited for anything. Then its whole time is left, and the
    /// socket's own timeout is as good as a clock.
    unhurried: bool,
    /// Whether it is a unix socket.
    local: bool,
    spin: Option<Spin>,
}

impl Stream {
    /// Connects to one of `targets`. They are tried in their order, each within its share of the time.
    /// Returns the index of the one that was connected, too.
    ///
    /// # Errors
    /// [`Error::Down`] when none could be connected, [`Error::Timeout`].
    pub(crate) fn connect(
        targets: &[impl AsRef<Target>],
        budget: &WaitBudget<'_>,
    ) -> Result<(Self, usize), Error> {
        let (socket, at) = connect(targets, budget)?;
        Ok((Self::of(socket, budget)?, at))
    }

    /// A stream on a connected socket.
    ///
    /// # Errors
    /// [`Down::Shortage`]
    pub(super) fn of(socket: sys::Socket, budget: &WaitBudget<'_>) -> Result<Self, Error> {
        let timeout = budget.first_wait();
        let set =
            sys::set_blocking(&socket).and_then(|()| sys::set_receive_timeout(&socket, timeout));
        set.map_err(|error| Error::of_connecting(error.into()))?;
        Ok(Self {
            local: sys::is_local(&socket),
            socket,
            timeout,
            unhurried: false,
            spin: None,
        })
    }

    /// Keeps the connection alive while it is idle, in the eyes of the kernel and of firewalls. Does
    /// nothing on a unix socket.
    pub(crate) fn keep_alive(&self, idle: Duration) {
        // Fails where there is no such option: the connection is as good without.
        let _ = sys::keep_alive(&self.socket, idle);
    }

    /// What was sent on it and has not arrived is not to arrive any more once it is closed. Who has given up a
    /// write may do it again elsewhere, or do another one: a late packet would put the old value in its place.
    #[cold]
    pub(super) fn abandon(&self) {
        abandon(&self.socket);
    }

    /// While answers usually come within `limit`, the first wait of an operation asks for its answer
    /// again until then, before it sleeps. Zero = it always sleeps; `None` = so it does, except on a unix socket.
    pub(crate) fn spin_within(&mut self, limit: Option<Duration>) {
        let usual = match self.local {
            true => spin::LOCAL,
            false => Duration::ZERO,
        };
        self.spin = Spin::within(limit.unwrap_or(usual));
    }

    /// The socket.
    pub(super) fn into_socket(self) -> sys::Socket {
        self.socket
    }

    /// An operation begins. Its whole time is left.
    pub(crate) fn begin(&mut self) {
        self.unhurried = true;
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// [`Down::Lost`], [`Down::CutShort`] or [`Error::Timeout`]. The server has not got all of them then.
    pub(crate) fn send(&mut self, mut bytes: &[u8], budget: &WaitBudget<'_>) -> Result<(), Error> {
        loop {
            match sys::send_now(&self.socket, bytes) {
                Ok(sent) if sent == bytes.len() => return Ok(()),
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    budget.note_progress();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unhurried = false;
                    let time = budget.left(Waiting::Send)?;
                    sys::wait_writable(&self.socket, time).map_err(cut_short)?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    self.unhurried = false;
                    budget.left(Waiting::Send)?;
                }
                Err(error) => return Err(Error::of_exchange(error)),
            }
        }
    }

    /// Waits for bytes and receives them: at least one, or 0 when the server has closed.
    ///
    /// # Errors
    /// [`Down::Lost`], [`Down::CutShort`] or [`Error::Timeout`].
    pub(crate) fn receive(
        &mut self,
        into: &mut [u8],
        budget: &WaitBudget<'_>,
    ) -> Result<usize, Error> {
        loop {
            let received = if std::mem::take(&mut self.unhurried) {
                if self.timeout != budget.first_wait() {
                    self.timeout = budget.first_wait();
                    sys::set_receive_timeout(&self.socket, self.timeout).map_err(cut_short)?;
                }
                match &mut self.spin {
                    None if !self.local => sys::receive(&self.socket, into),
                    None => receive_polling(&self.socket, self.timeout, into),
                    Some(spin) => {
                        let poll = self.local.then_some(self.timeout);
                        receive_spinning(&self.socket, poll, into, spin, budget.start())
                    }
                }
            } else {
                match budget.left(Waiting::Receive) {
                    Ok(time) => {
                        sys::wait_readable(&self.socket, time).map_err(cut_short)?;
                        sys::receive_now(&self.socket, into)
                    }
                    Err(late) if budget.has_overrun() => return Err(late),
                    // The process may have been stopped, and the reply is there.
                    Err(late) => return sys::receive_now(&self.socket, into).or(Err(late)),
                }
            };
            match received {
                Err(error) if is_passing(&error) => {}
                received => return received.map_err(Error::of_exchange),
            }
        }
    }

    /// Sends what the socket takes at once; returns how many bytes that is.
    ///
    /// # Errors
    /// [`Error::Down`]
    pub(super) fn send_now(&self, bytes: &[u8]) -> Result<usize, Error> {
        match sys::send_now(&self.socket, bytes) {
            Err(error) if is_passing(&error) => Ok(0),
            sent => sent.map_err(Error::of_exchange),
        }
    }

    /// Receives what is there; `None` if that is nothing, 0 when the server has closed.
    ///
    /// # Errors
    /// [`Error::Down`]
    pub(super) fn receive_now(&self, into: &mut [u8]) -> Result<Option<usize>, Error> {
        match sys::receive_now(&self.socket, into) {
            Err(error) if is_passing(&error) => Ok(None),
            received => received.map(Some).map_err(Error::of_exchange),
        }
    }

    /// The socket, to wait for.
    pub(super) fn socket(&self) -> &sys::Socket {
        &self.socket
    }

    /// True when the server has neither closed the connection nor sent anything. Between two requests
    /// a connection must look like that.
    pub(crate) fn is_idle(&self) -> bool {
        sys::peek(&self.socket).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// Receives, and sleeps until there is something: for as long as the socket's receive timeout, or as it shall `poll`.
fn receive_sleeping(
    socket: &sys::Socket,
    poll: Option<Duration>,
    into: &mut [u8],
) -> io::Result<usize> {
    match poll {
        None => sys::receive(socket, into),
        Some(time) => receive_polling(socket, time, into),
    }
}

#[inline(never)]
fn receive_polling(socket: &sys::Socket, time: Duration, into: &mut [u8]) -> io::Result<usize> {
    let received = sys::receive_now(socket, into);
    if !received.as_ref().is_err_and(is_passing) {
        return received;
    }
    sys::wait_readable(socket, time)?;
    sys::receive_now(socket, into)
}

/// The first wait of an operation that began at `start`.
#[inline(never)]
fn receive_spinning(
    socket: &sys::Socket,
    poll: Option<Duration>,
    into: &mut [u8],
    spin: &mut Spin,
    start: Moment,
) -> io::Result<usize> {
    if !spin.goes_on(start, start) {
        let received = receive_sleeping(socket, poll, into);
        spin.note_slept(start, Moment::now());
        return received;
    }
    let mut now = None;
    loop {
        let received = sys::receive_now(socket, into);
        if !received.as_ref().is_err_and(is_passing) {
            spin.note_answered();
            return received;
        }
        let away = now.unwrap_or_else(Moment::now);
        sys::give_way();
        let back = Moment::now();
        spin.note_turn(away, back);
        if !spin.goes_on(start, back) {
            spin.note_vain();
            let left = poll.map(|time| time.saturating_sub(back.since(start)));
            return receive_sleeping(socket, left, into);
        }
        now = Some(back);
    }
}

fn connect(
    targets: &[impl AsRef<Target>],
    budget: &WaitBudget<'_>,
) -> Result<(sys::Socket, usize), Error> {
    loop {
        let mut failure = Err(Error::Down(Down::Unresolved));
        let mut late = false;
        for (at, target) in targets.iter().enumerate() {
            let left = budget.left(Waiting::Connect)?;
            let share = (left / (targets.len() - at) as u32).max(MIN_SHARE);
            let connected = match target.as_ref() {
                Target::Unix(path) => sys::connect_unix(path.as_ref(), share),
                Target::Tcp(address) => sys::connect_tcp(address, share),
            };
            match connected {
                Ok(socket) => return Ok((socket, at)),
                Err(NotConnected::Refused(error)) if is_late(&error) => late = true,
                Err(error) => failure = Err(Error::of_connecting(error)),
            }
        }
        if !late {
            return failure;
        }
        // A target may still answer. Try again if time is left.
    }
}

/// True when the call may just be tried again: nothing was there yet, or a signal came.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// A call of this process's own has failed in the middle of an exchange.
fn cut_short(error: io::Error) -> Error {
    Error::Down(Down::CutShort(error))
}

/// True when connecting may succeed at another try: its share of the time was over, or a signal came.
fn is_late(error: &io::Error) -> bool {
    is_passing(error) || error.kind() == ErrorKind::TimedOut
}

#[cfg(test)]
mod tests;
