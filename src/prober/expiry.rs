//! Expiry: warns of certificates in the files of pools that end soon, at the start and once a day.

use std::time::Duration;

use crate::clock::Moment;
use crate::pool::Pool;
use crate::quoted::quoted;
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
        let today = sys::unix_time().as_secs();
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
}
