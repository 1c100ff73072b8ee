//! Times in HDR histograms: one of the whole run, and one of each interval of it.
//!
//! A time belongs to the interval in which it was *meant* to begin, not to that in which it ended:
//! what was due during a stall counts in the stall. Percentiles are never averaged; intervals and
//! runs are added bucket by bucket. Buckets are exact to a thousandth of their value in the whole,
//! and to a hundredth in the intervals.
//!
//! Memory is bounded: beyond [`MOST_INTERVALS`] intervals, neighbours are joined and intervals become
//! twice as long.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The maximum number of intervals.
const MOST_INTERVALS: u32 = 7_200;

/// The longest time that a histogram distinguishes, microseconds: a day.
const LONGEST: u64 = 86_400_000_000;

/// Times of one kind.
#[derive(Clone, Debug)]
pub struct Times {
    /// All times, microseconds.
    whole: Histogram<u64>,
    /// An empty histogram, which defines the buckets of intervals.
    buckets: Histogram<u64>,
    /// The counts of each interval by the lower bound of their bucket, microseconds.
    intervals: BTreeMap<u32, BTreeMap<u64, u64>>,
    /// The length of an interval, seconds.
    seconds: u32,
}

/// What a histogram says, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// The number of times.
    pub count: u64,
    /// The smallest.
    pub min_us: u64,
    /// The mean.
    pub mean_us: u64,
    /// The median.
    pub p50_us: u64,
    /// The 75th percentile.
    pub p75_us: u64,
    /// The 90th percentile.
    pub p90_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
    /// The 99.9th percentile.
    pub p999_us: u64,
    /// The 99.99th percentile.
    pub p9999_us: u64,
    /// The largest.
    pub max_us: u64,
}

/// The times of an interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its beginning, seconds from the start of the run.
    pub second: u32,
    /// The lower bound of each bucket, microseconds, with its count.
    pub buckets: Vec<(u64, u64)>,
}

/// Times as a report contains them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TimesReport {
    /// What the whole says.
    #[serde(flatten)]
    pub percentiles: Percentiles,
    /// The upper bound of each bucket of the whole, microseconds, with its count.
    pub buckets: Vec<(u64, u64)>,
    /// The length of an interval, seconds.
    pub interval_seconds: u32,
    /// The intervals that have any, in order.
    pub intervals: Vec<Interval>,
}

impl Default for Times {
    fn default() -> Times {
        Times::new()
    }
}

impl Times {
    /// No times.
    pub fn new() -> Times {
        Times {
            whole: histogram(3),
            buckets: histogram(2),
            intervals: BTreeMap::new(),
            seconds: 1,
        }
    }

    /// Records a time that was meant to begin `after` the start of the run.
    pub fn record(&mut self, after: Duration, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.record_micros(after, micros);
    }

    /// The same in microseconds.
    fn record_micros(&mut self, after: Duration, micros: u64) {
        self.whole.saturating_record(micros);
        let second = u32::try_from(after.as_secs()).unwrap_or(u32::MAX);
        while second / self.seconds >= MOST_INTERVALS {
            self.widen();
        }
        let bucket = self.buckets.lowest_equivalent(micros.min(LONGEST));
        let interval = self.intervals.entry(second / self.seconds).or_default();
        *interval.entry(bucket).or_default() += 1;
    }

    /// Makes intervals twice as long.
    fn widen(&mut self) {
        self.seconds = self.seconds.saturating_mul(2);
        for (number, buckets) in std::mem::take(&mut self.intervals) {
            let joined = self.intervals.entry(number / 2).or_default();
            for (bucket, count) in buckets {
                *joined.entry(bucket).or_default() += count;
            }
        }
    }

    /// The number of times.
    pub fn count(&self) -> u64 {
        self.whole.len()
    }

    /// What the whole says.
    pub fn percentiles(&self) -> Percentiles {
        let at = |quantile| self.whole.value_at_quantile(quantile);
        if self.whole.is_empty() {
            return Percentiles::default();
        }
        Percentiles {
            count: self.whole.len(),
            min_us: self.whole.min(),
            mean_us: self.whole.mean() as u64,
            p50_us: at(0.5),
            p75_us: at(0.75),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            p9999_us: at(0.9999),
            max_us: self.whole.max(),
        }
    }

    /// The share of times that are longer.
    pub fn share_above(&self, limit: Duration) -> f64 {
        if self.whole.is_empty() {
            return 0.0;
        }
        let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        let within = self.whole.count_between(0, limit.min(LONGEST));
        1.0 - within as f64 / self.whole.len() as f64
    }

    /// The times as a report contains them.
    pub fn report(&self) -> TimesReport {
        let buckets = self.whole.iter_recorded();
        let buckets =
            buckets.map(|step| (step.value_iterated_to(), step.count_since_last_iteration()));
        let intervals = self.intervals.iter();
        let intervals = intervals.map(|(number, buckets)| Interval {
            second: number * self.seconds,
            buckets: buckets.iter().map(|(at, count)| (*at, *count)).collect(),
        });
        TimesReport {
            percentiles: self.percentiles(),
            buckets: buckets.collect(),
            interval_seconds: self.seconds,
            intervals: intervals.collect(),
        }
    }
}

/// A histogram of microseconds up to a day with a number of significant digits.
fn histogram(digits: u8) -> Histogram<u64> {
    // The bounds and the digits are constants that the library accepts; its own default is as good.
    Histogram::new_with_bounds(1, LONGEST, digits)
        .or_else(|_| Histogram::new(digits))
        .unwrap_or_else(|_| unreachable!("{digits} significant digits are allowed"))
}

impl Percentiles {
    /// One line of the main figures.
    pub fn line(&self) -> String {
        let [p50, p90, p99, p999, p9999, max] = self.main_ms();
        format!(
            "p50 {p50:.1}, p90 {p90:.1}, p99 {p99:.1}, p99.9 {p999:.1}, p99.99 {p9999:.1}, max {max:.1} ms"
        )
    }

    /// The main figures in milliseconds: p50, p90, p99, p99.9, p99.99, max.
    pub fn main_ms(&self) -> [f64; 6] {
        let figures = [
            self.p50_us,
            self.p90_us,
            self.p99_us,
            self.p999_us,
            self.p9999_us,
            self.max_us,
        ];
        figures.map(|us| us as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn percentiles_are_those_of_all_times() {
        let mut times = Times::new();
        for ms in 1..=10_000 {
            times.record(MS(ms), MS(ms));
        }
        let found = times.percentiles();
        let near = |found: u64, ms: u64| found.abs_diff(ms * 1_000) <= ms;
        assert!(
            near(found.p50_us, 5_000) && near(found.p99_us, 9_900),
            "{found:?}"
        );
        assert!(
            near(found.p9999_us, 9_999) && near(found.max_us, 10_000),
            "{found:?}"
        );
        assert_eq!(found.count, 10_000);
        let above = times.share_above(MS(9_000));
        assert!((above - 0.1).abs() < 0.002, "{above}");
        let report = times.report();
        let all: u64 = report.buckets.iter().map(|(_, count)| count).sum();
        assert_eq!(all, 10_000);
        let of_intervals: u64 = report
            .intervals
            .iter()
            .flat_map(|of| &of.buckets)
            .map(|(_, count)| count)
            .sum();
        assert_eq!((of_intervals, report.intervals.len()), (10_000, 11));
    }

    #[test]
    fn a_long_run_joins_its_intervals() {
        let mut times = Times::new();
        for hour in 0..48_u64 {
            times.record(Duration::from_secs(hour * 3_600), MS(5));
        }
        let report = times.report();
        assert_eq!((report.interval_seconds, report.intervals.len()), (32, 48));
        assert_eq!(report.percentiles.count, 48);
    }

    #[test]
    fn nothing_says_nothing() {
        assert_eq!(Times::new().percentiles(), Percentiles::default());
        assert_eq!(Times::new().share_above(MS(0)), 0.0);
    }
}
