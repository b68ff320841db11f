//! Questions: what a probe asks a server, and in which order, before workers may use the server again.
//!
//! It first asks whether a memcached is there. Where `rejoin=flush` is set, it then has the server
//! emptied: while the server was away, its keys may have been written elsewhere or deleted, so what it
//! still holds is out of date. A server that was restarted during the outage is empty already. Nothing
//! here waits or knows a protocol word.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::Error;
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

/// What a probe has found at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A memcached that may still hold items.
    Present,
    /// A memcached that was restarted during the outage, so it is empty.
    Restarted,
    /// A memcached that has been emptied by this probe.
    Emptied,
}

/// What to do after a reply.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send this request.
    Ask(Request<'static>),
    /// The probe is over.
    Done(Finding),
}

/// The questions to one server, and which one is being asked.
#[derive(Debug)]
pub(crate) struct Questions {
    outage: Option<Outage>,
    question: Question,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Version,
    Uptime,
    Flush,
}

impl Questions {
    /// Asks whether the server is there. Has it emptied if it was away for `outage`.
    pub(crate) fn new(outage: Option<Outage>) -> Self {
        Self {
            outage,
            question: Question::Version,
        }
    }

    /// The request to send now.
    pub(crate) fn request(&self) -> Request<'static> {
        match self.question {
            Question::Version => Request::Version,
            Question::Uptime => Request::Stats,
            Question::Flush => Request::FlushAll,
        }
    }

    /// The server has answered [`Self::request`] by `reply`, with this text.
    ///
    /// # Errors
    /// [`Error::Garbled`] when the reply does not answer the question.
    pub(crate) fn take(&mut self, reply: Reply, text: &[u8]) -> Result<Next, Error> {
        self.question = match (self.question, self.outage, reply) {
            (Question::Version, None, Reply::Text) => return Ok(Next::Done(Finding::Present)),
            (Question::Flush, _, Reply::Flushed) => return Ok(Next::Done(Finding::Emptied)),
            (Question::Version, Some(_), Reply::Text) => Question::Uptime,
            (Question::Uptime, Some(outage), Reply::Text) => {
                match outage.saw_the_start(&String::from_utf8_lossy(text)) {
                    Some(true) => return Ok(Next::Done(Finding::Restarted)),
                    Some(false) => Question::Flush,
                    None => return Err(Error::Garbled("the server's statistics have no uptime")),
                }
            }
            _ => return Err(Error::Garbled("the reply belongs to another request")),
        };
        Ok(Next::Ask(self.request()))
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

    /// What is sent to a server that gives these answers, which arrive byte by byte, and how that
    /// ends: by a finding, with another request, or in an error.
    fn talk(outage: Option<Outage>, answers: &[&str]) -> (Vec<String>, Option<Option<Finding>>) {
        let (mut questions, mut session) = (Questions::new(outage), Session::new());
        let mut said = Vec::new();
        session.request(&questions.request());
        for answer in answers {
            said.push(String::from_utf8(session.unsent().to_vec()).unwrap());
            session.note_sent(session.unsent().len());
            match hear(&mut session, answer) {
                Ok((reply, text)) => match questions.take(reply, &text) {
                    Ok(Next::Ask(request)) => session.request(&request),
                    Ok(Next::Done(finding)) => return (said, Some(Some(finding))),
                    Err(_) => return (said, None),
                },
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
        let (said, end) = talk(None, &[VERSION]);
        assert_eq!(said, ["version\r\n"]);
        assert_eq!(end, Some(Some(Finding::Present)));
        for strange in ["HTTP/1.1 400\r\n", "VERSIONS\r\n", "ERROR\r\n"] {
            assert_eq!(talk(None, &[strange]).1, None, "{strange}");
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
            let (said, end) = talk(Some(OUTAGE), &[VERSION, &stats, "OK\r\n"]);
            assert_eq!(said, ["version\r\n", "stats\r\n", "flush_all\r\n"]);
            assert_eq!(end, Some(Some(Finding::Emptied)));
        }
    }

    #[test]
    fn a_server_that_was_restarted_is_not() {
        let (said, end) = talk(Some(OUTAGE), &[VERSION, &stats(3, 1_000_060)]);
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
            assert_eq!(talk(Some(OUTAGE), &answers).1, None, "{answers:?}");
        }
        let endless = format!("VERSION {}", "1".repeat(64 * 1024));
        assert_eq!(talk(None, &[&endless]).1, None);
        let endless = "STAT pid 1\r\n".repeat(64 * 1024);
        assert_eq!(talk(Some(OUTAGE), &[VERSION, &endless]).1, None);
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
