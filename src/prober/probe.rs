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
use crate::sys;
use crate::wire::polled::{Polled, wait_any};

/// Does an `errand` at each of these servers, which are given by their sites and a key to ask for. Returns
/// the ends in the same order.
pub(crate) fn ask(
    servers: Vec<(Vec<Site>, WireKey)>,
    errand: &Errand,
    deadline: &Deadline,
) -> Vec<End> {
    // Each needs a descriptor. If there are too many, they are asked in groups, each in its share of the
    // time.
    let most = (sys::descriptor_limit() / 2).max(1);
    let mut groups = servers.len().div_ceil(most) as u32;
    let mut ends = Vec::new();
    for group in servers.chunks(most) {
        let share = deadline.remaining().unwrap_or_default() / groups;
        let own = Deadline::new(Moment::now(), share);
        let begin = |(sites, key): &(Vec<Site>, WireKey)| {
            Probe::begin(sites.clone(), *key, own, errand.clone())
        };
        let mut probes: Vec<Probe> = group.iter().map(begin).collect();
        go_on(&mut probes.iter_mut().collect::<Vec<_>>(), &own);
        ends.extend(probes.into_iter().map(Probe::end));
        groups -= 1;
    }
    ends
}

/// Goes on with all probes until they are over or `deadline` has passed.
pub(crate) fn go_on(probes: &mut [&mut Probe], deadline: &Deadline) {
    for probe in probes.iter_mut() {
        probe.listen_once_more(deadline);
    }
    while let Some(mut time) = deadline.remaining() {
        for probe in probes.iter_mut() {
            time = time.min(probe.turn_left());
        }
        let pending = |probe: &&mut &mut Probe| probe.has_time();
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

/// The longest value that a probe reads, in bytes. It asks only for a key that nobody stores.
const VALUE_LIMIT: u32 = 4096;

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
    /// Whether it got more time, because nobody had listened at the end of its own.
    is_late: bool,
    /// Whether the server has answered its first question at one of the sites.
    is_greeted: bool,
}

/// The attempt at one of its sites.
struct Attempt {
    site: Site,
    /// Its share of the time.
    turn: Deadline,
    polled: Polled,
    questions: Questions,
}

/// What nobody waits for any more, such as a request to throw everything away, does not arrive later.
impl Drop for Attempt {
    fn drop(&mut self) {
        self.polled.abandon();
    }
}

/// How a probe has ended.
pub(crate) struct End {
    /// What it has found, or why it has found nothing.
    pub(crate) result: Result<Finding, Error>,
    /// Where it has found that.
    pub(crate) site: Option<Site>,
    /// Whether the server has answered its first question, whatever came after that.
    pub(crate) is_greeted: bool,
    /// Why it went there.
    pub(crate) errand: Errand,
    /// When the first of the certificates ends that the server has shown there.
    pub(crate) certificates_end: Option<i64>,
    /// The version that the server has told; empty if it has told none.
    pub(crate) version: String,
    /// Its statistics or settings, if it was asked for them: lines of `name value`.
    pub(crate) told: String,
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
            is_late: false,
            is_greeted: false,
        };
        probe.try_next(Error::Down(Down::Unresolved));
        probe
    }

    /// When it began.
    pub(crate) fn began(&self) -> Moment {
        self.deadline.start()
    }

    /// True if it makes up for writes that the server has missed.
    pub(crate) fn makes_up(&self) -> bool {
        matches!(self.errand, Errand::Settle(..))
    }

    /// True once the server has answered its first question.
    pub(crate) fn is_greeted(&self) -> bool {
        self.is_greeted
    }

    /// True when the probe has a result, or no time is left and somebody has listened since.
    pub(crate) fn is_over(&self) -> bool {
        self.result.is_some() || self.is_late && !self.has_time()
    }

    fn has_time(&self) -> bool {
        self.result.is_none() && self.deadline.remaining().is_some()
    }

    /// Its time has passed, and this process may have been elsewhere meanwhile, or stopped: the answer may
    /// be there. It gets until `deadline` for that, once.
    fn listen_once_more(&mut self, deadline: &Deadline) {
        if self.result.is_none() && !self.has_time() && !self.is_late {
            self.is_late = true;
            let whole = deadline.end().since(self.began());
            self.deadline = Deadline::new(self.began(), whole);
            if let Some(attempt) = &mut self.attempt {
                attempt.turn = *deadline;
            }
        }
    }

    /// Why it has failed, if it has.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.result.as_ref()?.as_ref().err()
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
        let site = self.attempt.take().map(|attempt| attempt.site.clone());
        match site.map(|site| self.attempt_at(site, true)) {
            Some(Ok(attempt)) => self.attempt = Some(attempt),
            Some(Err(error)) => self.try_next(error),
            None => self.try_next(failure),
        }
    }

    fn attempt_at(&self, site: Site, by_get: bool) -> Result<Attempt, Error> {
        let left = self.deadline.remaining().unwrap_or_default();
        let share = left / (self.sites.len() + 1) as u32;
        let mut polled = Polled::connect(&site.target, VALUE_LIMIT, &site.access)?;
        let questions = Questions::new(self.errand.clone(), self.key, by_get);
        questions.ask(|request| polled.request(request))?;
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
        let end = attempt.go_on();
        self.is_greeted |= attempt.questions.is_greeted();
        match end {
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
        let said = |part: fn(&Questions) -> &str| {
            let attempt = self.attempt.as_ref();
            attempt
                .map_or("", |attempt| part(&attempt.questions))
                .to_owned()
        };
        End {
            version: said(Questions::version),
            told: said(Questions::told),
            certificates_end: self.polled().and_then(Polled::certificates_end),
            result: self.result.unwrap_or(Err(late)),
            site: self.attempt.as_ref().map(|attempt| attempt.site.clone()),
            is_greeted: self.is_greeted,
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
        Error::Timeout(match self.polled() {
            Some(polled) if !polled.is_connected() => Waiting::Connect,
            Some(polled) if polled.is_opening() => Waiting::Agreement,
            _ => Waiting::Receive,
        })
    }
}

impl Attempt {
    /// Sends or receives what it can. Returns the finding once there is one.
    fn go_on(&mut self) -> Result<Option<Finding>, Error> {
        // A server at its limit of connections refuses before there is any TLS.
        let mut refused = match self.polled.go_on() {
            Ok(()) => None,
            Err(error) if error.is_refusal() => Some(error),
            Err(error) => return Err(error),
        };
        loop {
            let (answer, text) = match refused.take().map_or_else(|| self.polled.reply(), Err) {
                Ok(None) => return Ok(None),
                Ok(Some((reply, text))) => (Ok(reply), text),
                Err(error) if error.is_refusal() => (Err(error), &[][..]),
                Err(error) => return Err(error),
            };
            match self.questions.take(answer, text)? {
                Next::Ask => self.questions.ask(|request| self.polled.request(request))?,
                Next::Wait => {}
                Next::Done(finding) => return Ok(Some(finding)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
