//! Probe: asks many servers at once whether they are there.
//!
//! A probe is a full exchange on a connection of its own: connect, [talk](crate::prober::rejoin) until it is
//! clear. All wait together, so a hundred dead servers take as long as one. A server with several
//! addresses is tried at each, in its share of the time.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::clock::{Deadline, Moment};
use crate::error::{Down, Error, Waiting};
use crate::prober::rejoin::{Finding, Next, Outage, Talk};
use crate::sys;
use crate::wire::net::Target;

/// Asks each server, which is at one of its targets; what went wrong there, in the same order.
pub(crate) fn probe(servers: Vec<Vec<Target>>, deadline: &Deadline) -> Vec<Result<(), Error>> {
    let begin = |targets| Probe::begin(targets, *deadline, None);
    let mut probes: Vec<Probe> = servers.into_iter().map(begin).collect();
    go_on(&mut probes.iter_mut().collect::<Vec<_>>(), deadline);
    let ends = probes.into_iter().map(|probe| probe.end().map(drop));
    ends.collect()
}

/// Goes on with all probes until they are over, or `deadline` has passed.
pub(crate) fn go_on(probes: &mut [&mut Probe], deadline: &Deadline) {
    while let Some(mut time) = deadline.remaining() {
        for probe in probes.iter_mut() {
            time = time.min(probe.turn_left());
        }
        let pending = |probe: &&mut &mut Probe| !probe.is_over();
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
pub(crate) struct Probe {
    /// Where it may still be tried.
    targets: std::vec::IntoIter<Target>,
    deadline: Deadline,
    outage: Option<Outage>,
    attempt: Option<Attempt>,
    result: Option<Result<Finding, Error>>,
}

/// The attempt at one of its targets.
struct Attempt {
    target: Target,
    /// Its share of the time.
    turn: Deadline,
    socket: OwnedFd,
    talk: Talk,
    /// Whether the present request is still to be sent, and whether any was.
    sends: bool,
    sent: bool,
}

impl Probe {
    /// Begins to ask the server at one of `targets`, until `deadline` at most; it is emptied if it was
    /// away for `outage`.
    pub(crate) fn begin(targets: Vec<Target>, deadline: Deadline, outage: Option<Outage>) -> Self {
        let mut probe = Self {
            targets: targets.into_iter(),
            deadline,
            outage,
            attempt: None,
            result: None,
        };
        probe.connect(Error::Down(Down::Unresolved));
        probe
    }

    /// True when it need not be gone on with.
    pub(crate) fn is_over(&self) -> bool {
        self.result.is_some() || self.deadline.remaining().is_none()
    }

    /// Begins to connect to the next target; `failure` is the result if there is none.
    fn connect(&mut self, mut failure: Error) {
        self.attempt = None;
        while let Some(target) = self.targets.next() {
            let socket = match &target {
                Target::Tcp(address) | Target::Named(address, _) => sys::begin_connect_tcp(address),
                Target::Unix(path) => sys::begin_connect_unix(path.as_ref()),
            };
            match socket {
                Ok(socket) => {
                    self.attempt = Some(self.attempt_at(target, socket));
                    return;
                }
                Err(error) => failure = Error::Down(Down::Connect(error)),
            }
        }
        self.result = Some(Err(failure));
    }

    fn attempt_at(&self, target: Target, socket: OwnedFd) -> Attempt {
        let left = self.deadline.remaining().unwrap_or_default();
        let share = left / (self.targets.len() + 1) as u32;
        Attempt {
            target,
            turn: Deadline::new(Moment::now(), share),
            socket,
            talk: Talk::new(self.outage),
            sends: true,
            sent: false,
        }
    }

    /// How long it may wait for its present target; goes on to the next one when that time is up.
    fn turn_left(&mut self) -> Duration {
        while let Some(attempt) = self.attempt.as_ref().filter(|_| self.targets.len() > 0) {
            if let Some(left) = attempt.turn.remaining() {
                return left;
            }
            let late = self.late();
            self.connect(late);
        }
        self.deadline.remaining().unwrap_or_default()
    }

    /// The socket, and whether it waits for room to send.
    fn wanted(&self) -> Option<(&OwnedFd, bool)> {
        let attempt = self.attempt.as_ref()?;
        Some((&attempt.socket, attempt.sends))
    }

    /// The socket is ready for something.
    fn go_on(&mut self) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        match attempt.go_on() {
            Ok(Next::Done(finding)) => {
                attempt.target.mark();
                self.result = Some(Ok(finding));
            }
            Ok(Next::Hear | Next::Say) => {}
            Err(error) => self.connect(error),
        }
    }

    /// What it came to; a timeout if it is not over.
    ///
    /// # Errors
    /// What went wrong.
    pub(crate) fn end(self) -> Result<Finding, Error> {
        let late = self.late();
        self.result.unwrap_or(Err(late))
    }

    fn late(&self) -> Error {
        let connects = self.attempt.as_ref().is_some_and(|attempt| !attempt.sent);
        Error::Timeout(match connects {
            true => Waiting::Connect,
            false => Waiting::Receive,
        })
    }
}

impl Attempt {
    /// The socket is ready for something.
    fn go_on(&mut self) -> Result<Next, Error> {
        if self.sends {
            self.send()?;
            (self.sends, self.sent) = (false, true);
            return Ok(Next::Hear);
        }
        let next = self.receive()?;
        self.sends = next == Next::Say;
        Ok(next)
    }

    fn send(&self) -> Result<(), Error> {
        let sent = sys::connected(&self.socket)
            .and_then(|()| sys::send_now(&self.socket, self.talk.request()));
        match sent {
            Ok(_) => Ok(()),
            Err(error) if self.sent => Err(Error::Down(Down::Lost(error))),
            Err(error) => Err(Error::Down(Down::Connect(error))),
        }
    }

    fn receive(&mut self) -> Result<Next, Error> {
        let mut room = [0; 4096];
        match sys::receive_now(&self.socket, &mut room) {
            Ok(0) => Err(Error::Down(Down::Closed)),
            Ok(got) => self.talk.hear(&room[..got]),
            Err(error) if is_passing(&error) => Ok(Next::Hear),
            Err(error) => Err(Error::Down(Down::Lost(error))),
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    fn listener() -> (TcpListener, Vec<Target>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Tcp(listener.local_addr().unwrap());
        (listener, vec![target])
    }

    /// A server that gives one answer to each line.
    fn answering(answers: &'static [&'static str]) -> Vec<Target> {
        let (listener, target) = listener();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            for answer in answers {
                stream.read_line(&mut String::new()).unwrap();
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        target
    }

    #[test]
    fn each_server_has_a_verdict_and_all_take_as_long_as_one() {
        let (silent, silent_target) = listener();
        let (_, closed_target) = listener();
        let second_try = [closed_target.clone(), answering(&["VERSION 1\r\n"])].concat();
        let servers = vec![
            answering(&["VERSION 1.6.18\r\n"]),
            closed_target,
            silent_target.clone(),
            silent_target,
            answering(&["HTTP/1.1 400 Bad Request\r\n"]),
            answering(&[""]),
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

    #[test]
    fn a_silent_address_leaves_time_for_the_next_one() {
        let (_silent, first) = listener();
        let servers = vec![[first, answering(&["VERSION 1\r\n"])].concat()];
        let results = probe(
            servers,
            &Deadline::new(Moment::now(), Duration::from_secs(2)),
        );
        assert!(matches!(results[..], [Ok(())]), "{results:?}");
    }

    #[test]
    fn servers_are_emptied_at_the_same_time() {
        const RAN_ON: &str = "STAT uptime 100\r\nSTAT time 100\r\nEND\r\n";
        let outage = Some(Outage::of(Duration::from_secs(60)));
        let deadline = Deadline::new(Moment::now(), Duration::from_millis(500));
        let servers = [
            answering(&["VERSION 1\r\n", RAN_ON, "OK\r\n"]),
            answering(&["VERSION 1\r\n"]),
            answering(&["VERSION 1\r\n", RAN_ON, "ERROR\r\n"]),
            answering(&["VERSION 1\r\n", RAN_ON, "OK\r\n"]),
        ];
        let mut probes = servers.map(|targets| Probe::begin(targets, deadline, outage));
        go_on(&mut probes.iter_mut().collect::<Vec<_>>(), &deadline);
        let [good, closed, unwilling, another] = probes.map(Probe::end);
        assert!(matches!(good, Ok(Finding::Emptied)), "{good:?}");
        assert!(matches!(closed, Err(Error::Down(_))), "{closed:?}");
        assert!(matches!(unwilling, Err(Error::Garbled(_))), "{unwilling:?}");
        assert!(matches!(another, Ok(Finding::Emptied)), "{another:?}");
    }
}
