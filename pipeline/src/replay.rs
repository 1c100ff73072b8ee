//! `tributary replay`: the same dataflow over traces, in process, until they end.
//!
//! Everything goes in as epochs of `--batch` messages, or fewer where a day ends; one release at the very end writes the
//! cells. The number of workers and the size of the batches cannot show in them (invariant I1). What is past its retention
//! by the trace's clock is taken back (`passes`). With a ledger, what is accepted is kept as well, so that a worker can
//! start from it.

mod passes;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::runtime::Runtime;
use tributary_config::model::Config;
use tributary_connectors::dead::DeadLetter;
use tributary_connectors::out::cell_line;
use tributary_connectors::trace::TraceLine;
use tributary_ledger::{Keyring, Ledger, Options, Page, Position};
use tributary_loadtest::inputs;
use tributary_operators::cell::Cell;
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, BrandId};

use crate::asks::Asks;
use crate::cli;
use crate::compaction::install;
use crate::replay::passes::{OfDay, Passes, UnderWay};
use crate::retention::{Category, Stopping};
use crate::tally::Tally;
use crate::workers::{Batch, Incoming, Report, Workers};

/// What a replay has done.
pub struct Outcome {
    /// The released cells of every family, in order.
    pub cells: Vec<Cell>,
    /// Refused lines, in the order of arrival.
    pub dead: Vec<DeadLetter>,
    /// The counters.
    pub tally: Arc<Tally>,
    /// Records that were taken back because they were past their retention, by [`Category`].
    pub past: [u64; Category::ALL.len()],
    /// Messages that went in.
    pub messages: u64,
    /// From the first message to the last cell.
    pub took: Duration,
}

/// Runs messages through the dataflow until they end, `batch` an epoch, keeps what is accepted in a ledger where there
/// is one, and calls `progress` now and then with
/// the number of messages so far.
pub fn run<E>(
    config: &Config,
    lines: impl Iterator<Item = Result<TraceLine, E>>,
    batch: u64,
    ledger: Option<Ledger>,
    mut progress: impl FnMut(u64),
) -> anyhow::Result<Outcome>
where
    anyhow::Error: From<E>,
{
    let settings = Arc::new(tributary_connectors::settings::settings(config));
    let tally = Arc::new(Tally::default());
    let results: Arc<Mutex<(Vec<Cell>, Vec<DeadLetter>)>> = Arc::default();
    let (heard, counted) = (results.clone(), tally.clone());
    let asks = Asks::default();
    let answered = Answered(asks.clone());
    let started = Instant::now();
    let durable = ledger.is_some();
    let (keeper, pages) = keep(ledger);
    let accepted = pages.clone();
    let workers = Workers::start(
        config,
        settings,
        Arc::new(Keyring::new(config)),
        Arc::new(crate::suppressed::Suppressed::nobody()),
        Arc::new(move |report| match report {
            Report::Cells(_, cells) => {
                heard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
                    .extend(cells.into_iter().map(|(cell, _)| cell));
            }
            Report::Accepted { page, dead, .. } => {
                // A closed channel means that the keeper has failed, which is told at the end.
                let _ = accepted.send(page);
                counted.dead(&dead);
                heard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .1
                    .extend(dead);
            }
            Report::Finished {
                thread,
                before,
                counts,
            } => {
                counted.finished(thread, before, counts);
                if thread == 0 {
                    answered.0.finished(before);
                }
            }
            Report::Answer(answer) => answered.0.answer(answer),
            Report::Forgotten(..) | Report::Unreadable(_) => {}
        }),
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut feeding = Feeding {
        workers,
        runtime,
        passes: Passes::new(config, asks.clone()),
        asks,
        epoch: 0,
        pages: durable.then_some(pages),
        changes: Vec::new(),
    };
    let mut number = 0;
    let mut newest = 0;
    let mut messages = Vec::new();
    let mut runs = true;
    for line in lines {
        let line = line?;
        newest = line.at.max(newest);
        if let Some((first, last)) = feeding.passes.turn(line.at) {
            let ended = std::mem::take(&mut messages);
            runs = feeding.end_day(ended, (first, last), number);
        }
        number += 1;
        messages.push(Incoming { number, line });
        if runs && messages.len() as u64 >= batch {
            runs = feeding.settle() && feeding.send(std::mem::take(&mut messages), None);
            progress(number);
        }
        if !runs {
            break;
        }
    }
    // Where a thread has failed, that is told when all have ended.
    if runs && feeding.settle() {
        feeding.send(messages, Some(newest));
    }
    let Feeding {
        workers,
        passes,
        pages,
        ..
    } = feeding;
    drop(pages);
    workers.finish()?;
    // The threads, their listener and this side are gone, so that the pages end.
    let ledger = keeper
        .join()
        .map_err(|_| anyhow!("the thread that writes the ledger failed"))??;
    if let Some(ledger) = ledger {
        close(ledger, &passes).context("the ledger")?;
    }
    progress(number);
    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut cells, mut dead) = std::mem::take(&mut *results);
    cells.sort_unstable();
    dead.sort_by_key(|letter| letter.arrival);
    Ok(Outcome {
        cells,
        dead,
        tally,
        past: passes.gone(),
        messages: number,
        took: started.elapsed(),
    })
}

/// The way for answers. When the threads that hold it have ended, nobody waits any more.
struct Answered(Asks);

impl Drop for Answered {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A replay under way.
struct Feeding {
    workers: Workers,
    runtime: Runtime,
    passes: Passes,
    asks: Asks,
    epoch: u64,
    /// The way to the ledger, where there is one.
    pages: Option<SyncSender<Page>>,
    /// What goes in with the next epoch.
    changes: Vec<Event>,
}

impl Feeding {
    /// Hands an epoch to the workers, with the changes and questions that wait for it. Whether they still run.
    fn send(&mut self, messages: Vec<Incoming>, release: Option<i64>) -> bool {
        let epoch = self.epoch;
        self.epoch += 1;
        self.workers.send(Batch {
            epoch,
            messages,
            durable: self.pages.is_some(),
            release,
            changes: std::mem::take(&mut self.changes),
            questions: self.asks.take(epoch),
            ..Batch::default()
        })
    }

    /// Ends the epoch and with it the day, and begins the passes of the days that follow. Whether the workers still run.
    fn end_day(&mut self, messages: Vec<Incoming>, days: (i64, i64), number: u64) -> bool {
        if !self.settle() {
            return false;
        }
        let arrival = Arrival {
            message: number,
            line: u32::MAX,
        };
        self.passes.begin(days.0, days.1, arrival);
        self.send(messages, None)
    }

    /// Waits for what the passes so far have found, and takes it back with the next epoch. Whether the workers still
    /// run.
    fn settle(&mut self) -> bool {
        while let Some(mut pass) = self.passes.take() {
            let Ok(found) = self.wait(&mut pass) else {
                return false;
            };
            for (brand, past) in self.passes.found(&pass, found) {
                let drops = past.drops(pass.arrival);
                if let Some(pages) = &self.pages {
                    let mut page = Page::default();
                    drops.iter().for_each(|drop| page.push(brand, drop));
                    // A closed channel means that the keeper has failed, which is told at the end.
                    let _ = pages.send(page);
                }
                self.changes.extend(drops);
            }
        }
        true
    }

    /// Waits for the answers of a pass; where they lead to further questions, these go in with epochs of their own.
    fn wait(&mut self, pass: &mut UnderWay) -> Result<Option<OfDay>, Stopping> {
        let handle = self.runtime.handle().clone();
        handle.block_on(std::future::poll_fn(|cx| {
            let polled = pass.answers.as_mut().poll(cx);
            let more = polled.is_pending() && self.asks.are_waiting();
            match more && !self.send(Vec::new(), None) {
                true => Poll::Ready(Err(Stopping)),
                false => polled,
            }
        }))
    }
}

/// Closes a ledger, without what was past its time.
fn close(mut ledger: Ledger, passes: &Passes) -> anyhow::Result<()> {
    let evidence: BTreeMap<BrandId, i64> = passes.evidence_before().into_iter().collect();
    let may_hold_old = ledger.stats().entries.evidence > 0;
    if may_hold_old || passes.gone() != [0; Category::ALL.len()] {
        // What was dropped is left out as superseded; that it was dropped nobody needs to know then.
        let rewrite = ledger.rewrite(Arc::new(move |event| match event {
            Event::Drop { .. } => false,
            Event::Evidence { brand, ts, .. } => {
                evidence.get(brand).is_none_or(|before| ts >= before)
            }
            _ => true,
        }))?;
        let rewritten = rewrite.run(&mut |_, _| {})?;
        install(&mut ledger, rewritten)?;
    }
    Ok(ledger.close()?)
}

/// The thread that writes the ledger, and gives it back.
type Keeping = JoinHandle<anyhow::Result<Option<Ledger>>>;

/// Pages that wait for the disk.
const WAITING: usize = 16;

/// Writes pages to a ledger until they end; without a ledger they go nowhere.
/// At the end the ledger comes back.
fn keep(ledger: Option<Ledger>) -> (Keeping, SyncSender<Page>) {
    let (sender, pages) = sync_channel::<Page>(WAITING);
    let keeper = std::thread::spawn(move || {
        let Some(mut ledger) = ledger else {
            pages.iter().for_each(drop);
            return Ok(None);
        };
        while let Ok(page) = pages.recv() {
            ledger.append(page);
            pages.try_iter().for_each(|page| ledger.append(page));
            ledger.commit(Position::default()).context("the ledger")?;
        }
        Ok(Some(ledger))
    });
    (keeper, sender)
}

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
    let outcome = run(&config, &mut inputs, args.batch, ledger, |messages| {
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

    fn json(&self) -> String {
        let stages = self.outcome.tally.counts().stages;
        serde_json::json!({
            "messages": self.outcome.messages,
            "skipped_lines": self.skipped,
            "accepted": self.accepted(),
            "ignored": self.outcome.tally.counts().ignored,
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
        if counts.ignored > 0 {
            let _ = writeln!(out, "left out  {} pings of fixed devices", counts.ignored);
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
