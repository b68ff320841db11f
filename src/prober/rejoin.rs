//! Questions: what a probe asks a server, and in which order, before workers may use the server again.
//!
//! It first asks whether a server is there. Any complete reply shows that, also a refusal. Where
//! `rejoin=flush` is set, it then has the server emptied: while the server was away, its keys may have
//! been written elsewhere or deleted, so what it still holds is out of date. A server that was restarted
//! during the outage is empty already. A server that was not away, but has missed some writes, has only
//! those keys deleted. Nothing here waits or knows a protocol word.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::Error;
use crate::health::diverted::Missed;
use crate::item::key::WireKey;
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
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let began = now.unwrap_or_default().saturating_sub(time);
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
        Some(uptime < self.lasted && time.saturating_sub(uptime) >= self.began)
    }
}

/// Why a probe goes to a server.
#[derive(Debug, Clone)]
pub(crate) enum Errand {
    /// To see whether it is there.
    Ping,
    /// To have it emptied after an outage.
    Empty(Outage),
    /// To make up for writes that stand-ins have taken.
    Settle(Missed),
}

/// What a probe has found at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A server that may still hold items.
    Present,
    /// A server that was restarted during the outage, so it is empty.
    Restarted,
    /// A server that has been emptied by this probe.
    Emptied,
    /// A server that holds nothing any more under the keys of missed writes.
    Settled,
}

/// What to do after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send [`Questions::request`].
    Ask,
    /// The probe is over.
    Done(Finding),
}

/// The questions to one server, and which one is being asked.
#[derive(Debug)]
pub(crate) struct Questions {
    errand: Errand,
    question: Question,
    /// The key that is asked for now, if a question is about one.
    key: WireKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Version,
    Get,
    Uptime,
    Flush,
    /// The key of that index among the missed writes.
    Delete(usize),
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
            key,
        }
    }

    /// True while it asks for the version.
    pub(crate) fn asks_for_version(&self) -> bool {
        self.question == Question::Version
    }

    /// The request to send now.
    pub(crate) fn request(&self) -> Request<'_> {
        let key = &self.key;
        match self.question {
            Question::Version => Request::Version,
            Question::Get => Request::Get { key },
            Question::Uptime => Request::Stats,
            Question::Flush => Request::FlushAll,
            Question::Delete(_) => Request::Delete { key },
        }
    }

    /// The server has given this answer to [`Self::request`], with this text.
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
            (Question::Version | Question::Get, Ok(_) | Err(_)) => Ok(self.after_greeting()),
            (Question::Uptime, Ok(Reply::Text)) => self.after_uptime(text),
            (Question::Flush, Ok(Reply::Flushed)) => Ok(Next::Done(match &self.errand {
                Errand::Settle(_) => Finding::Settled,
                Errand::Ping | Errand::Empty(_) => Finding::Emptied,
            })),
            (Question::Delete(at), Ok(Reply::Deleted | Reply::Miss)) => Ok(self.delete(at + 1)),
            (_, Err(error)) => Err(error),
            (_, Ok(_)) => Err(Error::Garbled("the reply belongs to another request")),
        }
    }

    fn after_greeting(&mut self) -> Next {
        match &self.errand {
            Errand::Ping => return Next::Done(Finding::Present),
            Errand::Empty(_) => self.question = Question::Uptime,
            Errand::Settle(Missed::Many) => self.question = Question::Flush,
            Errand::Settle(Missed::Keys(_)) => return self.delete(0),
        }
        Next::Ask
    }

    fn after_uptime(&mut self, text: &[u8]) -> Result<Next, Error> {
        let Errand::Empty(outage) = &self.errand else {
            return Err(Error::Garbled("the reply belongs to another request"));
        };
        match outage.saw_the_start(&String::from_utf8_lossy(text)) {
            Some(true) => Ok(Next::Done(Finding::Restarted)),
            Some(false) => {
                self.question = Question::Flush;
                Ok(Next::Ask)
            }
            None => Err(Error::Garbled("the server's statistics have no uptime")),
        }
    }

    /// Goes on with the missed write of that index.
    fn delete(&mut self, at: usize) -> Next {
        let Errand::Settle(Missed::Keys(keys)) = &self.errand else {
            return Next::Done(Finding::Settled);
        };
        let key = keys.get(at).map(|key| WireKey::new(b"", key));
        match key {
            Some(Ok(key)) => {
                (self.question, self.key) = (Question::Delete(at), key);
                Next::Ask
            }
            _ => Next::Done(Finding::Settled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::session::Session;

    const OUTAGE: Outage = Outage {
        lasted: 60,
        began: 1_000_000,
    };

    fn key() -> WireKey {
        WireKey::new(b"", b"q").unwrap()
    }

    fn talk(errand: Errand, answers: &[&str]) -> (Vec<String>, Option<Option<Finding>>) {
        talk_on(Questions::new(errand, key(), false), answers)
    }

    /// What is sent to a server that gives these answers, which arrive byte by byte, and how that
    /// ends: by a finding, with another request, or in an error.
    fn talk_on(
        mut questions: Questions,
        answers: &[&str],
    ) -> (Vec<String>, Option<Option<Finding>>) {
        let (mut session, mut said) = (Session::new(), Vec::new());
        session.request(&questions.request());
        for answer in answers {
            said.push(String::from_utf8(session.unsent().to_vec()).unwrap());
            session.note_sent(session.unsent().len());
            let (answer, text) = match hear(&mut session, answer) {
                Ok((reply, text)) => (Ok(reply), text),
                Err(error) if error.is_refusal() => (Err(error), Vec::new()),
                Err(_) => return (said, None),
            };
            match questions.take(answer, &text) {
                Ok(Next::Ask) => session.request(&questions.request()),
                Ok(Next::Done(finding)) => return (said, Some(Some(finding))),
                Err(_) => return (said, None),
            }
        }
        said.push(String::from_utf8(session.unsent().to_vec()).unwrap());
        (said, Some(None))
    }

    /// The reply that these bytes make, one after the other.
    fn hear(session: &mut Session, answer: &str) -> Result<(Reply, Vec<u8>), Error> {
        let mut text = Vec::new();
        for byte in answer.bytes() {
            session.room(&mut text)[0] = byte;
            session.received(1, &mut text);
            if let Some(reply) = session.reply(&mut text)? {
                return Ok((reply, text));
            }
        }
        Err(session.closed())
    }

    const VERSION: &str = "VERSION 1.6.18\r\n";

    fn stats(uptime: u64, time: u64) -> String {
        format!("STAT pid 1\r\nSTAT uptime {uptime}\r\nSTAT time {time}\r\nEND\r\n")
    }

    #[test]
    fn who_was_not_away_is_asked_for_the_version_alone() {
        let (said, end) = talk(Errand::Ping, &[VERSION]);
        assert_eq!(said, ["version\r\n"]);
        assert_eq!(end, Some(Some(Finding::Present)));
        for strange in ["HTTP/1.1 400\r\n", "VERSIONS\r\n", "ERRORS\r\n"] {
            assert_eq!(talk(Errand::Ping, &[strange]).1, None, "{strange}");
        }
        for refusal in ["ERROR\r\n", "CLIENT_ERROR x\r\n", "SERVER_ERROR x\r\n"] {
            let end = talk(Errand::Ping, &[refusal]).1;
            assert_eq!(end, Some(Some(Finding::Present)), "{refusal}");
        }
    }

    #[test]
    fn a_server_that_ran_on_is_emptied() {
        let before = stats(100, 1_000_060);
        // Its clocks stood still as it did.
        let frozen = stats(10, 999_999);
        // Its time of day is ahead of ours.
        let ahead = stats(100, 2_000_000);
        // And behind it: it may have been restarted, but that is not certain.
        let behind = stats(10, 900_000);
        for stats in [before, frozen, ahead, behind] {
            let (said, end) = talk(Errand::Empty(OUTAGE), &[VERSION, &stats, "OK\r\n"]);
            assert_eq!(said, ["version\r\n", "stats\r\n", "flush_all\r\n"]);
            assert_eq!(end, Some(Some(Finding::Emptied)));
        }
    }

    #[test]
    fn a_server_that_was_restarted_is_not() {
        let (said, end) = talk(Errand::Empty(OUTAGE), &[VERSION, &stats(3, 1_000_060)]);
        assert_eq!(said, ["version\r\n", "stats\r\n"]);
        assert_eq!(end, Some(Some(Finding::Restarted)));
    }

    #[test]
    fn a_server_that_cannot_be_emptied_is_no_good() {
        let ran_on = stats(100, 1_000_060);
        let strange = [
            [VERSION, "ERROR\r\n", ""],
            [VERSION, "STAT pid 1\r\nEND\r\n", ""],
            [VERSION, "STAT uptime x\r\nSTAT time 1\r\nEND\r\n", ""],
            [VERSION, &ran_on, "ERROR\r\n"],
            [VERSION, &ran_on, "OK OK\r\n"],
        ];
        for answers in strange {
            let answers: Vec<&str> = answers.into_iter().filter(|it| !it.is_empty()).collect();
            assert_eq!(talk(Errand::Empty(OUTAGE), &answers).1, None, "{answers:?}");
        }
        let endless = format!("VERSION {}", "1".repeat(64 * 1024));
        assert_eq!(talk(Errand::Ping, &[&endless]).1, None);
        let endless = "STAT pid 1\r\n".repeat(64 * 1024);
        assert_eq!(talk(Errand::Empty(OUTAGE), &[VERSION, &endless]).1, None);
    }

    #[test]
    fn a_greeting_may_be_any_request_that_every_server_knows() {
        let questions = Questions::new(Errand::Empty(OUTAGE), key(), true);
        assert!(!questions.asks_for_version());
        let restarted = stats(3, 1_000_060);
        for greeting in ["END\r\n", "VALUE q 0 1\r\nx\r\nEND\r\n", "ERROR\r\n"] {
            let questions = Questions::new(Errand::Empty(OUTAGE), key(), true);
            let (said, end) = talk_on(questions, &[greeting, &restarted]);
            assert_eq!(said, ["get q\r\n", "stats\r\n"]);
            assert_eq!(end, Some(Some(Finding::Restarted)), "{greeting}");
        }
    }

    #[test]
    fn missed_writes_are_made_up_for() {
        let keys = || Errand::Settle(Missed::Keys(vec![b"a".into(), b"b".into()]));
        let (said, end) = talk(keys(), &[VERSION, "DELETED\r\n", "NOT_FOUND\r\n"]);
        assert_eq!(said, ["version\r\n", "delete a\r\n", "delete b\r\n"]);
        assert_eq!(end, Some(Some(Finding::Settled)));
        let (_, end) = talk(keys(), &[VERSION, "DELETED\r\n"]);
        assert_eq!(end, Some(None), "not before the last one is answered");
        for bad in ["ERROR\r\n", "SERVER_ERROR x\r\n", "STORED\r\n"] {
            assert_eq!(talk(keys(), &[VERSION, "DELETED\r\n", bad]).1, None);
        }
        let (said, end) = talk(Errand::Settle(Missed::Many), &["ERROR\r\n", "OK\r\n"]);
        assert_eq!(said, ["version\r\n", "flush_all\r\n"]);
        assert_eq!(end, Some(Some(Finding::Settled)));
    }

    #[test]
    fn an_outage_begins_as_long_ago_as_it_has_lasted() {
        let (now, hour) = (
            Outage::of(Duration::ZERO),
            Outage::of(Duration::from_secs(3600)),
        );
        assert_eq!((now.lasted, hour.lasted), (0, 3600));
        assert!(
            (3600..3605).contains(&(now.began - hour.began + 1)),
            "{now:?} {hour:?}"
        );
    }
}
