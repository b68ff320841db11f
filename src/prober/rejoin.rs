//! Rejoin: what a probe says to a server and hears from it, so that it may be used again.
//!
//! Is it a memcached? And where servers are emptied before their return: while it was away its keys
//! may have been written elsewhere, or deleted without it; what it still holds is out of date. One
//! that was restarted meanwhile is empty already. Nothing here waits.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::Error;

/// The longest answer that is read.
const MAX_ANSWER: usize = 64 * 1024;

/// An outage that a server is to be emptied after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    /// How many seconds it has lasted, by a clock that nobody sets.
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
    /// Both clocks must say so: the time that it has been up stands still while its machine or its
    /// process does, and the time of day may differ between machines. If in doubt it is emptied.
    fn saw_the_start(&self, stats: &str) -> Option<bool> {
        let number = |name: &str| -> Option<u64> {
            let mut lines = stats.lines();
            lines.find_map(|line| line.strip_prefix(name))?.parse().ok()
        };
        let (uptime, time) = (number("STAT uptime ")?, number("STAT time ")?);
        Some(uptime < self.lasted && time.saturating_sub(uptime) >= self.began)
    }
}

/// What a server was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// A memcached, with whatever it holds.
    Present,
    /// One that was restarted during the outage, and so is empty.
    Restarted,
    /// One that has been emptied.
    Emptied,
}

/// What follows from what was heard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Hear more.
    Hear,
    /// Say [`Talk::request`].
    Say,
    /// It is over.
    Done(Finding),
}

/// A conversation with one server.
#[derive(Debug)]
pub(crate) struct Talk {
    outage: Option<Outage>,
    question: Question,
    answer: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Version,
    Stats,
    Flush,
}

impl Talk {
    /// Asks whether it is there; has it emptied if it was away for `outage`.
    pub(crate) fn new(outage: Option<Outage>) -> Self {
        Self {
            outage,
            question: Question::Version,
            answer: Vec::new(),
        }
    }

    /// What to say to it now.
    pub(crate) fn request(&self) -> &'static [u8] {
        match self.question {
            Question::Version => b"version\r\n",
            Question::Stats => b"stats\r\n",
            Question::Flush => b"flush_all\r\n",
        }
    }

    /// It has said `bytes`.
    ///
    /// # Errors
    /// [`Error::Garbled`]: that is no answer.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Result<Next, Error> {
        self.answer.extend_from_slice(bytes);
        let (begin, end): (&[u8], &[u8]) = match self.question {
            Question::Version => (b"VERSION ", b"\r\n"),
            Question::Stats => (b"STAT ", b"\r\nEND\r\n"),
            Question::Flush => (b"OK\r\n", b"\r\n"),
        };
        let begun = &self.answer[..self.answer.len().min(begin.len())];
        if !begin.starts_with(begun) || self.answer.len() > MAX_ANSWER {
            return Err(Error::Garbled(self.complaint()));
        }
        if !self.answer.ends_with(end) {
            return Ok(Next::Hear);
        }
        let answer = std::mem::take(&mut self.answer);
        self.take(&String::from_utf8_lossy(&answer))
    }

    /// It has said all that it was asked for.
    fn take(&mut self, answer: &str) -> Result<Next, Error> {
        let next = match (self.question, self.outage) {
            (Question::Version, None) => return Ok(Next::Done(Finding::Present)),
            (Question::Flush, _) => return Ok(Next::Done(Finding::Emptied)),
            (Question::Version, Some(_)) => Question::Stats,
            (Question::Stats, outage) => match outage.and_then(|it| it.saw_the_start(answer)) {
                Some(true) => return Ok(Next::Done(Finding::Restarted)),
                Some(false) => Question::Flush,
                None => return Err(Error::Garbled(self.complaint())),
            },
        };
        self.question = next;
        Ok(Next::Say)
    }

    fn complaint(&self) -> &'static str {
        match self.question {
            Question::Version => "no version of a memcached",
            Question::Stats => "no uptime in the server's statistics",
            Question::Flush => "the server does not flush",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTAGE: Outage = Outage {
        lasted: 60,
        began: 1_000_000,
    };

    /// What is said to a server that gives these answers, byte by byte, and how that ends.
    fn talk(outage: Option<Outage>, answers: &[&str]) -> (Vec<&'static [u8]>, Option<Next>) {
        let mut talk = Talk::new(outage);
        let mut said = Vec::new();
        for answer in answers {
            said.push(talk.request());
            let (last, bytes) = answer.as_bytes().split_last().unwrap();
            for byte in bytes {
                match talk.hear(&[*byte]) {
                    Ok(next) => assert_eq!(next, Next::Hear, "{answer}"),
                    Err(_) => return (said, None),
                }
            }
            match talk.hear(&[*last]) {
                Ok(Next::Say) => {}
                Ok(next) => return (said, Some(next)),
                Err(_) => return (said, None),
            }
        }
        said.push(talk.request());
        (said, Some(Next::Say))
    }

    const VERSION: &str = "VERSION 1.6.18\r\n";

    fn stats(uptime: u64, time: u64) -> String {
        format!("STAT pid 1\r\nSTAT uptime {uptime}\r\nSTAT time {time}\r\nEND\r\n")
    }

    #[test]
    fn who_was_not_away_is_asked_for_the_version_alone() {
        let (said, end) = talk(None, &[VERSION]);
        assert_eq!(said, [b"version\r\n"]);
        assert_eq!(end, Some(Next::Done(Finding::Present)));
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
            assert_eq!(said, [&b"version\r\n"[..], b"stats\r\n", b"flush_all\r\n"]);
            assert_eq!(end, Some(Next::Done(Finding::Emptied)));
        }
    }

    #[test]
    fn a_server_that_was_restarted_is_not() {
        let (said, end) = talk(Some(OUTAGE), &[VERSION, &stats(3, 1_000_060)]);
        assert_eq!(said, [&b"version\r\n"[..], b"stats\r\n"]);
        assert_eq!(end, Some(Next::Done(Finding::Restarted)));
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
        let mut endless = Talk::new(None);
        assert_eq!(endless.hear(b"VERSION ").unwrap(), Next::Hear);
        assert!(endless.hear(&[b'1'; MAX_ANSWER]).is_err());
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
