//! The highest rate that a system keeps under a service level: doubling until a rate does not hold,
//! then a binary search between the last that did and the first that did not.
//!
//! A rate holds if it was sent, if the service level held, if every marker came back, and if the
//! backlog did not drift: a system that falls behind by a little each second may well keep its
//! percentiles for as long as a probe takes. A rate that fails is tried a second time, so that one
//! hiccup of the machine does not decide.

use crate::measure::system::Sample;
use crate::report::{Report, Threshold};

/// The share of the rate by which the backlog may grow each second.
const DRIFT: f64 = 0.01;

/// The growth of the backlog that is noise whatever the rate, messages per second.
const NOISE: f64 = 5.0;

/// The smallest number of samples of which a drift can be computed.
const FEWEST: usize = 4;

/// What a probe found.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Probe {
    /// The rate, events per second.
    pub rate: f64,
    /// Why the rate does not hold; empty if it does.
    pub failures: Vec<String>,
}

/// Judges the report of a probe.
pub fn judge(rate: f64, report: &Report, levels: &[Threshold]) -> Probe {
    let mut failures = report.invalid.clone();
    for level in levels {
        match (level.holds(report), level.value(report)) {
            (Some(true), _) => {}
            (Some(false), Some(value)) => {
                failures.push(format!("{level}: it is {}", level.shown(value)))
            }
            _ => failures.push(format!("{level}: the probe did not measure this")),
        }
    }
    match drift(&report.system) {
        Some(drift) if drift > NOISE.max(rate * DRIFT) => {
            failures.push(format!("the backlog grows by {drift:.0} messages a second"));
        }
        _ => {}
    }
    Probe { rate, failures }
}

/// The growth of the backlog, messages per second: the slope of a line through all samples by least
/// squares. `None` if there are too few.
pub fn drift(samples: &[Sample]) -> Option<f64> {
    let points = samples
        .iter()
        .filter_map(|sample| Some((sample.second, sample.worker.as_ref()?.pending)));
    let points: Vec<(f64, f64)> = points.collect();
    if points.len() < FEWEST {
        return None;
    }
    let count = points.len() as f64;
    let mean_x = points.iter().map(|point| point.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|point| point.1).sum::<f64>() / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in points {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x) * (x - mean_x);
    }
    (below > 0.0).then(|| above / below)
}

/// A search for the highest rate.
#[derive(Clone, Debug)]
pub struct Search {
    /// The highest rate that held.
    low: Option<f64>,
    /// The lowest that did not.
    high: Option<f64>,
    /// The rate to try next.
    next: f64,
    /// Whether it failed once.
    failed: bool,
    /// The lowest rate that is tried.
    least: f64,
    /// The ratio of both at which the search ends.
    precision: f64,
}

impl Search {
    /// A search that begins with a rate and ends when the highest rate is known to a share of it, such
    /// as 0.1.
    pub fn new(first: f64, precision: f64) -> Search {
        Search {
            low: None,
            high: None,
            next: first,
            failed: false,
            least: first / 64.0,
            precision,
        }
    }

    /// The rate to try, until the search has ended.
    pub fn next(&self) -> Option<f64> {
        let is_over = match (self.low, self.high) {
            (Some(low), Some(high)) => high / low <= 1.0 + self.precision,
            (None, Some(high)) => high <= self.least,
            _ => self.next > 1e8,
        };
        (!is_over).then_some(self.next)
    }

    /// Notes whether the rate held.
    pub fn note(&mut self, holds: bool) {
        if !holds && !self.failed {
            self.failed = true;
            return;
        }
        self.failed = false;
        match holds {
            true => self.low = Some(self.next),
            false => self.high = Some(self.next),
        }
        self.next = match (self.low, self.high) {
            (Some(low), Some(high)) => (low * high).sqrt(),
            (Some(low), None) => low * 2.0,
            (None, _) => self.next / 2.0,
        };
    }

    /// The highest rate that held.
    pub fn found(&self) -> Option<f64> {
        self.low
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::system::Worker;

    fn found(first: f64, limit: f64, hiccup: usize) -> (Option<f64>, usize) {
        let mut search = Search::new(first, 0.05);
        let mut probes = 0;
        while let Some(rate) = search.next() {
            probes += 1;
            search.note(rate <= limit && probes != hiccup);
        }
        (search.found(), probes)
    }

    #[test]
    fn the_highest_rate_is_found_from_either_side_and_past_a_hiccup() {
        for (first, limit) in [
            (1_000.0, 17_800.0),
            (50_000.0, 17_800.0),
            (1_000.0, 1_000.0),
        ] {
            for hiccup in [0, 1, 3] {
                let (rate, probes) = found(first, limit, hiccup);
                let rate = rate.unwrap();
                assert!(
                    rate <= limit && rate * 1.05 >= limit * 0.999,
                    "{first} {limit}: {rate}"
                );
                assert!(probes < 30);
            }
        }
        assert_eq!(found(1_000.0, 0.5, 0).0, None);
    }

    fn samples(pending: impl Fn(f64) -> f64) -> Vec<Sample> {
        let sample = |second: u32| Sample {
            second: f64::from(second),
            worker: Some(Worker {
                pending: pending(f64::from(second)),
                ..Worker::default()
            }),
            ..Sample::default()
        };
        (0..30).map(sample).collect()
    }

    #[test]
    fn a_backlog_that_grows_fails_a_rate_whose_times_are_good() {
        let level = ["throughput<1000000".parse().unwrap()];
        let judged = |pending: fn(f64) -> f64| {
            let report = Report {
                system: samples(pending),
                ..Report::default()
            };
            judge(1_000.0, &report, &level).failures
        };
        assert_eq!(judged(|_| 40.0), [] as [String; 0]);
        assert_eq!(
            judged(|second| if (second as u64).is_multiple_of(2) {
                100.0
            } else {
                0.0
            }),
            [] as [String; 0]
        );
        assert_eq!(
            judged(|second| second * 50.0),
            ["the backlog grows by 50 messages a second"]
        );
        assert_eq!(drift(&samples(|_| 1.0)[..3]), None);
        let unmeasured = judge(1.0, &Report::default(), &["cell.p99<1s".parse().unwrap()]);
        assert_eq!(
            unmeasured.failures,
            ["cell.p99<1s: the probe did not measure this"]
        );
    }
}
