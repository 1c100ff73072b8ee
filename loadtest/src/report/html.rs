//! A report as one page that needs nothing else: no script, no font, no network.

use std::fmt::Write;

use super::chart::{self, Line, Scale, escape, short};
use super::compare::{Verdict, compare};
use super::figures::{Kind, Step, steps};
use super::model::Report;
use super::text::facts;
use crate::measure::TimesReport;
use crate::measure::system::Worker;

/// The style: a few colours, for light and dark.
const STYLE: &str = include_str!("style.css");

/// The page of a report, with a comparison if there is another one.
pub fn html(report: &Report, other: Option<&Report>) -> String {
    let title = format!("Load test: {}", report.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\
         <link rel=\"icon\" href=\"data:,\"><title>{0}</title><style>{STYLE}</style></head><body><main><h1>{0}</h1>",
        escape(&title)
    );
    for why in &report.invalid {
        let _ = write!(page, "<p class=\"invalid\">Not valid: {}</p>", escape(why));
    }
    if report.interrupted {
        page.push_str("<p class=\"invalid\">The run was ended by a signal before its time.</p>");
    }
    page.push_str("<dl>");
    for (name, value) in facts(report) {
        let _ = write!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(&value));
    }
    page.push_str("</dl>");
    percentiles(&mut page, report, other);
    if let Some(other) = other {
        changes(&mut page, report, other);
    }
    let charts = [
        throughput(report),
        worker(report, "Lag", "seconds", |w| w.lag_seconds),
    ];
    let charts = charts.into_iter().chain([
        worker(report, "Backlog", "messages that have not been read", |w| {
            w.pending
        }),
        memory(report),
        cpu(report),
        epochs(report),
        curve(report, other),
        heat(report),
    ]);
    for chart in charts.flatten() {
        page.push_str(&chart);
    }
    operators(&mut page, report);
    page.push_str("</main></body></html>\n");
    page
}

/// The table of percentiles.
fn percentiles(page: &mut String, report: &Report, other: Option<&Report>) {
    page.push_str(
        "<div class=\"wide\"><table><caption>Times, milliseconds, from the intended time</caption><thead><tr><th>time</th>\
         <th>count</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>p99.99</th><th>max</th></tr></thead><tbody>",
    );
    for (run, report) in [(1, Some(report)), (2, other)] {
        let Some(report) = report else { continue };
        for kind in Kind::ALL {
            let Some(times) = kind.of(report) else {
                continue;
            };
            let of = times.percentiles;
            let name = match other {
                Some(_) => format!("{} of run {run}", meaning(kind)),
                None => meaning(kind).to_owned(),
            };
            let _ = write!(page, "<tr><th>{name}</th><td>{}</td>", of.count);
            for ms in of.main_ms() {
                let _ = write!(page, "<td>{ms:.1}</td>");
            }
            page.push_str("</tr>");
        }
    }
    page.push_str("</tbody></table></div>");
}

/// What a kind of times is, for readers.
fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Latency => "to the acknowledgment",
        Kind::Lateness => "to the sending (lateness)",
        Kind::Cell => "marker to its cell",
        Kind::Metrics => "marker to /metrics",
    }
}

/// The table of changes.
fn changes(page: &mut String, report: &Report, other: &Report) {
    page.push_str(
        "<div class=\"wide\"><table><caption>From run 1 to run 2, with intervals of 99 % confidence</caption><thead><tr>\
         <th>figure</th><th>run 1</th><th>run 2</th><th>change</th><th>interval</th><th>found</th></tr></thead><tbody>",
    );
    for change in compare(report, other) {
        let interval = change.interval.map_or("-".to_owned(), |(low, high)| {
            format!("{:+.1} to {:+.1} %", low * 100.0, high * 100.0)
        });
        let (class, verdict) = match change.verdict {
            Verdict::Better => ("better", "better"),
            Verdict::Worse => ("worse", "worse"),
            Verdict::Same => ("", "no difference found"),
            Verdict::Unknown => ("", "cannot be said"),
        };
        let _ = write!(
            page,
            "<tr><th>{}, {}</th><td>{}</td><td>{}</td><td>{:+.1} %</td><td>{interval}</td><td class=\"{class}\">{verdict}</td></tr>",
            change.figure,
            change.unit,
            short(change.from),
            short(change.to),
            change.change * 100.0
        );
    }
    page.push_str("</tbody></table></div>");
}

/// Events sent and records accepted by second.
fn throughput(report: &Report) -> Option<String> {
    let sent = report.times.events_by_second.iter().enumerate();
    let mut lines = vec![Line {
        name: "events sent".to_owned(),
        points: sent
            .map(|(second, events)| (second as f64, *events as f64))
            .collect(),
    }];
    let steps = steps(report);
    if !steps.is_empty() {
        lines.push(Line {
            name: "records accepted by the worker".to_owned(),
            points: steps
                .iter()
                .map(|step| (step.second, step.records / step.seconds))
                .collect(),
        });
    }
    chart::lines("Throughput", "per second", "seconds", Scale::Even, &lines)
}

/// Something that the worker tells, by second.
fn worker(report: &Report, title: &str, unit: &str, of: fn(&Worker) -> f64) -> Option<String> {
    let samples = report.system.iter();
    let points: Vec<_> = samples
        .filter_map(|at| Some((at.second, of(at.worker.as_ref()?))))
        .collect();
    let line = Line {
        name: "worker".to_owned(),
        points,
    };
    chart::lines(title, unit, "seconds", Scale::Even, &[line])
}

/// Memory of worker and broker.
fn memory(report: &Report) -> Option<String> {
    let mb = |bytes: u64| bytes as f64 / 1e6;
    let samples = || report.system.iter();
    let worker =
        samples().filter_map(|at| Some((at.second, mb(at.worker.as_ref()?.process.memory_bytes))));
    let broker = samples().filter_map(|at| Some((at.second, mb(at.broker?.memory_bytes))));
    two("Memory", "MB", worker.collect(), broker.collect())
}

/// Processors in use by worker and broker.
fn cpu(report: &Report) -> Option<String> {
    let steps = steps(report);
    let of = |cpu: fn(&Step) -> f64| -> Vec<(f64, f64)> {
        steps
            .iter()
            .map(|step| (step.second, cpu(step) / step.seconds))
            .collect()
    };
    two(
        "CPU",
        "processors in use",
        of(|step| step.cpu),
        of(|step| step.broker_cpu),
    )
}

/// The mean length of epochs and commits.
fn epochs(report: &Report) -> Option<String> {
    let steps = steps(report);
    let of = |length: fn(&Step) -> Option<f64>| -> Vec<(f64, f64)> {
        steps
            .iter()
            .filter_map(|step| Some((step.second, length(step)? * 1_000.0)))
            .collect()
    };
    let line = |name: &str, points| Line {
        name: name.to_owned(),
        points,
    };
    let lines = [
        line("epoch", of(|step| step.epoch)),
        line("commit of the ledger", of(|step| step.commit)),
    ];
    chart::lines(
        "Epochs and commits",
        "milliseconds, mean",
        "seconds",
        Scale::Even,
        &lines,
    )
}

/// A chart of worker and broker.
fn two(
    title: &str,
    unit: &str,
    worker: Vec<(f64, f64)>,
    broker: Vec<(f64, f64)>,
) -> Option<String> {
    let line = |name: &str, points| Line {
        name: name.to_owned(),
        points,
    };
    let lines = [line("worker", worker), line("broker", broker)];
    chart::lines(title, unit, "seconds", Scale::Even, &lines)
}

/// The times that matter most: to the cell, or else to the acknowledgment.
fn main_times(report: &Report) -> Option<(Kind, &TimesReport)> {
    let kinds = [Kind::Cell, Kind::Latency];
    kinds
        .into_iter()
        .find_map(|kind| Some((kind, kind.of(report)?)))
}

/// The curve of percentiles of all kinds of times.
fn curve(report: &Report, other: Option<&Report>) -> Option<String> {
    let mut lines = Vec::new();
    for (run, report) in [(1, Some(report)), (2, other)] {
        let Some(report) = report else { continue };
        for kind in [Kind::Cell, Kind::Latency, Kind::Metrics] {
            let Some(times) = kind.of(report) else {
                continue;
            };
            let all = times.percentiles.count as f64;
            let mut seen = 0;
            // The number of nines: 1 is the 90th percentile, 2 the 99th.
            let points = times.buckets.iter().map(|(bound, count)| {
                let below = seen as f64 / all;
                seen += count;
                (-(1.0 - below).max(1e-6).log10(), *bound as f64 / 1_000.0)
            });
            let points = points.collect();
            let name = match other {
                Some(_) => format!("{} of run {run}", meaning(kind)),
                None => meaning(kind).to_owned(),
            };
            lines.push(Line { name, points });
        }
    }
    let x = "nines of the percentile (1: p90, 2: p99, 3: p99.9)";
    chart::lines("Percentiles", "milliseconds", x, Scale::Factors, &lines)
}

/// The heat map of the times that matter most.
fn heat(report: &Report) -> Option<String> {
    let (kind, times) = main_times(report)?;
    let cells: Vec<(f64, f64, u64)> = times
        .intervals
        .iter()
        .flat_map(|interval| {
            let at = f64::from(interval.second);
            interval
                .buckets
                .iter()
                .map(move |(us, count)| (at, *us as f64 / 1_000.0, *count))
        })
        .collect();
    let title = format!("Latency, {}", meaning(kind));
    chart::heat(&title, "seconds", f64::from(times.interval_seconds), &cells)
}

/// The table of operators, where the worker tells of them.
fn operators(page: &mut String, report: &Report) {
    let workers = || {
        report
            .system
            .iter()
            .filter_map(|sample| sample.worker.as_ref())
    };
    let (Some(first), Some(last)) = (workers().next(), workers().next_back()) else {
        return;
    };
    if last.operators.is_empty() {
        return;
    }
    page.push_str(
        "<div class=\"wide\"><table><caption>Operators of the worker during the run</caption><thead><tr><th>operator</th>\
         <th>updates</th><th>busy, s</th></tr></thead><tbody>",
    );
    for (name, (updates, busy)) in &last.operators {
        let (before, was_busy) = first.operators.get(name).copied().unwrap_or_default();
        let _ = write!(
            page,
            "<tr><th>{}</th><td>{}</td><td>{:.2}</td></tr>",
            escape(name),
            short(updates - before),
            busy - was_busy
        );
    }
    page.push_str("</tbody></table></div>");
}
