//! `tributary replay`: reads traces, and writes a file of cells, a file of
//! rejected lines, and a summary.
//!
//! [`crate::worker::replay`] does the work. Rejected lines are written as a
//! trace of their own beside the cells, so that they can be corrected and
//! replayed.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tributary_config::model::{Brand, Config};
use tributary_connectors::dead_letter::{DeadLetter, RESENT_HEADER};
use tributary_connectors::inputs::{self, Inputs};
use tributary_connectors::nats::SUBJECT_HEADER;
use tributary_connectors::out::cell_line;
use tributary_connectors::output_files::{Contents, OutputFile, OutputFiles};
use tributary_connectors::terminal;
use tributary_connectors::trace::TraceLine;
use tributary_ledger::{Keyring, Ledger, Options};

use crate::cli::args as cli;
use crate::privacy::retention::Category;
use crate::report::worker_profile;
use crate::worker::replay::{ClockWentBack, Outcome, run};

/// Executes the command.
///
/// # Errors
///
/// A trace that cannot be read, an output that cannot be written, or a
/// directory for the ledger that is not empty. Outputs are opened before
/// anything is read, so that an hour of work is not lost.
pub fn command(args: &cli::Replay) -> anyhow::Result<()> {
    let mut config = crate::load(&args.config)?;
    if let Some(workers) = args.workers {
        config.workers.threads = workers.max(1);
    }
    config.workers.hosts.clear();
    if !args.redraw_noise {
        refuse_noise(&config)?;
    }
    // Where something cannot be written is said before an hour of reading.
    let mut read = inputs::files(Some(&config), &args.traces)?;
    read.push(args.config.clone());
    let mut outputs = OutputFiles::new(read, args.force);
    let cells_file = match args.cells == Path::new("-") {
        true => None,
        false => Some(outputs.file(&args.cells, Contents::Cells)?),
    };
    let dead_file = args.dead_letters.clone().or_else(|| beside(&args.cells));
    let dead_file =
        match &dead_file {
            Some(path) => Some(outputs.private(path, Contents::DeadLetters).context(
                "cannot write the rejected lines; choose another file with --dead-letters",
            )?),
            None => None,
        };
    let mut inputs = inputs::open(Some(&config), &args.traces)?;
    let total = inputs.progress().total();
    let bar = bar(args.quiet, total);
    let replay = |inputs: &mut Inputs, ledger, closes_days| {
        let meter = inputs.progress();
        run(
            &config,
            inputs,
            args.batch,
            ledger,
            closes_days,
            |messages: u64| {
                bar.set_position(meter.read());
                bar.set_message(format!("{messages} messages"));
            },
        )
    };
    let ledger = match &args.ledger {
        Some(directory) => Some(new_ledger(&config, directory)?),
        None => None,
    };
    // What cannot be read again is read with all days open, unless visits depend on days that are settled. So is what goes to a
    // ledger: the worker that starts from it closes the days.
    let is_file = |trace: &String| Path::new(trace).is_file();
    let is_repeatable = args.traces.iter().all(is_file);
    let waits_for_days = |brand: &Brand| {
        let hides = config.release_of(&brand.name).k > 1;
        brand.has_partners() && hides
    };
    let needs_days = config.brands.iter().any(waits_for_days);
    let mut closes_days = ledger.is_none() && (is_repeatable || needs_days);
    let outcome = match replay(&mut inputs, ledger, closes_days) {
        Err(error) if error.is::<ClockWentBack>() && is_repeatable => {
            tracing::info!("{error}: reading the trace again with all days open");
            inputs = inputs::open(Some(&config), &args.traces)?;
            closes_days = false;
            replay(&mut inputs, None, false)?
        }
        Err(error) if error.is::<ClockWentBack>() => {
            let fix = "give the trace as a file, which can be read twice";
            return Err(error.context(fix));
        }
        outcome => outcome?,
    };
    bar.finish_and_clear();
    if needs_days && !closes_days {
        tracing::warn!(
            "no day of sightings was settled, so that visits which partners saw are not in these cells: {}",
            match args.ledger {
                Some(_) => "the worker that starts from the ledger settles them",
                None => "sort the trace by arrival",
            }
        );
    }

    let mut lines: Vec<String> = outcome
        .cells
        .iter()
        .filter(|cell| cell.family.in_replay())
        .map(cell_line)
        .collect();
    lines.sort_unstable();
    write_lines(cells_file.as_ref(), lines.iter().map(String::as_str))?;
    if let Some(file) = &dead_file {
        write_dead_letters(file, &outcome.dead)?;
    }
    let summary = Summary {
        args,
        config: &config,
        outcome: &outcome,
        lines: lines.len(),
        skipped: inputs.skipped(),
        left_out: inputs.left_out(),
        dead_file: dead_file.as_ref().map(OutputFile::path),
    };
    if args.json {
        terminal::print_line(summary.json())?;
    } else {
        if !args.quiet {
            terminal::note(summary.text().trim_end());
        }
        if args.profile {
            let table = worker_profile::table(&outcome.tally.profiles());
            terminal::note(format!("\n{}", table.trim_end()));
        }
    }
    Ok(())
}

/// Refuses a brand with noise. Its live worker has drawn noise for the same
/// records, so that the cells of a replay are a second draw: the budget is spent
/// twice.
///
/// # Errors
///
/// A brand with noise, with what its operator can do.
fn refuse_noise(config: &Config) -> anyhow::Result<()> {
    let mut brands = config.brands.iter();
    let Some(brand) = brands.find(|brand| brand.noise.epsilon_thousandths.is_some()) else {
        return Ok(());
    };
    bail!(
        "brand {:?} has noise (brand.noise.epsilon), and a replay would draw it once more and spend its privacy budget \
         again. Leave [brand.noise] out of the configuration of a replay whose cells stay with those who may see exact \
         numbers, or give --redraw-noise",
        brand.name
    );
}

/// Creates a ledger in an empty directory. An existing ledger is not even
/// opened, because that would truncate its unfinished end.
///
/// # Errors
///
/// A directory that is not empty, or a disk that cannot be written.
fn new_ledger(config: &Config, directory: &Path) -> anyhow::Result<Ledger> {
    let own = directory.join("process-0");
    // A file system of its own has one folder that nobody made.
    let is_new = [directory, &own].into_iter().all(|folder| {
        folder.read_dir().map_or_else(
            |error| error.kind() == ErrorKind::NotFound,
            |mut entries| {
                entries.all(|entry| {
                    entry
                        .is_ok_and(|entry| entry.path() == own || entry.file_name() == "lost+found")
                })
            },
        )
    });
    if !is_new {
        bail!(
            "{} is not an empty directory: choose another one for the new ledger with --ledger",
            directory.display()
        );
    }
    let (ledger, _) = Ledger::open(Options::new(own), Arc::new(Keyring::new(config)))?;
    Ok(ledger)
}

/// Progress bar over the bytes of the traces.
fn bar(quiet: bool, total: u64) -> ProgressBar {
    let target = if quiet {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg} {eta} left");
    ProgressBar::with_draw_target(Some(total), target)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Default file for rejected lines; `None` if cells go to standard output.
fn beside(cells: &Path) -> Option<PathBuf> {
    if cells == Path::new("-") {
        return None;
    }
    let mut name = cells.file_name()?.to_owned();
    name.push(".dead-letters.ndjson");
    Some(cells.with_file_name(name))
}

/// Writes lines to a file or to standard output.
///
/// # Errors
///
/// An output that cannot be written.
fn write_lines<'a>(
    file: Option<&OutputFile>,
    lines: impl Iterator<Item = &'a str>,
) -> anyhow::Result<()> {
    let write = |out: &mut dyn Write| -> anyhow::Result<()> {
        for line in lines {
            out.write_all(line.as_bytes())?;
            out.write_all(b"\n")?;
        }
        Ok(())
    };
    match file {
        Some(file) => file
            .write(write)
            .with_context(|| format!("cannot write {}", file.path().display())),
        None => {
            let mut out = terminal::stdout();
            write(&mut out)
                .and_then(|()| Ok(out.flush()?))
                .context("cannot write to standard output")
        }
    }
}

/// Writes rejected lines as a trace, so that they can be corrected and
/// replayed; without any, an older file is removed. The lines are unchanged, so
/// that only the owner may read them.
///
/// # Errors
///
/// A file that cannot be written or removed.
fn write_dead_letters(file: &OutputFile, dead: &[DeadLetter]) -> anyhow::Result<()> {
    if dead.is_empty() {
        return Ok(file.remove()?);
    }
    let write = |out: &mut dyn Write| -> anyhow::Result<()> {
        for letter in dead {
            let line = TraceLine {
                subject: letter.subject.clone(),
                at: letter.at,
                headers: dead_letter_headers(letter),
                data: letter.payload.clone(),
            };
            out.write_all(line.to_json().as_bytes())?;
            out.write_all(b"\n")?;
        }
        Ok(())
    };
    file.write(write)
        .with_context(|| format!("cannot write {}", file.path().display()))
}

/// The headers of a dead letter in a file, as in the stream.
fn dead_letter_headers(letter: &DeadLetter) -> Vec<(String, String)> {
    let mut headers = vec![
        ("Tributary-Reason".into(), letter.reason.name().into()),
        ("Tributary-Detail".into(), letter.detail.clone()),
    ];
    if let Some(subject) = &letter.source_subject {
        headers.push((SUBJECT_HEADER.into(), subject.clone()));
    }
    if letter.is_resent {
        headers.push((RESENT_HEADER.into(), "1".into()));
    }
    headers
}

/// Summary of a replay.
struct Summary<'a> {
    args: &'a cli::Replay,
    config: &'a Config,
    outcome: &'a Outcome,
    lines: usize,
    skipped: u64,
    left_out: u64,
    dead_file: Option<&'a Path>,
}

impl Summary<'_> {
    /// Number of cells by family.
    fn families(&self) -> BTreeMap<&'static str, u64> {
        let mut families = BTreeMap::new();
        for cell in self
            .outcome
            .cells
            .iter()
            .filter(|cell| cell.family.in_replay())
        {
            *families.entry(cell.family.name()).or_default() += 1;
        }
        families
    }

    /// Number of accepted records by kind.
    fn accepted(&self) -> BTreeMap<&'static str, u64> {
        let mut kinds = BTreeMap::new();
        for ((_, kind, _), count) in self.outcome.tally.counts().accepted {
            *kinds.entry(kind).or_default() += count;
        }
        kinds
    }

    /// Number of retracted records by category.
    fn past(&self) -> BTreeMap<&'static str, u64> {
        let past = Category::ALL.into_iter().zip(self.outcome.past);
        past.filter(|(_, records)| *records > 0)
            .map(|(category, records)| (category.name(), records))
            .collect()
    }

    /// Sources with the legal basis of consent, as `brand/source`.
    fn on_consent(&self) -> String {
        let brands = self.config.brands.iter();
        let sources = brands.flat_map(|brand| {
            let sources = brand.sources.iter();
            sources
                .filter(|source| brand.rests_on_consent(source))
                .map(|source| format!("{}/{}", brand.name, source.name))
        });
        let sources: Vec<String> = sources.collect();
        match sources.is_empty() {
            true => "none".to_owned(),
            false => sources.join(", "),
        }
    }

    /// Number of discarded records by reason.
    fn ignored(&self) -> BTreeMap<&'static str, u64> {
        let ignored = &self.outcome.tally.counts().ignored;
        ignored.iter().map(|(what, n)| (what.name(), *n)).collect()
    }

    /// The summary as JSON.
    fn json(&self) -> String {
        let stages = self.outcome.tally.counts().stages;
        let mut summary = serde_json::json!({
            "messages": self.outcome.messages,
            "skipped_lines": self.skipped,
            "left_out_rows": self.left_out,
            "accepted": self.accepted(),
            "ignored": self.ignored(),
            "unread_consent_sections": self.outcome.tally.counts().unread_sections.values().sum::<u64>(),
            "duplicates": stages.duplicates,
            "corrections": stages.corrections,
            "superseded": stages.superseded,
            "held": stages.held,
            "withheld": {
                "restricted": stages.restricted,
                "unasked": stages.without_consent,
                "refused": stages.refused,
            },
            "uncredited": stages.uncredited,
            "past_retention": self.past(),
            "dead_letters": self.outcome.tally.dead_by_reason(),
            "cells": self.families(),
            "hidden_cells": stages.hidden,
            "folded_channels": stages.folded,
            "pings_over_max_devices": stages.pings_not_sampled,
            "seconds": self.outcome.took.as_secs_f64(),
        });
        if self.args.profile {
            summary["profile"] = worker_profile::json(&self.outcome.tally.profiles());
        }
        summary.to_string()
    }

    /// The summary as text.
    fn text(&self) -> String {
        use std::fmt::Write;
        let mut out = String::new();
        let counts = self.outcome.tally.counts();
        let list = |map: BTreeMap<&'static str, u64>| {
            let parts: Vec<String> = map.iter().map(|(name, n)| format!("{n} {name}")).collect();
            if parts.is_empty() {
                "none".to_owned()
            } else {
                parts.join(", ")
            }
        };
        let events: u64 = counts.accepted.values().sum();
        let seconds = self.outcome.took.as_secs_f64();
        let rate = events as f64 / seconds.max(1e-9);
        let _ = writeln!(
            out,
            "read      {} messages in {seconds:.2} s, {rate:.0} events/s{}",
            self.outcome.messages,
            match self.skipped {
                0 => String::new(),
                n => format!("; skipped {n} lines that are not messages"),
            }
        );
        write_counted(
            &mut out,
            "left out",
            self.left_out,
            "rows by the filter `only` of their source",
        );
        let _ = writeln!(out, "accepted  {}", list(self.accepted()));
        let _ = writeln!(
            out,
            "stored    {} records ({} duplicates, {} corrections, {} older versions)",
            counts.stages.held,
            counts.stages.duplicates,
            counts.stages.corrections,
            counts.stages.superseded
        );
        write_counted(
            &mut out,
            "excluded",
            counts.stages.restricted,
            "records under restriction",
        );
        let without_consent = format!(
            "records without consent; these sources require it (basis): {}",
            self.on_consent()
        );
        let excluded = counts.stages.without_consent;
        write_counted(&mut out, "excluded", excluded, &without_consent);
        write_counted(
            &mut out,
            "excluded",
            counts.stages.refused,
            "records whose consent statement refuses their use",
        );
        write_counted(
            &mut out,
            "no credit",
            counts.stages.uncredited,
            "contacts are counted but earn no attribution credit: consent refuses it",
        );
        let past = self.past();
        if !past.is_empty() {
            let _ = writeln!(
                out,
                "expired   {} records past their retention ({})",
                past.values().sum::<u64>(),
                list(past)
            );
        }
        let unread = counts.unread_sections.values().sum::<u64>();
        if unread > 0 {
            let _ = writeln!(
                out,
                "unread    {unread} unsupported GPP sections; `tributary consent STRING` lists the sections of a string"
            );
        }
        let ignored = self.ignored();
        if !ignored.is_empty() {
            let _ = writeln!(out, "ignored   {}", list(ignored));
        }
        let dead = self.outcome.tally.dead_by_reason();
        if !dead.is_empty() {
            let place = self
                .dead_file
                .map_or(String::new(), |f| format!(" → {}", f.display()));
            let _ = writeln!(out, "rejected  {}{place}", list(dead));
        }
        let _ = writeln!(
            out,
            "cells     {} ({}) → {}",
            self.lines,
            list(self.families()),
            self.args.cells.display()
        );
        write_counted(
            &mut out,
            "hidden",
            counts.stages.hidden,
            "cells with fewer than release.k contributors",
        );
        write_counted(
            &mut out,
            "capped",
            counts.stages.pings_not_sampled,
            "pings from devices beyond sensors.max_devices per store and day",
        );
        write_counted(
            &mut out,
            "grouped",
            counts.stages.folded,
            "channels under `*` by the Markov model: a month has more than attribution.max_channels",
        );
        out
    }
}

/// Writes the line of a count, unless the count is 0.
fn write_counted(out: &mut String, label: &str, count: impl Into<i128>, what: &str) {
    use std::fmt::Write;
    let count = count.into();
    if count > 0 {
        // Writing into a string cannot fail.
        let _ = writeln!(out, "{label:<10}{count} {what}");
    }
}
