//! Expiry: warns of certificates that end soon, at the start and once a day: those in the files of pools,
//! and those that servers have shown.

use std::time::Duration;

use crate::clock::Moment;
use crate::pool::Pool;
use crate::quoted::quoted;
use crate::server::ServerSpec;
use crate::sys;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(DAY as u64);

/// How many seconds before its end a certificate is worth a line.
const SOON: i64 = 14 * DAY;

const DAY: i64 = 24 * 60 * 60;

/// When it has looked last.
#[derive(Debug, Default)]
pub(super) struct Expiry(Option<Moment>);

impl Expiry {
    /// Looks at the certificates if a day has passed.
    pub(super) fn look(&mut self, now: Moment, pools: &[Pool]) {
        if self.0.is_some_and(|last| now.passed_since(last) < EVERY) {
            return;
        }
        self.0 = Some(now);
        let today = today();
        for pool in pools {
            let settings = pool.settings();
            for (path, left) in settings.tls.ends(today) {
                if let Some(words) = words(left) {
                    log::warn!(
                        "pool '{}': a certificate in {} {words}",
                        settings.name,
                        quoted(path)
                    );
                }
            }
        }
    }
}

/// What was told of the certificates of one server.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// When the first of them ends, and when it was looked at last.
    last: Option<(i64, Moment)>,
}

impl Told {
    /// The server has shown certificates that end then: looks at them if they are others than before, or a day
    /// has passed.
    pub(super) fn look(&mut self, now: Moment, end: i64, server: &ServerSpec) {
        if !self.is_due(now, end) {
            return;
        }
        self.last = Some((end, now));
        if let Some(words) = words(end - today() as i64) {
            log::warn!("server {} shows a certificate that {words}", server.label());
        }
    }

    fn is_due(&self, now: Moment, end: i64) -> bool {
        self.last
            .is_none_or(|(told, at)| told != end || now.passed_since(at) >= EVERY)
    }
}

/// Now, in seconds of Unix time.
fn today() -> u64 {
    sys::unix_time().as_secs()
}

/// What is to be said of a certificate that ends in so many seconds.
fn words(left: i64) -> Option<String> {
    match left {
        ..=0 => Some("has expired".into()),
        1..SOON => Some(format!("expires in {} days", left / DAY)),
        SOON.. => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_worth_a_line_two_weeks_before_its_end() {
        let said = |left| words(left).unwrap_or_default();
        assert_eq!(said(SOON), "");
        assert_eq!(said(SOON - 1), "expires in 13 days");
        assert_eq!(said(1), "expires in 0 days");
        assert_eq!(said(0), "has expired");
        assert_eq!(said(-DAY), "has expired");
    }

    #[test]
    fn the_certificate_of_a_server_is_looked_at_once_a_day_and_when_it_changes() {
        let (start, mut told) = (Moment::now(), Told::default());
        let server: ServerSpec = "a".parse().unwrap();
        let mut looks = |after, end| {
            let now = start + after;
            let is_due = told.is_due(now, end);
            told.look(now, end, &server);
            is_due
        };
        let second = Duration::from_secs(1);
        assert!(looks(Duration::ZERO, 7));
        assert!(!looks(second, 7));
        assert!(looks(second * 2, 8));
        assert!(!looks(EVERY, 8));
        assert!(looks(EVERY + second * 2, 8));
        assert!(!looks(EVERY + second * 3, 8));
    }
}
