//! Questions: what a probe asks a server, and in which order: before workers may use the server again, or for
//! an operator.
//!
//! It first asks whether a server is there. Any complete reply shows that, also a refusal. Where
//! `rejoin=flush` is set, it then has the server emptied: while the server was away, its keys may have
//! been written elsewhere or deleted, so what it still holds is out of date. A server that was restarted
//! during the outage is empty already. A server that was not away, but has missed some writes, has only
//! those keys deleted. Nothing here waits or knows a protocol word.

use std::time::Duration;

use crate::error::Error;
use crate::health::diverted::Missed;
use crate::item::key::WireKey;
use crate::sys;
use crate::wire::protocol::{Reply, Request};

/// An outage after which a server must be emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    /// How many seconds it has lasted, by the monotonic clock.
    lasted: u64,
    /// When it began, in seconds of Unix time.
    began: u64,
}

impl Outage {
    /// One that has lasted for `time` until now.
    pub(crate) fn of(time: Duration) -> Self {
        let began = sys::unix_time().saturating_sub(time);
        Self {
            lasted: time.as_secs(),
            began: began.as_secs(),
        }
    }

    /// True if a server with these statistics was started during the outage.
    ///
    /// Both clocks must say so. The server's uptime stands still while its machine or its process does,
    /// and the time of day may differ between machines. If in doubt, the server is emptied.
    fn saw_the_start(&self, stats: &str) -> Option<bool> {
        let number = |name: &str| -> Option<u64> {
            let mut lines = stats.lines();
            lines.find_map(|line| line.strip_prefix(name))?.parse().ok()
        };
        let (uptime, time) = (number("uptime ")?, number("time ")?);
        let is_believed = sys::planted("every outage is taken for a restart");
        Some(is_believed || uptime < self.lasted && time.saturating_sub(uptime) >= self.began)
    }
}

/// Why a probe goes to a server.
#[derive(Debug, Clone)]
pub(crate) enum Errand {
    /// To see whether it is there.
    Ping,
    /// To ask for its statistics.
    Stats,
    /// To ask for its settings.
    Settings,
    /// To have it emptied because an operator says so.
    Flush,
    /// To have it emptied after an outage.
    Empty(Outage),
    /// To make up for writes that others have taken. A server that was started during this outage need not be
    /// emptied for that.
    Settle(Missed, Option<Outage>),
}

/// What a probe has found at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A server that may still hold items.
    Present,
    /// A server that was restarted during the outage, so it is empty.
    Restarted,
    /// A server that has told what it was asked for.
    Told,
    /// A server that has been emptied by this probe.
    Emptied,
    /// A server that holds nothing any more under the keys of missed writes.
    Settled,
}

/// What to do after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send what [`Questions::ask`] gives.
    Ask,
    /// Wait for the next answer.
    Wait,
    /// The probe is over.
    Done(Finding),
}

/// The questions to one server, and which one is being asked.
#[derive(Debug)]
pub(crate) struct Questions {
    errand: Errand,
    question: Question,
    /// The version that the server has told; empty if it has told none.
    version: String,
    /// What else it has told.
    told: String,
    /// The key that is asked for, only to see whether the server answers.
    key: WireKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Version,
    Get,
    Uptime,
    Stats,
    Settings,
    Flush,
    /// So many keys of missed writes, all at once.
    Deletes(usize),
}

impl Questions {
    /// The questions of an errand. `key` is one to ask for, only to see whether the server answers. Some
    /// servers close the connection when they are asked for their version; with `by_get` they are not.
    pub(crate) fn new(errand: Errand, key: WireKey, by_get: bool) -> Self {
        let question = if by_get {
            Question::Get
        } else {
            Question::Version
        };
        Self {
            errand,
            question,
            version: String::new(),
            told: String::new(),
            key,
        }
    }

    /// The version that the server has told; empty if it has told none.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Its statistics or settings, if they were asked for: lines of `name value`.
    pub(crate) fn told(&self) -> &str {
        &self.told
    }

    /// True while it asks for the version.
    pub(crate) fn asks_for_version(&self) -> bool {
        self.question == Question::Version
    }

    /// True once the server has answered the first question.
    pub(crate) fn is_greeted(&self) -> bool {
        !matches!(self.question, Question::Version | Question::Get)
    }

    /// Gives the requests to send now to `send`, one after the other.
    ///
    /// # Errors
    /// That of `send`.
    pub(crate) fn ask(
        &self,
        mut send: impl FnMut(&Request<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let key = &self.key;
        match self.question {
            Question::Version => send(&Request::Version),
            Question::Get => send(&Request::Get { key }),
            Question::Uptime | Question::Stats => send(&Request::Stats),
            Question::Settings => send(&Request::Settings),
            Question::Flush => send(&Request::FlushAll),
            Question::Deletes(_) => self
                .missed()
                .try_for_each(|key| send(&Request::Delete { key: &key })),
        }
    }

    /// The keys of the missed writes.
    fn missed(&self) -> impl Iterator<Item = WireKey> {
        let keys = match &self.errand {
            Errand::Settle(Missed::Keys(keys), _) => &keys[..],
            _ => &[],
        };
        keys.iter().filter_map(|key| WireKey::new(b"", key).ok())
    }

    /// The server has given this answer to the next one of these requests, with this text.
    ///
    /// # Errors
    /// What the server says when it refuses something that is needed; [`Error::Garbled`] when the reply
    /// does not answer the question.
    pub(crate) fn take(
        &mut self,
        answer: Result<Reply, Error>,
        text: &[u8],
    ) -> Result<Next, Error> {
        match (self.question, answer) {
            (Question::Version, Ok(Reply::Text)) => {
                self.version = text.escape_ascii().to_string();
                Ok(self.after_greeting())
            }
            (Question::Version | Question::Get, Ok(_) | Err(_)) => Ok(self.after_greeting()),
            (Question::Stats | Question::Settings, Ok(Reply::Text)) => {
                self.told = String::from_utf8_lossy(text).into_owned();
                Ok(Next::Done(Finding::Told))
            }
            (Question::Uptime, Ok(Reply::Text)) => self.after_uptime(text),
            (Question::Flush, Ok(Reply::Flushed)) => Ok(Next::Done(match &self.errand {
                Errand::Settle(..) => Finding::Settled,
                _ => Finding::Emptied,
            })),
            (Question::Deletes(left), Ok(Reply::Deleted | Reply::Miss)) => Ok(match left {
                0 | 1 => Next::Done(Finding::Settled),
                left => {
                    self.question = Question::Deletes(left - 1);
                    Next::Wait
                }
            }),
            (_, Err(error)) => Err(error),
            (_, Ok(_)) => Err(Error::Garbled("the reply belongs to another request")),
        }
    }

    fn after_greeting(&mut self) -> Next {
        match &self.errand {
            Errand::Ping => return Next::Done(Finding::Present),
            Errand::Stats => self.question = Question::Stats,
            Errand::Settings => self.question = Question::Settings,
            Errand::Empty(_) | Errand::Settle(Missed::Many, Some(_)) => {
                self.question = Question::Uptime;
            }
            Errand::Flush | Errand::Settle(Missed::Many, None) => self.question = Question::Flush,
            Errand::Settle(Missed::Keys(_), _) => match self.missed().count() {
                0 => return Next::Done(Finding::Settled),
                count => self.question = Question::Deletes(count),
            },
        }
        Next::Ask
    }

    fn after_uptime(&mut self, text: &[u8]) -> Result<Next, Error> {
        let (outage, empty) = match &self.errand {
            Errand::Empty(outage) => (outage, Finding::Restarted),
            Errand::Settle(_, Some(outage)) => (outage, Finding::Settled),
            _ => return Err(Error::Garbled("the reply belongs to another request")),
        };
        match outage.saw_the_start(&String::from_utf8_lossy(text)) {
            Some(true) => Ok(Next::Done(empty)),
            None if empty == Finding::Restarted => {
                Err(Error::Garbled("the server's statistics have no uptime"))
            }
            Some(false) | None => {
                self.question = Question::Flush;
                Ok(Next::Ask)
            }
        }
    }
}

#[cfg(test)]
mod tests;
