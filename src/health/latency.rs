//! Latency: how long one server has taken to answer, in memory that all processes share.
//!
//! It is a histogram of microseconds since the start. Each doubling of the time is cut into four buckets,
//! so percentiles are accurate to within 20 %. Every [`WINDOW`] the histogram is noted down, in turn at
//! one of two places; the summary is what has come since the older note, that is, in the last one to two
//! windows. Counting takes no lock. A time that is counted at the moment when the histogram is noted down
//! may be missing from the summary; that changes no percentile that a person could notice. All bits
//! zero = nothing measured.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;

/// How long a window is.
const WINDOW: Duration = Duration::from_secs(120);

/// How many buckets the histogram has; the last one begins at 56 s.
const BUCKETS: usize = 104;

/// The histogram, and what it was at the beginning of two windows.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Latency {
    counts: [AtomicU64; BUCKETS],
    /// All times together, in microseconds.
    sum: AtomicU64,
    windows: [Window; 2],
}

#[repr(C)]
#[derive(Debug)]
struct Window {
    /// The number of its window, counted from the start of the monotonic clock.
    number: AtomicU32,
    /// The longest time, in microseconds.
    max: AtomicU32,
    /// The lower halves of the counts at its beginning.
    before: [AtomicU32; BUCKETS],
}

/// Which operations are measured, and which of them are slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatencyLimit {
    /// An operation is measured if its number has none of these bits.
    unmeasured: u64,
    /// An operation that takes longer is slow.
    limit: Duration,
}

/// One operation in so many is measured while none is slow. To read the clock again after each operation
/// would cost more than all other counting.
const MEASURED: u64 = 16;

impl LatencyLimit {
    /// No operation is slow.
    const OFF: Self = Self {
        unmeasured: MEASURED - 1,
        limit: Duration::MAX,
    };

    /// Operations that take longer than `limit` are slow. So every operation is measured.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            unmeasured: 0,
            limit,
        }
    }

    /// Whether the operation of this number is to be measured.
    #[inline(always)]
    pub(crate) fn measures(&self, number: u64) -> bool {
        number & self.unmeasured == 0
    }

    /// For how many operations one stands that was measured. `is_overdue` = it was measured for being so.
    pub(crate) fn stands_for(&self, is_overdue: bool) -> u64 {
        match is_overdue {
            true => 1,
            false => self.unmeasured + 1,
        }
    }

    /// Whether an operation that took so long is slow.
    pub(crate) fn is_exceeded_by(&self, time: Duration) -> bool {
        time > self.limit
    }
}

impl Default for LatencyLimit {
    fn default() -> Self {
        Self::OFF
    }
}

/// How many answers took how long since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// How many took less than each of [`BOUNDS`].
    pub within: [u64; BOUNDS.len()],
    /// How many there were.
    pub count: u64,
    /// All times together, in microseconds.
    pub sum: u64,
}

/// The bounds of a [`Histogram`], in microseconds. Each is where a bucket ends.
pub(crate) const BOUNDS: [u32; 16] = [
    1 << 6,
    1 << 7,
    1 << 8,
    1 << 9,
    1 << 10,
    1 << 11,
    1 << 12,
    1 << 13,
    1 << 14,
    1 << 15,
    1 << 16,
    1 << 17,
    1 << 18,
    1 << 19,
    1 << 20,
    1 << 22,
];

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
            before: [const { AtomicU32::new(0) }; BUCKETS],
        };
        Self {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
            windows: [window(), window()],
        }
    }
}

impl Latency {
    /// An operation that began at `start`, and stands for so many, has just ended. Counts how long it took
    /// if it was answered. Returns whether it is slow.
    #[cold]
    pub(crate) fn measure(
        &self,
        start: Moment,
        answered: Option<u64>,
        limit: &LatencyLimit,
    ) -> bool {
        let now = Moment::now();
        let took = now.since(start);
        if let Some(stands_for) = answered {
            self.record(now, took, stands_for);
        }
        limit.is_exceeded_by(took)
    }

    /// Counts so many answers, of which one came `now` and took `time`.
    pub(crate) fn record(&self, now: Moment, time: Duration, count: u64) {
        let number = window_of(now);
        let window = &self.windows[number as usize % 2];
        if window.number.load(Ordering::Relaxed) != number
            && window.number.swap(number, Ordering::Relaxed) != number
        {
            window.begin(&self.counts);
        }
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.counts[bucket_of(micros)].fetch_add(count, Ordering::Relaxed);
        self.sum
            .fetch_add(count * u64::from(micros), Ordering::Relaxed);
        if micros > window.max.load(Ordering::Relaxed) {
            window.max.fetch_max(micros, Ordering::Relaxed);
        }
    }

    /// How many answers took how long since the start.
    pub(crate) fn histogram(&self) -> Histogram {
        let counts = self
            .counts
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed));
        let within = BOUNDS.map(|bound| counts[..bucket_of(bound)].iter().sum());
        Histogram {
            within,
            count: counts.iter().sum(),
            sum: self.sum.load(Ordering::Relaxed),
        }
    }

    /// The percentiles of the last one to two windows.
    pub(crate) fn summary(&self, now: Moment) -> Summary {
        let number = window_of(now);
        let recent =
            |window: &&Window| number - window.number.load(Ordering::Relaxed).min(number) < 2;
        let windows: Vec<&Window> = self.windows.iter().filter(recent).collect();
        let older = windows
            .iter()
            .min_by_key(|window| window.number.load(Ordering::Relaxed));
        let count = |bucket: usize| -> u64 {
            let now = self.counts[bucket].load(Ordering::Relaxed) as u32;
            let before = |window: &&Window| window.before[bucket].load(Ordering::Relaxed);
            older.map_or(0, |window| u64::from(now.wrapping_sub(before(window))))
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
        let counts = self.counts.iter().chain([&self.sum]);
        counts.for_each(|count| count.store(0, Ordering::Relaxed));
        let windows = self.windows.iter();
        windows.for_each(|window| window.begin(&self.counts));
    }
}

impl Window {
    /// It begins when the histogram is this.
    fn begin(&self, counts: &[AtomicU64; BUCKETS]) {
        for (before, count) in self.before.iter().zip(counts) {
            before.store(count.load(Ordering::Relaxed) as u32, Ordering::Relaxed);
        }
        self.max.store(0, Ordering::Relaxed);
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

    #[test]
    fn every_operation_is_measured_where_some_are_slow() {
        let measured = |limit: LatencyLimit| (0..160).filter(|&it| limit.measures(it)).count();
        let (off, second) = (LatencyLimit::default(), Duration::from_secs(1));
        assert_eq!(
            (measured(off), measured(LatencyLimit::new(second))),
            (10, 160)
        );
        assert!(!off.is_exceeded_by(Duration::MAX));
        assert!(!LatencyLimit::new(second).is_exceeded_by(second));
        assert!(LatencyLimit::new(second).is_exceeded_by(second + Duration::from_nanos(1)));
    }

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
            latency.record(at(1000), Duration::from_micros(micros), 16);
        }
        let summary = latency.summary(at(1001));
        assert!((500..=640).contains(&summary.p50), "{summary:?}");
        assert!((990..=1000).contains(&summary.p99), "{summary:?}");
        assert_eq!(summary.max, 1000);
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let latency = Latency::default();
        latency.record(at(1000), Duration::from_micros(9000), 1);
        assert_eq!(latency.summary(at(1100)).max, 9000);
        assert_eq!(latency.summary(at(1500)), Summary::default());
        latency.record(at(1440), Duration::from_micros(7), 1);
        assert_eq!(latency.summary(at(1500)).max, 7);
        assert_eq!(latency.summary(at(1500)).p99, 7);
    }

    #[test]
    fn the_histogram_has_everything_since_the_start() {
        let latency = Latency::default();
        let times = [63, 64, 1023, 1024, 4_194_303, 4_194_304];
        for (micros, seconds) in times.into_iter().zip((1000..).step_by(500)) {
            latency.record(at(seconds), Duration::from_micros(micros), 16);
        }
        let histogram = latency.histogram();
        let mut expected = [16 * 2; BOUNDS.len()];
        expected[0] = 16;
        expected[4..].fill(16 * 3);
        expected[5..].fill(16 * 4);
        expected[15] = 16 * 5;
        assert_eq!(histogram.within, expected);
        assert_eq!(histogram.count, 16 * 6);
        assert_eq!(histogram.sum, 16 * times.into_iter().sum::<u64>());
        latency.reset();
        assert_eq!((latency.histogram().count, latency.histogram().sum), (0, 0));
        assert_eq!(latency.summary(at(3500)), Summary::default());
    }

    #[test]
    fn each_bound_is_where_a_bucket_ends() {
        for bound in BOUNDS {
            assert_eq!(end_of(bucket_of(bound) - 1), bound - 1);
        }
    }

    #[test]
    fn what_is_measured_stands_for_what_is_not() {
        let second = LatencyLimit::new(Duration::from_secs(1));
        assert_eq!(
            (
                LatencyLimit::OFF.stands_for(false),
                second.stands_for(false)
            ),
            (16, 1)
        );
        assert_eq!(
            (LatencyLimit::OFF.stands_for(true), second.stands_for(true)),
            (1, 1)
        );
    }
}
