//! Thresholds: `p99>250ms` says when a run fails, `p99<250ms` what it has to keep.
//!
//! | figure | meaning | unit |
//! |---|---|---|
//! | `p50` to `p99.99`, `max`, `mean` | of the time from a marker to its cell; without markers, to the acknowledgment | time |
//! | `latency.p99` | from the intended time of a message to its acknowledgment | time |
//! | `lateness.p99` | from the intended time of a message to its sending | time |
//! | `cell.p99`, `metrics.p99` | from the intended time of a marker to its cell, or to `/metrics` | time |
//! | `throughput` | events sent per second | number |
//! | `lag`, `pending`, `memory`, `cpu` | the largest lag, backlog (messages), memory and processors in use of the worker | time, number, bytes, number |
//! | `unseen` | markers whose cell did not come | number |

use std::fmt;
use std::str::FromStr;

use super::figures::{Kind, largest, quantile, steps};
use super::model::Report;
use crate::replay::length_of;

/// A condition on a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// The text as it was given.
    text: String,
    /// The figure.
    figure: Figure,
    /// Whether the condition is that the figure is above the limit.
    is_above: bool,
    /// The limit: seconds, bytes or a number.
    limit: f64,
}

/// A figure of a report.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Figure {
    /// Of a kind of times, or of those that matter most.
    Time(Option<Kind>, Of),
    Throughput,
    Lag,
    Pending,
    Memory,
    Cpu,
    Unseen,
}

/// What of some times.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    Quantile(f64),
    Mean,
    Max,
}

/// A text that is no threshold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no threshold: write a figure, < or >, and a limit, such as p99>250ms, cell.p99.9>1s, latency.max>2s, \
     throughput<1000, lag>5s, pending>10000, memory>2GB, cpu>1.5 or unseen>0"
)]
pub struct ThresholdError(String);

impl Threshold {
    /// The value of the figure in a report; `None` if the run did not measure it.
    pub fn value(&self, report: &Report) -> Option<f64> {
        match self.figure {
            Figure::Time(kind, of) => {
                let times = match kind {
                    Some(kind) => kind.of(report)?,
                    None => Kind::Cell.of(report).or_else(|| Kind::Latency.of(report))?,
                };
                let micros = match of {
                    Of::Quantile(of) => quantile(times.buckets.iter().copied(), of)?,
                    Of::Mean => times.percentiles.mean_us,
                    Of::Max => times.percentiles.max_us,
                };
                Some(micros as f64 / 1e6)
            }
            Figure::Throughput => Some(report.load.events_per_second),
            Figure::Lag => largest(report, |worker| worker.lag_seconds),
            Figure::Pending => largest(report, |worker| worker.pending),
            Figure::Memory => largest(report, |worker| worker.process.memory_bytes as f64),
            Figure::Cpu => {
                let steps = steps(report).into_iter();
                steps.map(|step| step.cpu / step.seconds).reduce(f64::max)
            }
            Figure::Unseen => report.markers.as_ref().map(|markers| markers.unseen as f64),
        }
    }

    /// Whether the condition holds; `None` if the run did not measure the figure.
    pub fn holds(&self, report: &Report) -> Option<bool> {
        let value = self.value(report)?;
        Some(match self.is_above {
            true => value > self.limit,
            false => value < self.limit,
        })
    }

    /// A value of the figure with its unit.
    pub fn shown(&self, value: f64) -> String {
        match self.figure {
            Figure::Time(..) | Figure::Lag if value < 1.0 => format!("{:.1} ms", value * 1_000.0),
            Figure::Time(..) | Figure::Lag => format!("{value:.2} s"),
            Figure::Memory => format!("{:.0} MB", value / 1e6),
            Figure::Cpu => format!("{value:.2}"),
            Figure::Throughput | Figure::Pending | Figure::Unseen => format!("{value:.0}"),
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Threshold, ThresholdError> {
        let wrong = || ThresholdError(text.to_owned());
        let at = text.find(['<', '>']).ok_or_else(wrong)?;
        let (name, rest) = text.split_at(at);
        let is_above = rest.starts_with('>');
        let limit = rest.trim_start_matches(['<', '>', '=']).trim();
        let figure = figure(name.trim()).ok_or_else(wrong)?;
        let number = || {
            limit
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())
        };
        let limit = match figure {
            Figure::Time(..) | Figure::Lag => length_of(limit).map(|length| length.as_secs_f64()),
            Figure::Memory => bytes(limit),
            _ => number(),
        };
        Ok(Threshold {
            text: text.to_owned(),
            figure,
            is_above,
            limit: limit.ok_or_else(wrong)?,
        })
    }
}

/// The figure of a name.
fn figure(name: &str) -> Option<Figure> {
    Some(match name {
        "throughput" => Figure::Throughput,
        "lag" => Figure::Lag,
        "pending" => Figure::Pending,
        "memory" => Figure::Memory,
        "cpu" => Figure::Cpu,
        "unseen" => Figure::Unseen,
        _ => {
            let kinds = Kind::ALL.into_iter();
            let of_kind = kinds.map(|kind| {
                Some((
                    Some(kind),
                    name.strip_prefix(kind.name())?.strip_prefix('.')?,
                ))
            });
            let (kind, of) = of_kind.flatten().next().unwrap_or((None, name));
            Figure::Time(kind, of_times(of)?)
        }
    })
}

/// What of some times a name means.
fn of_times(name: &str) -> Option<Of> {
    match name {
        "max" => Some(Of::Max),
        "mean" => Some(Of::Mean),
        _ => {
            let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
            let fits = (0.0..=100.0).contains(&percent);
            fits.then_some(Of::Quantile(percent / 100.0))
        }
    }
}

/// Bytes such as `500MB`.
fn bytes(text: &str) -> Option<f64> {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)];
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let number: f64 = number.trim().parse().ok()?;
    number.is_finite().then_some(number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Times;
    use std::time::Duration;

    fn report() -> Report {
        let mut times = Times::new();
        for ms in 1..=1_000 {
            times.record(Duration::ZERO, Duration::from_millis(ms));
        }
        let mut report = Report::default();
        report.times.latency = times.report();
        report.load.events_per_second = 900.0;
        report
    }

    #[test]
    fn a_threshold_holds_or_does_not_or_cannot_be_said() {
        let report = report();
        let holds = |text: &str| text.parse::<Threshold>().unwrap().holds(&report);
        assert_eq!(holds("p99>250ms"), Some(true));
        assert_eq!(holds("p99 < 1s"), Some(true));
        assert_eq!(holds("latency.p99.9>2s"), Some(false));
        assert_eq!(holds("p50<500ms"), Some(false));
        assert_eq!(holds("throughput<1000"), Some(true));
        assert_eq!(holds("cell.p99>1ms"), None);
        assert_eq!(holds("memory>2GB"), None);
        let p99: Threshold = "p99>1s".parse().unwrap();
        assert!((p99.value(&report).unwrap() - 0.99).abs() < 0.001);
        assert_eq!(
            (p99.shown(0.9904), p99.shown(2.5)),
            ("990.4 ms".to_owned(), "2.50 s".to_owned())
        );
    }

    #[test]
    fn what_is_no_threshold_is_refused_with_examples() {
        for text in [
            "p99",
            "p99>250",
            "p101>1s",
            "x<1",
            "lag>5",
            "memory>5",
            "p99>",
            ">5ms",
            "cell.<1s",
            "throughput>x",
        ] {
            let error = text.parse::<Threshold>().unwrap_err().to_string();
            assert!(error.contains("p99>250ms"), "{text}");
        }
    }
}
