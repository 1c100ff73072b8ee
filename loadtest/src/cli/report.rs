//! `loadtest report`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use tributary_connectors::output_files::{Contents, OutputFile, OutputFiles};
use tributary_connectors::terminal;
use tributary_loadtest::report::{Report, Threshold, Verdict, compare, comparison, html, text};

use super::outcome::Outcome;

/// Show a report of a run, or compare two.
///
/// Prints the report as text. With two reports, prints what has changed from the first to the second:
/// a change counts as found if its interval of 99 % confidence, which a block bootstrap of the seconds
/// of both runs gives, lies beyond 5 %.
///
///   loadtest report run.json --html run.html
///   loadtest report before.json after.json
///   loadtest report run.json --fail-if 'p99>250ms' --fail-if 'lag>5s' --fail-if 'unseen>0'
///
/// The page of --html needs neither network nor script. What --fail-if takes:
///
///   p50 … p99.99, mean, max   of the time from a marker to its cell; without markers, to the
///                             acknowledgment. One kind alone: cell.p99, metrics.p99, latency.p99, lateness.p99
///   throughput                events sent per second
///   lag, pending, memory, cpu the largest of the worker: a time, messages, bytes (2GB), processors
///   unseen                    markers whose cell did not come
///
/// The exit status is 1 if a threshold is crossed, or if the second report is worse than the first, and
/// 3 if a run is not valid, or did not measure what a threshold asks for.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ReportCommand {
    /// A report, and another one to compare it with
    #[arg(required = true, num_args = 1..=2, value_name = "REPORT")]
    reports: Vec<PathBuf>,
    /// Fail if this holds, such as 'p99>250ms'; of two reports, in the second. May be repeated
    #[arg(long, value_name = "THRESHOLD")]
    fail_if: Vec<Threshold>,
    /// Write one page with charts; a page of a report may be overwritten, any other file only with --force
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print as JSON: the report, or the changes
    #[arg(long)]
    json: bool,
    /// Overwrite a file of --html that is no page of a report
    #[arg(long)]
    force: bool,
}

impl ReportCommand {
    /// Prints, compares and checks reports.
    ///
    /// # Errors
    ///
    /// A file that is no report, or that cannot be written.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let mut reports = Vec::new();
        for path in &self.reports {
            reports.push(Report::read(path)?);
        }
        let (Some(first), other) = (reports.first(), reports.get(1)) else {
            anyhow::bail!("name a report");
        };
        let page = match &self.html {
            Some(path) => {
                let ours = std::fs::read_to_string(path)
                    .is_ok_and(|text| text.contains("<title>Load test: "));
                let mut outputs = OutputFiles::new(self.reports.clone(), self.force || ours);
                Some(outputs.file(path, Contents::Nothing)?)
            }
            None => None,
        };
        if let Some(file) = &page {
            write_text(file, &html(first, other))?;
        }
        let changes = other.map(|other| compare(first, other));
        match (self.json, &changes) {
            (true, Some(changes)) => terminal::print_status_line(serde_json::to_string(changes)?)?,
            (true, None) => terminal::print_status_line(serde_json::to_string(first)?)?,
            (false, _) => {
                for report in &reports {
                    terminal::print_status_line(text(report))?;
                }
                if let Some(changes) = &changes {
                    terminal::print_status_line(comparison(changes))?;
                }
            }
        }
        let judged = other.unwrap_or(first);
        let mut outcome = match reports.iter().all(|report| report.invalid.is_empty()) {
            true => Outcome::Success,
            false => Outcome::Invalid,
        };
        for threshold in &self.fail_if {
            match (threshold.holds(judged), threshold.value(judged)) {
                (Some(true), Some(value)) => {
                    let value = threshold.shown(value);
                    terminal::note(format_args!("loadtest: {threshold}: it is {value}"));
                    if outcome == Outcome::Success {
                        outcome = Outcome::Difference;
                    }
                }
                (Some(false), _) => {}
                _ => {
                    terminal::note(format_args!(
                        "loadtest: {threshold}: the run did not measure this"
                    ));
                    outcome = Outcome::Invalid;
                }
            }
        }
        let is_worse = changes
            .iter()
            .flatten()
            .any(|change| change.verdict == Verdict::Worse);
        Ok(match outcome {
            Outcome::Success if is_worse => Outcome::Difference,
            outcome => outcome,
        })
    }
}

/// A file that a report may be written to.
///
/// # Errors
///
/// A file of somebody else's, or one that the command reads.
pub(super) fn output(path: &Path, read: Vec<PathBuf>, force: bool) -> anyhow::Result<OutputFile> {
    let mut outputs = OutputFiles::new(read, force || Report::read(path).is_ok());
    Ok(outputs.file(path, Contents::Nothing)?)
}

/// Writes a report.
///
/// # Errors
///
/// The file system refuses.
pub(super) fn write(file: &OutputFile, report: &Report) -> anyhow::Result<()> {
    write_text(file, &format!("{}\n", serde_json::to_string(report)?))
}

/// Writes a text.
fn write_text(file: &OutputFile, text: &str) -> anyhow::Result<()> {
    file.write(|out| -> anyhow::Result<()> {
        let written = out.write_all(text.as_bytes());
        written.with_context(|| format!("cannot write {}", file.path().display()))
    })
}
