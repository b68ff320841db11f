//! A `Lifetime` is how long memcached keeps an item: as operators write it, and as it is sent.
//!
//! memcached takes a number up to 30 days as seconds from now, and a larger number as Unix time
//! (its protocol text, section "Expiration times"). So 40 days, sent as seconds, would be a moment
//! of 1970, and the item would vanish at once. This type sends such a lifetime as the Unix time at
//! which it ends.

use crate::error::Refusal;
use crate::sys;

/// The longest lifetime that memcached takes as seconds from now: 30 days.
pub(crate) const MAX_RELATIVE: u64 = 60 * 60 * 24 * 30;

/// The last moment that is sent, since memcached keeps Unix time in 31 bits in some places.
const LAST_MOMENT: u64 = i32::MAX as u64;

/// A lifetime, as it is sent, that is over: a moment of 1970.
pub(crate) const PAST: u32 = MAX_RELATIVE as u32 + 1;

/// A lifetime as the operator or the script gave it, in seconds or as Unix time. 0 means that the
/// item never expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lifetime(u64);

impl Lifetime {
    /// A lifetime from an integer.
    ///
    /// # Errors
    /// [`Refusal::Lifetime`] if it is negative.
    pub fn new(seconds: i64) -> Result<Self, Refusal> {
        u64::try_from(seconds)
            .map(Self)
            .map_err(|_| Refusal::Lifetime)
    }

    /// Reads decimal seconds, and ignores blanks around them. An empty text is `None`, which means
    /// the default. A number of more than 64 bits counts as the largest possible one.
    ///
    /// # Errors
    /// [`Refusal::Lifetime`] for any other text, including a number with a sign.
    pub fn parse(text: &[u8]) -> Result<Option<Self>, Refusal> {
        let digits = text.trim_ascii();
        if digits.is_empty() {
            return Ok(None);
        }
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::Lifetime);
        }
        let seconds = digits.iter().fold(0u64, |sum, digit| {
            sum.saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        });
        Ok(Some(Self(seconds)))
    }

    /// The number that was given.
    pub fn seconds(self) -> u64 {
        self.0
    }

    /// The number to send to memcached. This reads the clock only for lifetimes of more than 30
    /// days.
    pub fn on_wire(self) -> u32 {
        if self.0 <= MAX_RELATIVE {
            return self.0 as u32;
        }
        self.on_wire_at(sys::unix_time().as_secs())
    }

    /// The same for a given Unix time.
    fn on_wire_at(self, unix_now: u64) -> u32 {
        let moment = match self.0 {
            relative if relative <= MAX_RELATIVE => relative,
            future if future > unix_now => future,
            relative => unix_now.saturating_add(relative),
        };
        moment.min(LAST_MOMENT) as u32
    }
}

impl From<u32> for Lifetime {
    fn from(seconds: u32) -> Self {
        Self(seconds.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn wire(seconds: i64) -> u32 {
        Lifetime::new(seconds).unwrap().on_wire_at(NOW)
    }

    #[test]
    fn up_to_thirty_days_go_out_as_they_are() {
        assert_eq!(wire(0), 0);
        assert_eq!(wire(1), 1);
        assert_eq!(wire(2_592_000), 2_592_000);
        assert_eq!(Lifetime::new(10_800).unwrap().on_wire(), 10_800);
    }

    #[test]
    fn more_than_thirty_days_become_a_moment_that_lies_ahead() {
        assert_eq!(wire(2_592_001), 1_802_592_001);
        assert_eq!(wire(NOW as i64), u32::try_from(LAST_MOMENT).unwrap());
        assert_eq!(wire(NOW as i64 + 60), NOW as u32 + 60);
        assert_eq!(wire(i64::from(i32::MAX) + 1), 2_147_483_647);
        assert_eq!(wire(i64::MAX), 2_147_483_647);
    }

    #[test]
    fn text_is_decimal_seconds_or_refused() {
        let parse = |text: &str| Lifetime::parse(text.as_bytes());
        assert_eq!(parse(" 60\t"), Ok(Some(Lifetime(60))));
        assert_eq!(parse("0"), Ok(Some(Lifetime(0))));
        assert_eq!(parse("  "), Ok(None));
        assert_eq!(
            parse("99999999999999999999999"),
            Ok(Some(Lifetime(u64::MAX)))
        );
        for bad in ["60s", "1.5", "abc", "-5", "+5", "6 0", "0x10", "<null>"] {
            assert_eq!(parse(bad), Err(Refusal::Lifetime), "{bad}");
        }
        assert_eq!(Lifetime::new(-1), Err(Refusal::Lifetime));
    }
}
