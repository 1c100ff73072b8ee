//! Figures of a report by name, as thresholds and comparisons use them.

use super::model::Report;
use crate::measure::TimesReport;
use crate::measure::system::Worker;

/// A kind of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the intended time of a message to its acknowledgment.
    Latency,
    /// From the intended time of a message to its sending.
    Lateness,
    /// From the intended time of a marker to its cell.
    Cell,
    /// From the intended time of a marker to its number in `/metrics`.
    Metrics,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 4] = [Kind::Latency, Kind::Lateness, Kind::Cell, Kind::Metrics];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Latency => "latency",
            Kind::Lateness => "lateness",
            Kind::Cell => "cell",
            Kind::Metrics => "metrics",
        }
    }

    /// Its times in a report, if there are any.
    pub fn of(self, report: &Report) -> Option<&TimesReport> {
        let times = match self {
            Kind::Latency => Some(&report.times.latency),
            Kind::Lateness => Some(&report.times.lateness),
            Kind::Cell => report.markers.as_ref().map(|markers| &markers.to_cell),
            Kind::Metrics => report.markers.as_ref()?.to_metrics.as_ref(),
        };
        times.filter(|times| times.percentiles.count > 0)
    }
}

/// A quantile of counted buckets, 0 to 1: the bound of the bucket in which it lies.
pub fn quantile(buckets: impl Iterator<Item = (u64, u64)> + Clone, quantile: f64) -> Option<u64> {
    let all: u64 = buckets.clone().map(|(_, count)| count).sum();
    let wanted = (all as f64 * quantile).ceil().max(1.0) as u64;
    let mut seen = 0;
    let mut buckets = buckets;
    let found = buckets.find(|(_, count)| {
        seen += count;
        seen >= wanted
    });
    found.map(|(bound, _)| bound)
}

/// The counts of intervals by bucket, for joining some of them many times.
pub struct Dense {
    /// The bounds of all buckets, ascending.
    bounds: Vec<u64>,
    /// The place of each bucket of an interval in them, with its count.
    intervals: Vec<Vec<(usize, u64)>>,
}

impl Dense {
    /// The intervals of some times.
    pub fn of(times: &TimesReport) -> Dense {
        let buckets = || {
            times
                .intervals
                .iter()
                .flat_map(|interval| &interval.buckets)
        };
        let bounds: std::collections::BTreeSet<u64> = buckets().map(|(bound, _)| *bound).collect();
        let bounds: Vec<u64> = bounds.into_iter().collect();
        let place = |bound: &u64| bounds.binary_search(bound).unwrap_or_default();
        let intervals = times.intervals.iter();
        let intervals = intervals.map(|of| {
            of.buckets
                .iter()
                .map(|(bound, count)| (place(bound), *count))
                .collect()
        });
        Dense {
            intervals: intervals.collect(),
            bounds,
        }
    }

    /// A quantile of some intervals together, each of which may occur more than once.
    pub fn quantile(&self, intervals: &[usize], wanted: f64) -> Option<u64> {
        let mut counts = vec![0; self.bounds.len()];
        for (place, count) in intervals
            .iter()
            .filter_map(|number| self.intervals.get(*number))
            .flatten()
        {
            if let Some(slot) = counts.get_mut(*place) {
                *slot += count;
            }
        }
        quantile(
            self.bounds.iter().copied().zip(counts.iter().copied()),
            wanted,
        )
    }
}

/// A difference of two samples of the worker.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// Its end, seconds from the start of the run.
    pub second: f64,
    /// Its length, seconds.
    pub seconds: f64,
    /// Records accepted.
    pub records: f64,
    /// Processor time of the worker, seconds.
    pub cpu: f64,
    /// Processor time of the broker, seconds.
    pub broker_cpu: f64,
    /// Cells published.
    pub cells: f64,
    /// The mean length of an epoch, seconds, if any was closed.
    pub epoch: Option<f64>,
    /// The mean length of a commit, seconds, if there was any.
    pub commit: Option<f64>,
}

/// The differences of consecutive samples. A worker that was restarted meanwhile gives none.
pub fn steps(report: &Report) -> Vec<Step> {
    let pairs = report.system.iter().zip(report.system.iter().skip(1));
    let steps = pairs.filter_map(|(before, after)| {
        let (from, to) = (before.worker.as_ref()?, after.worker.as_ref()?);
        let mean = |of: fn(&Worker) -> (f64, f64)| {
            let count = of(to).0 - of(from).0;
            (count > 0.0).then(|| (of(to).1 - of(from).1) / count)
        };
        let broker = before.broker.zip(after.broker);
        let step = Step {
            second: after.second,
            seconds: after.second - before.second,
            records: to.records - from.records,
            cpu: to.process.cpu_seconds - from.process.cpu_seconds,
            broker_cpu: broker.map_or(0.0, |(from, to)| to.cpu_seconds - from.cpu_seconds),
            cells: to.cells_published - from.cells_published,
            epoch: mean(|worker| worker.epochs),
            commit: mean(|worker| worker.commits),
        };
        (step.seconds > 0.0 && step.records >= 0.0 && step.cpu >= 0.0).then_some(step)
    });
    steps.collect()
}

/// The largest value of something that a worker tells.
pub fn largest(report: &Report, of: impl Fn(&Worker) -> f64) -> Option<f64> {
    let samples = report.system.iter();
    let values = samples.filter_map(|sample| sample.worker.as_ref()).map(of);
    values.reduce(f64::max)
}
