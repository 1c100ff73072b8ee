//! A report, and a comparison of two, for a terminal.

use std::fmt::Write;

use super::compare::{Change, Verdict};
use super::figures::{Kind, largest, steps};
use super::model::Report;

/// What a report says about itself and of the whole run, by name.
pub(super) fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let load = &report.load;
    let mut facts = vec![
        (
            "started",
            format!("{}, {:.1} s", report.started, report.seconds),
        ),
        ("commit", report.commit.clone()),
        ("machine", report.machine.line()),
    ];
    if let Some(digest) = &report.settings_sha256 {
        facts.push(("settings", format!("SHA-256 {digest}")));
    }
    facts.push((
        "sent",
        format!(
            "{} events in {} messages, {:.0} events/s{}",
            load.events,
            load.messages,
            load.events_per_second,
            load.asked_per_second
                .map_or(String::new(), |asked| format!(" of {asked:.0} asked for"))
        ),
    ));
    if let Some(markers) = &report.markers {
        facts.push((
            "markers",
            format!(
                "{} sent, {} whose cell did not come",
                markers.sent, markers.unseen
            ),
        ));
    }
    let steps = steps(report);
    let records: f64 = steps.iter().map(|step| step.records).sum();
    let cpu: f64 = steps.iter().map(|step| step.cpu).sum();
    if records > 0.0 {
        let memory = largest(report, |worker| worker.process.memory_bytes as f64).unwrap_or(0.0);
        let lag = largest(report, |worker| worker.lag_seconds).unwrap_or(0.0);
        let pending = largest(report, |worker| worker.pending).unwrap_or(0.0);
        facts.push((
            "worker",
            format!(
                "{records:.0} records, {:.2} CPU s per million; at most {:.0} MB, {lag:.2} s of lag, {pending:.0} messages waiting",
                cpu / records * 1e6,
                memory / 1e6
            ),
        ));
    }
    facts
}

/// A report as text.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", report.title);
    for why in &report.invalid {
        let _ = writeln!(out, "NOT VALID: {why}");
    }
    if report.interrupted {
        let _ = writeln!(out, "ended by a signal before its time");
    }
    for (name, value) in facts(report) {
        let _ = writeln!(out, "{name:<10}{value}");
    }
    let _ = writeln!(
        out,
        "{:<10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "ms", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max"
    );
    for kind in Kind::ALL {
        let Some(times) = kind.of(report) else {
            continue;
        };
        let of = times.percentiles;
        let _ = write!(out, "{:<10}{:>10}", kind.name(), of.count);
        for ms in of.main_ms() {
            let _ = write!(out, "{ms:>10.1}");
        }
        out.push('\n');
    }
    out
}

/// A comparison as text.
pub fn comparison(changes: &[Change]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<16}{:>12}{:>12}{:>10}  {:<22}",
        "figure", "run 1", "run 2", "change", "99 % interval"
    );
    for change in changes {
        let interval = change.interval.map_or("-".to_owned(), |(low, high)| {
            format!("{:+.1} to {:+.1} %", low * 100.0, high * 100.0)
        });
        let verdict = match change.verdict {
            Verdict::Better => "better",
            Verdict::Worse => "WORSE",
            Verdict::Same => "no difference found",
            Verdict::Unknown => "cannot be said",
        };
        let _ = writeln!(
            out,
            "{:<16}{:>12.2}{:>12.2}{:>9.1}%  {interval:<22}{verdict} ({})",
            change.figure,
            change.from,
            change.to,
            change.change * 100.0,
            change.unit
        );
    }
    out
}
