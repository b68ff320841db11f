//! The parameters that may be changed while running, as numbers and as settings.
//!
//! A number is what the operator writes, in the parameter's own unit. Which numbers are accepted, and
//! what they mean, is said here once: for the configuration, and for changes.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::settings::Settings;
use crate::item::lifetime::Lifetime;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunable {
    /// `timeout`
    Timeout,
    /// `connect_timeout`
    ConnectTimeout,
    /// `expire`
    Expire,
    /// `stall_limit`
    StallLimit,
    /// `retry_interval`
    RetryInterval,
    /// `ping_interval`
    PingInterval,
}

impl Tunable {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Timeout,
        Self::ConnectTimeout,
        Self::Expire,
        Self::StallLimit,
        Self::RetryInterval,
        Self::PingInterval,
    ];

    /// The parameter's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::ConnectTimeout => "connect_timeout",
            Self::Expire => "expire",
            Self::StallLimit => "stall_limit",
            Self::RetryInterval => "retry_interval",
            Self::PingInterval => "ping_interval",
        }
    }

    /// The one of that name.
    pub fn named(name: &[u8]) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|tunable| tunable.name().as_bytes() == name)
    }

    /// What it accepts, in words.
    pub fn accepted(self) -> &'static str {
        match self {
            Self::Timeout | Self::StallLimit => "1 to 2147483647 milliseconds",
            Self::ConnectTimeout => "0 (all of the timeout) to 2147483647 milliseconds",
            Self::Expire | Self::PingInterval => "0 (never) to 2147483647 seconds",
            Self::RetryInterval => "0 to 2147483647 milliseconds, or -1 (never)",
        }
    }

    /// The least and the largest number that it accepts.
    pub fn range(self) -> RangeInclusive<i32> {
        match self {
            Self::Timeout | Self::StallLimit => 1..=i32::MAX,
            Self::ConnectTimeout | Self::Expire | Self::PingInterval => 0..=i32::MAX,
            Self::RetryInterval => NEVER_RETRY..=i32::MAX,
        }
    }

    /// Its value as a number.
    pub fn number(self, settings: &Settings) -> i32 {
        let millis = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        let secs = |secs: u64| i32::try_from(secs).unwrap_or(i32::MAX);
        match self {
            Self::Timeout => millis(settings.timeout),
            Self::ConnectTimeout => settings.connect_timeout.map_or(0, millis),
            Self::Expire => secs(settings.expire.seconds()),
            Self::StallLimit => millis(settings.stall_limit),
            Self::RetryInterval => settings.retry_interval.map_or(NEVER_RETRY, millis),
            Self::PingInterval => secs(settings.ping_interval.map_or(0, |time| time.as_secs())),
        }
    }

    /// Gives it the value of a number that it accepts.
    pub fn apply(self, number: i32, settings: &mut Settings) {
        match self {
            Self::Timeout => settings.timeout = millis(number),
            Self::ConnectTimeout => settings.connect_timeout = connect_timeout(number),
            Self::Expire => settings.expire = Lifetime::from(number.unsigned_abs()),
            Self::StallLimit => settings.stall_limit = millis(number),
            Self::RetryInterval => settings.retry_interval = retry_interval(number),
            Self::PingInterval => settings.ping_interval = ping_interval(number),
        }
    }
}

/// A `retry_interval` without an end.
const NEVER_RETRY: i32 = -1;

/// A time in milliseconds.
pub(super) fn millis(number: i32) -> Duration {
    Duration::from_millis(number.unsigned_abs().into())
}

/// A `connect_timeout`.
pub(super) fn connect_timeout(number: i32) -> Option<Duration> {
    (number != 0).then(|| millis(number))
}

/// A `retry_interval`.
pub(super) fn retry_interval(number: i32) -> Option<Duration> {
    (number != NEVER_RETRY).then(|| millis(number))
}

/// A `ping_interval`.
pub(super) fn ping_interval(number: i32) -> Option<Duration> {
    (number != 0).then(|| Duration::from_secs(number.unsigned_abs().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Given, Parameters};

    #[test]
    fn a_number_is_what_the_configuration_would_have() {
        for tunable in Tunable::ALL {
            for number in [i32::MIN, -1, 0, 1, 9, 10, 999, 86_400, i32::MAX] {
                let mut parameters = Parameters::default();
                let set = parameters.set(tunable.name(), Given::Number(number));
                let accepted = tunable.range().contains(&number);
                assert_eq!(set.is_ok(), accepted, "{tunable:?} {number}");
                if set.is_err() {
                    continue;
                }
                let given = parameters.settle().remove(0).settings;
                let mut applied = Parameters::default().settle().remove(0).settings;
                tunable.apply(number, &mut applied);
                for settings in [&given, &applied] {
                    assert_eq!(tunable.number(settings), number, "{tunable:?}");
                }
            }
        }
    }

    #[test]
    fn they_are_found_by_name() {
        for tunable in Tunable::ALL {
            assert_eq!(Tunable::named(tunable.name().as_bytes()), Some(tunable));
        }
        assert_eq!(Tunable::named(b"servers"), None);
    }
}
