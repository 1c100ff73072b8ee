//! Comparing two runs: the relative change of each figure, with an interval of confidence.
//!
//! The figures of neighbouring seconds are not independent, so the interval comes from a moving block
//! bootstrap: runs of [`BLOCK`] seconds are drawn with replacement until there are as many seconds as
//! in the original, the figure is computed anew from what was drawn, and the quantiles of its change
//! over [`DRAWS`] draws bound the interval. A change counts as found if all of the interval lies beyond
//! [`MATTERS`], so that neither noise nor what nobody would notice is reported. The draws are seeded:
//! the same reports give the same answer.

use std::rc::Rc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::figures::{Dense, Kind, largest, steps};
use super::model::Report;

/// The length of a block, seconds.
const BLOCK: usize = 3;
/// The number of draws.
const DRAWS: usize = 300;
/// The share of draws outside of the interval.
const OUTSIDE: f64 = 0.01;
/// The smallest relative change that matters.
const MATTERS: f64 = 0.05;
/// The smallest number of seconds of which an interval is computed.
const FEWEST: usize = 2 * BLOCK;

/// What the change of a figure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is better by more than what is noise or does not matter.
    Better,
    /// It is worse.
    Worse,
    /// No difference was found.
    Same,
    /// There is no interval: the figure is a single number, or the runs are too short.
    Unknown,
}

/// The change of a figure from one run to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The figure, such as `cell.p99`.
    pub figure: String,
    /// Its unit.
    pub unit: &'static str,
    /// Its value in the first run.
    pub from: f64,
    /// Its value in the second run.
    pub to: f64,
    /// The relative change, such as 0.2 for one fifth more.
    pub change: f64,
    /// The bounds of the relative change with 99 % confidence.
    pub interval: Option<(f64, f64)>,
    /// What it means.
    pub verdict: Verdict,
}

/// The value of some seconds of a run.
type Value<'a> = dyn Fn(&[usize]) -> Option<f64> + 'a;

/// A figure that can be computed of the seconds of a run.
struct Figure<'a> {
    name: String,
    unit: &'static str,
    /// Whether more of it is better.
    is_gain: bool,
    /// The number of seconds of the run.
    seconds: usize,
    /// Its value of some of these seconds, each of which may occur more than once.
    of: Box<Value<'a>>,
}

/// All figures that a report has intervals of.
fn figures(report: &Report) -> Vec<Figure<'_>> {
    let mut figures = Vec::new();
    // The first and the last second are not whole.
    let whole = report.times.events_by_second.len().saturating_sub(1);
    let sent = report
        .times
        .events_by_second
        .get(1..whole)
        .unwrap_or_default();
    figures.push(Figure {
        name: "throughput".to_owned(),
        unit: "events/s",
        is_gain: true,
        seconds: sent.len(),
        of: Box::new(move |seconds| {
            let all: u64 = seconds.iter().filter_map(|second| sent.get(*second)).sum();
            Some(all as f64 / seconds.len() as f64)
        }),
    });
    for kind in [Kind::Latency, Kind::Cell, Kind::Metrics] {
        let Some(times) = kind.of(report) else {
            continue;
        };
        let dense = Rc::new(Dense::of(times));
        for (name, of) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
            let dense = dense.clone();
            figures.push(Figure {
                name: format!("{}.{name}", kind.name()),
                unit: "ms",
                is_gain: false,
                seconds: times.intervals.len(),
                of: Box::new(move |seconds| Some(dense.quantile(seconds, of)? as f64 / 1_000.0)),
            });
        }
    }
    let steps = steps(report);
    if !steps.is_empty() {
        figures.push(Figure {
            name: "cpu".to_owned(),
            unit: "s per million records",
            is_gain: false,
            seconds: steps.len(),
            of: Box::new(move |seconds| {
                let drawn = || seconds.iter().filter_map(|second| steps.get(*second));
                let records: f64 = drawn().map(|step| step.records).sum();
                let cpu: f64 = drawn().map(|step| step.cpu).sum();
                (records > 0.0).then_some(cpu / records * 1e6)
            }),
        });
    }
    figures
}

impl Figure<'_> {
    /// The value of the whole run.
    fn whole(&self) -> Option<f64> {
        let all: Vec<usize> = (0..self.seconds).collect();
        (self.seconds > 0).then(|| (self.of)(&all))?
    }

    /// The value of as many seconds as the run has, drawn in blocks.
    fn draw(&self, random: &mut ChaCha8Rng) -> Option<f64> {
        let mut drawn = Vec::with_capacity(self.seconds + BLOCK);
        while drawn.len() < self.seconds {
            let first = random.random_range(0..=self.seconds.saturating_sub(BLOCK));
            drawn.extend(first..(first + BLOCK).min(self.seconds));
        }
        drawn.truncate(self.seconds);
        (self.of)(&drawn)
    }
}

/// The changes of all figures that both runs have.
pub fn compare(from: &Report, to: &Report) -> Vec<Change> {
    let (before, after) = (figures(from), figures(to));
    let mut changes = Vec::new();
    for figure in &before {
        let Some(other) = after.iter().find(|other| other.name == figure.name) else {
            continue;
        };
        let (Some(value), Some(new)) = (figure.whole(), other.whole()) else {
            continue;
        };
        if value <= 0.0 {
            continue;
        }
        let interval = interval(figure, other);
        let verdict = match interval {
            None => Verdict::Unknown,
            Some((low, _)) if low > MATTERS && figure.is_gain => Verdict::Better,
            Some((low, _)) if low > MATTERS => Verdict::Worse,
            Some((_, high)) if high < -MATTERS && figure.is_gain => Verdict::Worse,
            Some((_, high)) if high < -MATTERS => Verdict::Better,
            Some(_) => Verdict::Same,
        };
        changes.push(Change {
            figure: figure.name.clone(),
            unit: figure.unit,
            from: value,
            to: new,
            change: new / value - 1.0,
            interval,
            verdict,
        });
    }
    let memory = |report: &Report| largest(report, |worker| worker.process.memory_bytes as f64);
    if let (Some(value), Some(new)) = (memory(from), memory(to))
        && value > 0.0
    {
        changes.push(Change {
            figure: "memory".to_owned(),
            unit: "MB",
            from: value / 1e6,
            to: new / 1e6,
            change: new / value - 1.0,
            interval: None,
            verdict: Verdict::Unknown,
        });
    }
    changes
}

/// The interval of the relative change of a figure.
fn interval(from: &Figure<'_>, to: &Figure<'_>) -> Option<(f64, f64)> {
    if from.seconds.min(to.seconds) < FEWEST {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(0x7472_6962);
    let mut changes = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        let (before, after) = (from.draw(&mut random)?, to.draw(&mut random)?);
        if before > 0.0 {
            changes.push(after / before - 1.0);
        }
    }
    changes.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (changes.len() as f64 * share) as usize;
        changes
            .get(place.min(changes.len().checked_sub(1)?))
            .copied()
    };
    Some((at(OUTSIDE / 2.0)?, at(1.0 - OUTSIDE / 2.0)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Times;
    use std::time::Duration;

    /// A minute of latencies around a median, with a tail, and with whole seconds that are slower than
    /// others, as on a shared machine.
    fn run(seed: u64, median_ms: f64) -> Report {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut times = Times::new();
        let mut report = Report::default();
        let mut slow = 1.0_f64;
        for second in 0..60 {
            slow = 1.0 + 0.7 * (slow - 1.0) + 0.04 * (random.random::<f64>() - 0.5);
            for _ in 0..500 {
                let tail = -random.random::<f64>().max(1e-9).ln();
                let ms = median_ms * slow * (0.8 + 0.29 * tail);
                times.record(
                    Duration::from_secs(second),
                    Duration::from_secs_f64(ms / 1_000.0),
                );
            }
            let events = 1_000.0 / slow * (0.95 + 0.1 * random.random::<f64>());
            report
                .times
                .events_by_second
                .push((events * 5.0 / median_ms) as u64);
        }
        report.times.latency = times.report();
        report
    }

    fn verdicts(from: &Report, to: &Report) -> Vec<(String, Verdict)> {
        let changes = compare(from, to).into_iter();
        changes
            .map(|change| (change.figure, change.verdict))
            .collect()
    }

    #[test]
    fn a_fifth_slower_is_found_and_equal_runs_are_not() {
        for pair in 0..5 {
            let (one, two) = (run(100 + pair, 5.0), run(200 + pair, 5.0));
            for (figure, verdict) in verdicts(&one, &two) {
                assert_eq!(verdict, Verdict::Same, "pair {pair}: {figure}");
            }
            let slower = run(300 + pair, 6.0);
            let found = verdicts(&one, &slower);
            for figure in ["throughput", "latency.p50", "latency.p99"] {
                assert!(
                    found.contains(&(figure.to_owned(), Verdict::Worse)),
                    "pair {pair}: {found:?}"
                );
            }
            assert!(verdicts(&slower, &one).contains(&("latency.p50".to_owned(), Verdict::Better)));
        }
    }

    #[test]
    fn short_runs_have_no_interval() {
        let mut short = run(1, 5.0);
        short.times.latency.intervals.truncate(3);
        short.times.events_by_second.truncate(3);
        for (figure, verdict) in verdicts(&short, &run(2, 6.0)) {
            assert_eq!(verdict, Verdict::Unknown, "{figure}");
        }
    }
}
