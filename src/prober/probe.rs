//! Probe: the questions to one server, on a connection of its own, next to probes of other servers.
//!
//! A probe connects, then [asks](crate::prober::rejoin) until it is clear how the server is. All probes
//! wait together, so a hundred dead servers take as long as one. A server with several addresses is
//! tried at each of them, in its share of the time.

use std::time::Duration;

use crate::clock::{Deadline, Moment};
use crate::error::{Down, Error, Waiting};
use crate::pool::Site;
use crate::prober::rejoin::{Finding, Next, Outage, Questions};
use crate::wire::polled::{Polled, wait_any};

/// Probes each of these servers, given by their sites. Returns the results in the same order.
pub(crate) fn probe(servers: Vec<Vec<Site>>, deadline: &Deadline) -> Vec<Result<(), Error>> {
    let begin = |sites| Probe::begin(sites, *deadline, None);
    let mut probes: Vec<Probe> = servers.into_iter().map(begin).collect();
    go_on(&mut probes.iter_mut().collect::<Vec<_>>(), deadline);
    let ends = probes.into_iter().map(|probe| probe.end().map(drop));
    ends.collect()
}

/// Goes on with all probes until they are over or `deadline` has passed.
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
        let connections: Vec<_> = waiting.iter().filter_map(|probe| probe.polled()).collect();
        let ready = wait_any(&connections, time);
        for (probe, _) in waiting.into_iter().zip(ready).filter(|(_, ready)| *ready) {
            probe.go_on();
        }
    }
}

/// A probe of one server.
pub(crate) struct Probe {
    /// The sites that were not tried yet.
    sites: std::vec::IntoIter<Site>,
    deadline: Deadline,
    outage: Option<Outage>,
    attempt: Option<Attempt>,
    result: Option<Result<Finding, Error>>,
}

/// The attempt at one of its sites.
struct Attempt {
    site: Site,
    /// Its share of the time.
    turn: Deadline,
    polled: Polled,
    questions: Questions,
}

impl Probe {
    /// Begins to probe the server at one of `sites`, until `deadline` at most. The server is emptied if
    /// it was away for `outage`.
    pub(crate) fn begin(sites: Vec<Site>, deadline: Deadline, outage: Option<Outage>) -> Self {
        let mut probe = Self {
            sites: sites.into_iter(),
            deadline,
            outage,
            attempt: None,
            result: None,
        };
        probe.try_next(Error::Down(Down::Unresolved));
        probe
    }

    /// True when the probe has a result or no time is left.
    pub(crate) fn is_over(&self) -> bool {
        self.result.is_some() || self.deadline.remaining().is_none()
    }

    /// Begins to connect to the next site. If there is none, the result is `failure`.
    fn try_next(&mut self, mut failure: Error) {
        self.attempt = None;
        while let Some(site) = self.sites.next() {
            match Polled::connect(&site.target) {
                Ok(polled) => {
                    self.attempt = Some(self.attempt_at(site, polled));
                    return;
                }
                Err(error) => failure = error,
            }
        }
        self.result = Some(Err(failure));
    }

    fn attempt_at(&self, site: Site, mut polled: Polled) -> Attempt {
        let left = self.deadline.remaining().unwrap_or_default();
        let share = left / (self.sites.len() + 1) as u32;
        let questions = Questions::new(self.outage);
        polled.request(&questions.request());
        Attempt {
            site,
            turn: Deadline::new(Moment::now(), share),
            polled,
            questions,
        }
    }

    /// How long it may wait at its present site. If that time is up, it goes on to the next one.
    fn turn_left(&mut self) -> Duration {
        while let Some(attempt) = self.attempt.as_ref().filter(|_| self.sites.len() > 0) {
            if let Some(left) = attempt.turn.remaining() {
                return left;
            }
            let late = self.late();
            self.try_next(late);
        }
        self.deadline.remaining().unwrap_or_default()
    }

    fn polled(&self) -> Option<&Polled> {
        self.attempt.as_ref().map(|attempt| &attempt.polled)
    }

    /// The connection is ready for something.
    fn go_on(&mut self) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        match attempt.go_on() {
            Ok(Some(finding)) => {
                attempt.site.note_use();
                self.result = Some(Ok(finding));
            }
            Ok(None) => {}
            Err(error) => self.try_next(error),
        }
    }

    /// Its result; a timeout if it is not over.
    ///
    /// # Errors
    /// What went wrong.
    pub(crate) fn end(self) -> Result<Finding, Error> {
        let late = self.late();
        self.result.unwrap_or(Err(late))
    }

    fn late(&self) -> Error {
        let connects = self.polled().is_some_and(|polled| !polled.is_connected());
        Error::Timeout(match connects {
            true => Waiting::Connect,
            false => Waiting::Receive,
        })
    }
}

impl Attempt {
    /// Sends or receives what it can. Returns the finding once there is one.
    fn go_on(&mut self) -> Result<Option<Finding>, Error> {
        self.polled.go_on()?;
        let Some((reply, text)) = self.polled.reply()? else {
            return Ok(None);
        };
        match self.questions.take(reply, text)? {
            Next::Ask(request) => {
                self.polled.request(&request);
                Ok(None)
            }
            Next::Done(finding) => Ok(Some(finding)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Status;
    use crate::wire::net::Target;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    fn listener() -> (TcpListener, Vec<Site>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Tcp(listener.local_addr().unwrap());
        (listener, vec![target.into()])
    }

    /// A server that gives one answer to each line.
    fn answering(answers: &'static [&'static str]) -> Vec<Site> {
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
            vec![Target::Unix("/nowhere/at/all".into()).into()],
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
            Err(error) => Status::of_error(error).word(),
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
