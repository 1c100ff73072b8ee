//! `tributary replay`: traces in, a file of cells, a file of what was refused, and a summary.
//!
//! [`crate::replay`] does the work. What is refused is written as a trace of its own beside the cells, so that what was
//! mended can be replayed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tributary_config::model::Config;
use tributary_connectors::dead::DeadLetter;
use tributary_connectors::out::cell_line;
use tributary_connectors::trace::TraceLine;
use tributary_ledger::{Keyring, Ledger, Options};
use tributary_loadtest::inputs;

use crate::cli;
use crate::replay::{Outcome, run};
use crate::retention::Category;

/// The command.
pub fn command(args: &cli::Replay) -> anyhow::Result<()> {
    let mut config = crate::load(&args.config)?;
    if let Some(workers) = args.workers {
        config.workers.threads = workers.max(1);
    }
    config.workers.hosts.clear();
    let mut inputs = inputs::open(Some(&config), &args.traces)?;
    let meter = inputs.progress();
    let bar = bar(args.quiet, meter.total());
    let ledger = match &args.ledger {
        Some(directory) => Some(new_ledger(&config, directory)?),
        None => None,
    };
    let outcome = run(&config, &mut inputs, args.batch, ledger, |messages: u64| {
        bar.set_position(meter.read());
        bar.set_message(format!("{messages} messages"));
    })?;
    bar.finish_and_clear();

    let mut lines: Vec<String> = outcome
        .cells
        .iter()
        .filter(|cell| cell.family.in_replay())
        .map(cell_line)
        .collect();
    lines.sort_unstable();
    write_lines(&args.cells, lines.iter().map(String::as_str))?;
    let dead_file = args.dead_letters.clone().or_else(|| beside(&args.cells));
    if let Some(file) = &dead_file {
        write_dead_letters(file, &outcome.dead)?;
    }
    let summary = Summary {
        args,
        outcome: &outcome,
        lines: lines.len(),
        skipped: inputs.skipped(),
        dead_file: dead_file.as_deref(),
    };
    if args.json {
        println!("{}", summary.json());
    } else if !args.quiet {
        eprint!("{}", summary.text());
    }
    Ok(())
}

/// A ledger where there is none yet.
fn new_ledger(config: &Config, directory: &Path) -> anyhow::Result<Ledger> {
    let options = Options::new(directory.join("process-0"));
    let (ledger, recovered) = Ledger::open(options, Arc::new(Keyring::new(config)))?;
    if recovered.stats.commits > 0 {
        bail!(
            "{} holds a ledger already: name an empty directory",
            directory.display()
        );
    }
    Ok(ledger)
}

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

fn beside(cells: &Path) -> Option<PathBuf> {
    if cells == Path::new("-") {
        return None;
    }
    let mut name = cells.file_name()?.to_owned();
    name.push(".dead-letters.ndjson");
    Some(cells.with_file_name(name))
}

fn write_lines<'a>(path: &Path, lines: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    let write = |out: &mut dyn Write| -> std::io::Result<()> {
        let mut out = BufWriter::new(out);
        for line in lines {
            out.write_all(line.as_bytes())?;
            out.write_all(b"\n")?;
        }
        out.flush()
    };
    if path == Path::new("-") {
        return write(&mut std::io::stdout().lock()).context("cannot write to standard output");
    }
    if path.is_dir() {
        bail!("{} is a directory: name a file", path.display());
    }
    File::create(path)
        .and_then(|mut file| write(&mut file))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Writes refused lines as a trace of their own, so that what was mended can be replayed; nothing is left
/// of an older file where nothing was refused. The lines are as they came, so only the owner may read them.
fn write_dead_letters(path: &Path, dead: &[DeadLetter]) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if dead.is_empty() {
        return match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        };
    }
    let mut options = std::fs::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path);
    let write = |file: File| -> std::io::Result<()> {
        let mut out = BufWriter::new(file);
        for letter in dead {
            let line = TraceLine {
                subject: letter.subject.clone(),
                at: letter.at,
                headers: vec![
                    ("Tributary-Reason".into(), letter.reason.name().into()),
                    ("Tributary-Detail".into(), letter.detail.clone()),
                ],
                data: letter.payload.clone(),
            };
            out.write_all(line.to_json().as_bytes())?;
            out.write_all(b"\n")?;
        }
        out.flush()
    };
    file.and_then(write)
        .with_context(|| format!("cannot write {}", path.display()))
}

struct Summary<'a> {
    args: &'a cli::Replay,
    outcome: &'a Outcome,
    lines: usize,
    skipped: u64,
    dead_file: Option<&'a Path>,
}

impl Summary<'_> {
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

    fn accepted(&self) -> BTreeMap<&'static str, u64> {
        let mut kinds = BTreeMap::new();
        for ((_, kind), count) in self.outcome.tally.counts().accepted {
            *kinds.entry(kind).or_default() += count;
        }
        kinds
    }

    fn past(&self) -> BTreeMap<&'static str, u64> {
        let past = Category::ALL.into_iter().zip(self.outcome.past);
        past.filter(|(_, records)| *records > 0)
            .map(|(category, records)| (category.name(), records))
            .collect()
    }

    fn ignored(&self) -> BTreeMap<&'static str, u64> {
        let ignored = &self.outcome.tally.counts().ignored;
        ignored.iter().map(|(what, n)| (what.name(), *n)).collect()
    }

    fn json(&self) -> String {
        let stages = self.outcome.tally.counts().stages;
        serde_json::json!({
            "messages": self.outcome.messages,
            "skipped_lines": self.skipped,
            "accepted": self.accepted(),
            "ignored": self.ignored(),
            "duplicates": stages.duplicates,
            "corrections": stages.corrections,
            "superseded": stages.superseded,
            "held": stages.held,
            "past_retention": self.past(),
            "dead_letters": self.outcome.tally.dead_by_reason(),
            "cells": self.families(),
            "hidden_cells": stages.hidden,
            "seconds": self.outcome.took.as_secs_f64(),
        })
        .to_string()
    }

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
                n => format!("; {n} lines were no messages"),
            }
        );
        let _ = writeln!(out, "accepted  {}", list(self.accepted()));
        let _ = writeln!(
            out,
            "held      {} records ({} duplicates, {} corrections, {} older versions)",
            counts.stages.held,
            counts.stages.duplicates,
            counts.stages.corrections,
            counts.stages.superseded
        );
        let past = self.past();
        if !past.is_empty() {
            let _ = writeln!(
                out,
                "gone      {} records past their retention ({})",
                past.values().sum::<u64>(),
                list(past)
            );
        }
        let ignored = self.ignored();
        if !ignored.is_empty() {
            let _ = writeln!(out, "left out  {}", list(ignored));
        }
        let dead = self.outcome.tally.dead_by_reason();
        if !dead.is_empty() {
            let place = self
                .dead_file
                .map_or(String::new(), |f| format!(" → {}", f.display()));
            let _ = writeln!(out, "refused   {}{place}", list(dead));
        }
        let _ = writeln!(
            out,
            "cells     {} ({}) → {}",
            self.lines,
            list(self.families()),
            self.args.cells.display()
        );
        if counts.stages.hidden > 0 {
            let _ = writeln!(
                out,
                "hidden    {} cells behind which stand fewer than release.k",
                counts.stages.hidden
            );
        }
        out
    }
}
