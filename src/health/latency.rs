//! Latency: how long one server has taken to answer lately, in memory that all processes share.
//!
//! It is two histograms of microseconds. Each doubling of the time is cut into four buckets, so
//! percentiles are accurate to within 20 %. Every [`WINDOW`] the older histogram is emptied and
//! filled anew; the summary is made of both, that is, of the last one to two windows. Counting
//! takes no lock. A time that is counted at the moment when a histogram is emptied may be lost;
//! that changes no percentile that a person could notice. All bits zero = nothing measured.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::clock::Moment;

/// How long a histogram is filled before the other one takes its turn.
const WINDOW: Duration = Duration::from_secs(120);

/// How many buckets a histogram has; the last one begins at 56 s.
const BUCKETS: usize = 104;

/// The histograms of two windows.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Latency {
    windows: [Window; 2],
}

#[repr(C)]
#[derive(Debug)]
struct Window {
    /// The number of its window, counted from the start of the monotonic clock.
    number: AtomicU32,
    /// The longest time, in microseconds.
    max: AtomicU32,
    counts: [AtomicU32; BUCKETS],
}

/// Percentiles in microseconds; each is the upper end of its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Summary {
    /// Half of the answers took this long or less.
    pub p50: u32,
    /// Of a hundred answers 99 took this long or less.
    pub p99: u32,
    /// The longest time that an answer took.
    pub max: u32,
}

impl Default for Latency {
    fn default() -> Self {
        let window = || Window {
            number: AtomicU32::new(0),
            max: AtomicU32::new(0),
            counts: [const { AtomicU32::new(0) }; BUCKETS],
        };
        Self {
            windows: [window(), window()],
        }
    }
}

impl Latency {
    /// Counts an answer that came `now` and took `time`.
    pub(crate) fn record(&self, now: Moment, time: Duration) {
        let number = window_of(now);
        let window = &self.windows[number as usize % 2];
        if window.number.swap(number, Ordering::Relaxed) != number {
            window.clear();
        }
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        window.counts[bucket_of(micros)].fetch_add(1, Ordering::Relaxed);
        window.max.fetch_max(micros, Ordering::Relaxed);
    }

    /// The percentiles of the last one to two windows.
    pub(crate) fn summary(&self, now: Moment) -> Summary {
        let number = window_of(now);
        let recent =
            |window: &&Window| number - window.number.load(Ordering::Relaxed).min(number) < 2;
        let windows: Vec<&Window> = self.windows.iter().filter(recent).collect();
        let count = |bucket: usize| -> u64 {
            let load = |window: &&Window| u64::from(window.counts[bucket].load(Ordering::Relaxed));
            windows.iter().map(load).sum()
        };
        let total: u64 = (0..BUCKETS).map(count).sum();
        let max = windows
            .iter()
            .map(|window| window.max.load(Ordering::Relaxed))
            .max();
        let max = max.unwrap_or_default();
        let percentile = |percent: u64| {
            let mut left = (total * percent).div_ceil(100);
            let within = |bucket: &usize| {
                left = left.saturating_sub(count(*bucket));
                left == 0
            };
            (0..BUCKETS)
                .find(within)
                .map_or(0, |bucket| end_of(bucket).min(max))
        };
        Summary {
            p50: percentile(50),
            p99: percentile(99),
            max,
        }
    }

    /// Forgets everything.
    pub(crate) fn reset(&self) {
        self.windows.iter().for_each(Window::clear);
    }
}

impl Window {
    fn clear(&self) {
        self.counts
            .iter()
            .chain([&self.max])
            .for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

fn window_of(now: Moment) -> u32 {
    (now.nanos() / WINDOW.as_nanos() as u64) as u32
}

/// The bucket of a time: below 4 µs each microsecond has its own, above it each doubling has four.
fn bucket_of(micros: u32) -> usize {
    if micros < 4 {
        return micros as usize;
    }
    let octave = micros.ilog2();
    let quarter = micros >> (octave - 2) & 3;
    ((octave as usize - 1) * 4 + quarter as usize).min(BUCKETS - 1)
}

/// The longest time that belongs to a bucket, in microseconds.
fn end_of(bucket: usize) -> u32 {
    if bucket < 4 {
        return bucket as u32;
    }
    let (octave, quarter) = (bucket / 4 + 1, bucket as u64 % 4);
    let end = ((4 + quarter + 1) << (octave - 2)) - 1;
    u32::try_from(end).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn every_time_lies_in_its_bucket() {
        let mut last = 0;
        for micros in (0..5000).chain([10_000, 1_000_000, 59_000_000, u32::MAX]) {
            let bucket = bucket_of(micros);
            assert!(bucket >= last && bucket < BUCKETS, "{micros}");
            let (begin, end) = (
                bucket.checked_sub(1).map_or(0, |before| end_of(before) + 1),
                end_of(bucket),
            );
            assert!(micros >= begin, "{micros} < {begin}");
            assert!(micros <= end || bucket == BUCKETS - 1, "{micros} > {end}");
            assert!(f64::from(end - begin) <= f64::from(begin) / 4.0 + 1.0);
            last = bucket;
        }
    }

    #[test]
    fn percentiles_are_right_to_a_bucket() {
        let latency = Latency::default();
        assert_eq!(latency.summary(at(1000)), Summary::default());
        for micros in 1..=1000 {
            latency.record(at(1000), Duration::from_micros(micros));
        }
        let summary = latency.summary(at(1001));
        assert!((500..=640).contains(&summary.p50), "{summary:?}");
        assert!((990..=1000).contains(&summary.p99), "{summary:?}");
        assert_eq!(summary.max, 1000);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let latency = Latency::default();
        latency.record(at(1000), Duration::from_micros(9000));
        assert_eq!(latency.summary(at(1100)).max, 9000);
        assert_eq!(latency.summary(at(1500)), Summary::default());
        latency.record(at(1440), Duration::from_micros(7));
        assert_eq!(latency.summary(at(1500)).max, 7);
    }
}
