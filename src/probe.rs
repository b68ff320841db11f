//! Probe: asks many servers at once whether they are there.
//!
//! A probe is a full exchange on a connection of its own: connect, ask for the version, read
//! the answer. All wait together, so a hundred dead servers take as long as one.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;

use crate::clock::Deadline;
use crate::error::{Down, Error, Waiting};
use crate::net::{Target, sys};

const REQUEST: &[u8] = b"version\r\n";
const ANSWER: &[u8] = b"VERSION ";

/// Asks each server, which is at one of its targets; what went wrong there, in the same order.
pub fn probe(servers: Vec<Vec<Target>>, deadline: &Deadline) -> Vec<Result<(), Error>> {
    let begin = |targets| Probe::begin(targets, *deadline);
    let mut probes: Vec<Probe> = servers.into_iter().map(begin).collect();
    go_on(&mut probes.iter_mut().collect::<Vec<_>>(), deadline);
    probes.into_iter().map(Probe::end).collect()
}

/// Goes on with all probes until they are over, or `deadline` has passed.
pub fn go_on(probes: &mut [&mut Probe], deadline: &Deadline) {
    while let Some(time) = deadline.remaining() {
        let pending = |probe: &&mut &mut Probe| probe.result.is_none();
        let waiting: Vec<_> = probes.iter_mut().filter(pending).collect();
        if waiting.is_empty() {
            return;
        }
        let sockets: Vec<_> = waiting.iter().filter_map(|probe| probe.wanted()).collect();
        let ready = sys::wait_any(&sockets, time).unwrap_or_else(|_| vec![true; sockets.len()]);
        for (probe, _) in waiting.into_iter().zip(ready).filter(|(_, ready)| *ready) {
            probe.go_on();
        }
    }
}

/// One server being asked.
pub struct Probe {
    /// Where it may still be tried.
    targets: std::vec::IntoIter<Target>,
    deadline: Deadline,
    socket: Option<OwnedFd>,
    sent: bool,
    answer: Vec<u8>,
    result: Option<Result<(), Error>>,
}

impl Probe {
    /// Begins to ask the server at one of `targets`, until `deadline` at most.
    pub fn begin(targets: Vec<Target>, deadline: Deadline) -> Self {
        let mut probe = Self {
            targets: targets.into_iter(),
            deadline,
            socket: None,
            sent: false,
            answer: Vec::new(),
            result: None,
        };
        probe.connect(Error::Down(Down::Unresolved));
        probe
    }

    /// True when it need not be gone on with.
    pub fn is_over(&self) -> bool {
        self.result.is_some() || self.deadline.remaining().is_none()
    }

    /// Begins to connect to the next target; `failure` is the result if there is none.
    fn connect(&mut self, mut failure: Error) {
        for target in self.targets.by_ref() {
            let socket = match &target {
                Target::Tcp(address) | Target::Named(address, _) => sys::begin_connect_tcp(address),
                Target::Unix(path) => sys::begin_connect_unix(path.as_ref()),
            };
            match socket {
                Ok(socket) => {
                    self.socket = Some(socket);
                    return;
                }
                Err(error) => failure = Error::Down(Down::Connect(error)),
            }
        }
        self.result = Some(Err(failure));
    }

    /// The socket, and whether it waits for room to send.
    fn wanted(&self) -> Option<(&OwnedFd, bool)> {
        self.socket.as_ref().map(|socket| (socket, !self.sent))
    }

    /// The socket is ready for something.
    fn go_on(&mut self) {
        let Some(socket) = &self.socket else {
            return;
        };
        if !self.sent {
            match sys::connected(socket).and_then(|()| sys::send_now(socket, REQUEST)) {
                Ok(_) => self.sent = true,
                Err(error) => self.connect(Error::Down(Down::Connect(error))),
            }
            return;
        }
        let mut room = [0; 128];
        match sys::receive_now(socket, &mut room) {
            Ok(0) => self.result = Some(Err(Error::Down(Down::Closed))),
            Ok(got) => {
                self.answer.extend_from_slice(&room[..got]);
                self.look();
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => self.result = Some(Err(Error::Down(Down::Lost(error)))),
        }
    }

    fn look(&mut self) {
        let begun = &self.answer[..self.answer.len().min(ANSWER.len())];
        if !ANSWER.starts_with(begun) || self.answer.len() > 512 {
            self.result = Some(Err(Error::Garbled("no version of a memcached")));
        } else if self.answer.ends_with(b"\r\n") {
            self.result = Some(Ok(()));
        }
    }

    /// What it came to; a timeout if it is not over.
    ///
    /// # Errors
    /// What went wrong.
    pub fn end(self) -> Result<(), Error> {
        let late = if self.sent {
            Waiting::Receive
        } else {
            Waiting::Connect
        };
        self.result.unwrap_or(Err(Error::Timeout(late)))
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    fn listener() -> (TcpListener, Vec<Target>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Tcp(listener.local_addr().unwrap());
        (listener, vec![target])
    }

    fn answering(answer: &'static [u8]) -> Vec<Target> {
        let (listener, target) = listener();
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.read_exact(&mut [0; REQUEST.len()]).unwrap();
            stream.write_all(answer).unwrap();
        });
        target
    }

    #[test]
    fn each_server_has_a_verdict_and_all_take_as_long_as_one() {
        let (silent, silent_target) = listener();
        let (_, closed_target) = listener();
        let second_try = [closed_target.clone(), answering(b"VERSION 1\r\n")].concat();
        let servers = vec![
            answering(b"VERSION 1.6.18\r\n"),
            closed_target,
            silent_target.clone(),
            silent_target,
            answering(b"HTTP/1.1 400 Bad Request\r\n"),
            answering(b""),
            vec![Target::Unix("/nowhere/at/all".into())],
            vec![],
            second_try,
        ];
        let start = Moment::now();
        let deadline = Deadline::new(start, Duration::from_millis(300));
        let results = probe(servers, &deadline);
        assert!(Moment::now().since(start) < Duration::from_millis(3000));
        drop(silent);
        let words = results.iter().map(|result| match result {
            Ok(()) => "ok",
            Err(error) => error.status().word(),
        });
        let expected = [
            "ok", "down", "timeout", "timeout", "garbled", "down", "down", "down", "ok",
        ];
        assert_eq!(words.collect::<Vec<_>>(), expected);
    }
}
