//! Slow: an operation that took longer than the latency limit. It is counted, and logged with what it was
//! waiting for.

use super::shared_server::SharedServer;
use crate::clock::Moment;
use crate::error::{Error, Waiting};
use crate::health::log_limit::LogLimit;
use crate::status::Status;
use crate::wire::protocol::Request;

/// A slow operation, which has just ended.
pub(super) struct Slow<'a> {
    /// What was asked. It is a copy, for the same reason as in `route`.
    pub(super) request: Request<'a>,
    /// When it began.
    pub(super) began: Moment,
    /// When this process has opened its connection, if it has opened one at all.
    pub(super) opened: Option<Moment>,
    /// Why it has no answer.
    pub(super) error: Option<&'a Error>,
}

impl Slow<'_> {
    /// Counts it at `server`, and logs it unless there were too many.
    #[cold]
    pub(super) fn note(&self, server: &SharedServer, log_limit: &mut LogLimit) {
        server.stats().slow.count();
        let now = Moment::now();
        let Some(left_out) = log_limit.admit(now) else {
            return;
        };
        let (request, label) = (&self.request, server.spec().label());
        let (millis, waiting) = (now.since(self.began).as_millis(), self.waiting(now));
        let end = self.error.map(Status::of_error);
        let end = end.map_or_else(String::new, |word| format!(": {word}"));
        log::warn!(
            "{request} at server {label} took {millis} ms, waiting for {waiting}{end}{left_out}"
        );
    }

    /// What it has been waiting for, most of the time.
    fn waiting(&self, now: Moment) -> Waiting {
        let connecting = self.opened.map(|opened| opened.since(self.began));
        match self.error {
            Some(Error::Timeout(waiting)) => *waiting,
            Some(error) if error.is_of_connecting() => Waiting::Connect,
            _ if connecting.is_some_and(|time| time > now.since(self.began) / 2) => {
                Waiting::Connect
            }
            _ => Waiting::Receive,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::Down;

    #[test]
    fn what_took_most_of_the_time_is_told() {
        let (began, second) = (Moment::now(), Duration::from_secs(1));
        let now = began + second * 10;
        let waited = |opened: Option<u32>, error: Option<&Error>| {
            let slow = Slow {
                request: Request::Version,
                began,
                opened: opened.map(|seconds| began + second * seconds),
                error,
            };
            slow.waiting(now)
        };
        assert_eq!(waited(None, None), Waiting::Receive);
        assert_eq!(waited(Some(0), None), Waiting::Receive, "opened before");
        assert_eq!(waited(Some(4), None), Waiting::Receive);
        assert_eq!(waited(Some(6), None), Waiting::Connect);
        for waiting in [Waiting::Connect, Waiting::Send, Waiting::Receive] {
            assert_eq!(waited(Some(9), Some(&Error::Timeout(waiting))), waiting);
        }
        let unresolved = Error::Down(Down::Unresolved);
        assert_eq!(waited(None, Some(&unresolved)), Waiting::Connect);
        let closed = Error::Down(Down::Closed);
        assert_eq!(waited(Some(1), Some(&closed)), Waiting::Receive);
    }
}
