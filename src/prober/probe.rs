//! Probe: the questions to one server, on a connection of its own, next to probes of other servers.
//!
//! A probe connects, then [asks](crate::prober::rejoin) until it is clear how the server is. All probes
//! wait together, so a hundred dead servers take as long as one. A server with several addresses is
//! tried at each of them, in its share of the time.

use std::time::Duration;

use crate::clock::{Deadline, Moment};
use crate::error::{Down, Error, Waiting};
use crate::item::key::WireKey;
use crate::pool::Site;
use crate::prober::rejoin::{Errand, Finding, Next, Questions};
use crate::wire::polled::{Polled, wait_any};

/// Pings each of these servers, given by their sites and a key to ask for. Returns the results in the
/// same order.
pub(crate) fn ping(
    servers: Vec<(Vec<Site>, WireKey)>,
    deadline: &Deadline,
) -> Vec<Result<(), Error>> {
    let begin = |(sites, key)| Probe::begin(sites, key, *deadline, Errand::Ping);
    let mut probes: Vec<Probe> = servers.into_iter().map(begin).collect();
    go_on(&mut probes.iter_mut().collect::<Vec<_>>(), deadline);
    let ends = probes.into_iter().map(|probe| probe.end().result.map(drop));
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
    /// A key to ask for.
    key: WireKey,
    deadline: Deadline,
    errand: Errand,
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

/// How a probe has ended.
pub(crate) struct End {
    /// What it has found, or why it has found nothing.
    pub(crate) result: Result<Finding, Error>,
    /// Where it has found that.
    pub(crate) site: Option<Site>,
    /// Why it went there.
    pub(crate) errand: Errand,
}

impl Probe {
    /// Begins to probe the server at one of `sites`, until `deadline` at most. `key` is one to ask for.
    pub(crate) fn begin(
        sites: Vec<Site>,
        key: WireKey,
        deadline: Deadline,
        errand: Errand,
    ) -> Self {
        let mut probe = Self {
            sites: sites.into_iter(),
            key,
            deadline,
            errand,
            attempt: None,
            result: None,
        };
        probe.try_next(Error::Down(Down::Unresolved));
        probe
    }

    /// When it began.
    pub(crate) fn began(&self) -> Moment {
        self.deadline.start()
    }

    /// True when the probe has a result or no time is left.
    pub(crate) fn is_over(&self) -> bool {
        self.result.is_some() || self.deadline.remaining().is_none()
    }

    /// Begins to connect to the next site. If there is none, the result is `failure`.
    fn try_next(&mut self, mut failure: Error) {
        self.attempt = None;
        while let Some(site) = self.sites.next() {
            match self.attempt_at(site, false) {
                Ok(attempt) => {
                    self.attempt = Some(attempt);
                    return;
                }
                Err(error) => failure = error,
            }
        }
        self.result = Some(Err(failure));
    }

    /// Asks at the same site once more, by a request that every server knows.
    fn try_by_get(&mut self, failure: Error) {
        let site = self.attempt.take().map(|attempt| attempt.site);
        match site.map(|site| self.attempt_at(site, true)) {
            Some(Ok(attempt)) => self.attempt = Some(attempt),
            Some(Err(error)) => self.try_next(error),
            None => self.try_next(failure),
        }
    }

    fn attempt_at(&self, site: Site, by_get: bool) -> Result<Attempt, Error> {
        let left = self.deadline.remaining().unwrap_or_default();
        let share = left / (self.sites.len() + 1) as u32;
        let mut polled = Polled::connect(&site.target)?;
        let questions = Questions::new(self.errand.clone(), self.key, by_get);
        polled.request(&questions.request());
        Ok(Attempt {
            site,
            turn: Deadline::new(Moment::now(), if by_get { share } else { share / 2 }),
            polled,
            questions,
        })
    }

    /// How long it may wait at its present site. If that time is up, it goes on to the next one.
    fn turn_left(&mut self) -> Duration {
        while let Some(attempt) = &self.attempt {
            let by_version = attempt.questions.asks_for_version();
            if self.sites.len() == 0 && !by_version {
                break;
            }
            if let Some(left) = attempt.turn.remaining() {
                return left;
            }
            match by_version {
                true => self.try_by_get(self.late()),
                false => self.try_next(self.late()),
            }
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
        let by_version = attempt.questions.asks_for_version();
        match attempt.go_on() {
            Ok(Some(finding)) => self.result = Some(Ok(finding)),
            Ok(None) => {}
            // Some servers close the connection at a word that they do not know.
            Err(error) if by_version && error.is_hangup() => self.try_by_get(error),
            Err(error) => self.try_next(error),
        }
    }

    /// Its end; a timeout if it is not over.
    pub(crate) fn end(self) -> End {
        let late = self.late();
        End {
            result: self.result.unwrap_or(Err(late)),
            site: self.attempt.map(|attempt| attempt.site),
            errand: self.errand,
        }
    }

    /// The probe, over with this result.
    #[cfg(test)]
    pub(crate) fn with_result(self, result: Result<Finding, Error>) -> Self {
        Self {
            result: Some(result),
            ..self
        }
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
        let (answer, text) = match self.polled.reply() {
            Ok(None) => return Ok(None),
            Ok(Some((reply, text))) => (Ok(reply), text),
            Err(error) if error.is_refusal() => (Err(error), &[][..]),
            Err(error) => return Err(error),
        };
        match self.questions.take(answer, text)? {
            Next::Ask => {
                self.polled.request(&self.questions.request());
                Ok(None)
            }
            Next::Done(finding) => Ok(Some(finding)),
        }
    }
}

#[cfg(test)]
mod tests;
