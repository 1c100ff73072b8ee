//! Replay: the same dataflow over recorded traces, in process, until they end.
//!
//! Messages are fed in epochs of `--batch` messages, or fewer where a day ends;
//! one release at the very end produces the cells. Neither the number of
//! workers nor the size of batches affects them (invariant I1). Records past
//! their retention by the clock of the trace are retracted
//! ([`crate::worker::replay_retention`]), and salt days and sightings are closed
//! and settled by the same clock. With a ledger, the accepted records are stored as well,
//! so that a worker can start from it.

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tokio::runtime::Runtime;
use tributary_config::model::{Config, Kind};
use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::decode::Decoder;
use tributary_connectors::settings::NoiseDraw;
use tributary_connectors::trace::TraceLine;
use tributary_ledger::{Keyring, Ledger, Position, WriteBatch};
use tributary_operators::cell::Cell;
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, BrandId};

use crate::durability::compaction::install;
use crate::epochs::batch::{Batch, Incoming, InternalChange, Report};
use crate::epochs::clock::{SaltDays, salt_days};
use crate::epochs::queries::Queries;
use crate::epochs::queries::WorkerStopped;
use crate::privacy::retention::Category;
use crate::privacy::settling::Settlement;
use crate::report::tally::Tally;
use crate::worker::peers::Connections;
use crate::worker::replay_retention::{OfDay, ReplayRetention, UnderWay};
use crate::worker::threads::Workers;

/// Result of a replay.
pub struct Outcome {
    /// The released cells of every family, in order.
    pub cells: Vec<Cell>,
    /// Dead letters, in the order of arrival.
    pub dead: Vec<DeadLetter>,
    /// Counts of all threads.
    pub tally: Arc<Tally>,
    /// Number of records retracted because they were past their retention, by
    /// [`Category`].
    pub past: [u64; Category::ALL.len()],
    /// Number of messages fed.
    pub messages: u64,
    /// Time from the first message to the last cell.
    pub took: Duration,
}

/// Follows a replay while it runs.
pub trait Observer {
    /// Called from time to time with the number of messages so far.
    fn progress(&mut self, messages: u64);

    /// Whether to release cells before the message that arrived at `at`, Unix
    /// milliseconds.
    fn wants(&mut self, at: i64) -> bool {
        let _ = at;
        false
    }

    /// Receives the cells that a release has changed, and the counts so far.
    /// Returns whether to continue.
    fn released(&mut self, cells: Vec<Cell>, tally: &Tally) -> bool {
        let _ = (cells, tally);
        true
    }
}

impl<F: FnMut(u64)> Observer for F {
    fn progress(&mut self, messages: u64) {
        self(messages);
    }
}

/// The clock of a trace went back so far that a ping may belong to a salt day
/// that was closed. A record is evaluated as of its own arrival, so that such a
/// trace can be replayed only with all days open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the clock of the trace went back over a salt day that was closed")]
pub struct ClockWentBack;

/// Feeds messages to the dataflow, `batch` per epoch, until they end or the
/// observer stops the replay. With a ledger, accepted records are stored in it.
/// The outcome contains the cells of the last release.
///
/// With `closes_days`, salt days are closed and settled by the clock of the
/// trace, so that memory does not grow with its length.
///
/// # Errors
///
/// [`ClockWentBack`], only with `closes_days`; errors of the lines, the workers
/// and the ledger.
pub fn run<E>(
    config: &Config,
    lines: impl Iterator<Item = Result<TraceLine, E>>,
    batch: u64,
    ledger: Option<Ledger>,
    closes_days: bool,
    mut onlooker: impl Observer,
) -> anyhow::Result<Outcome>
where
    anyhow::Error: From<E>,
{
    // Without a ledger the noise is drawn once and never again: two replays under one noise would differ by what is exact.
    let draw = ledger.as_ref().map(|ledger| ledger.watermark().ledger);
    let draw = NoiseDraw(draw.unwrap_or_else(rand::random));
    let mut settings = tributary_connectors::settings::settings(config, draw);
    if ledger.is_none() {
        // Nothing is stored by which a device could be found again, and two replays give the same.
        let brands = settings.brands.values_mut();
        brands.for_each(|brand| brand.derives_salts = true);
    }
    let settings = Arc::new(settings);
    let tally = Arc::new(Tally::default());
    let results: Arc<Mutex<(Vec<Cell>, Vec<DeadLetter>)>> = Arc::default();
    let (received, counted) = (results.clone(), tally.clone());
    let queries = Queries::default();
    let answered = Answered(queries.clone());
    let started = Instant::now();
    let durable = ledger.is_some();
    let (keeper, pages) = keep(ledger);
    let accepted = pages.clone();
    let workers = Workers::start(
        config,
        settings,
        Decoder::new(config),
        Arc::new(Keyring::new(config)),
        Arc::new(crate::privacy::objections::Objections::nobody()),
        Arc::new(move |report| match report {
            Report::Cells(_, cells) => {
                received
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
                    .extend(cells.into_iter().map(|(cell, ..)| cell));
            }
            Report::Accepted { page, dead, .. } => {
                // A closed channel means that writing the ledger has failed; the end reports it.
                let _ = accepted.send(page);
                counted.dead(&dead);
                received
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .1
                    .extend(dead);
            }
            Report::Finished {
                thread,
                before,
                counts,
                ..
            } => {
                counted.finished(thread, before, *counts);
                if thread == 0 {
                    answered.0.finished(before);
                }
            }
            Report::Profile { thread, profile } => counted.profile(thread, profile),
            Report::Answer(answer) => answered.0.answer(answer),
            Report::Settle { done, .. } | Report::SecureDays { done } => {
                // Nothing is kept of it here; whoever waits may have ended.
                let _ = done.send(());
            }
            Report::SaltsDestroyed(..)
            | Report::Settled { .. }
            | Report::Expired(_)
            | Report::EraseSightings(..)
            | Report::Unreadable(_) => {}
        }),
        Connections::default(),
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut feeding = Feeding {
        workers,
        runtime,
        passes: ReplayRetention::new(config, queries.clone(), closes_days),
        queries,
        epoch: 0,
        pages: durable.then_some(pages),
        changes: Vec::new(),
        days: closes_days.then(|| OpenDays::new(config)),
    };
    let mut number = 0;
    let mut newest = 0;
    let mut messages = Vec::new();
    let (mut runs, mut went_back) = (true, false);
    for line in lines {
        let line = line?;
        went_back = feeding
            .days
            .as_ref()
            .is_some_and(|days| days.is_over(&line));
        if went_back {
            break;
        }
        if onlooker.wants(line.at) {
            let released = std::mem::take(&mut messages);
            runs = feeding.release(released, newest, &tally, config.workers.threads) && {
                let cells =
                    std::mem::take(&mut results.lock().unwrap_or_else(PoisonError::into_inner).0);
                onlooker.released(cells, &tally)
            };
            if !runs {
                break;
            }
        }
        newest = line.at.max(newest);
        if let Some(days) = &mut feeding.days {
            days.newest = newest;
            days.earliest = Some(days.earliest.map_or(line.at, |at| at.min(line.at)));
        }
        if let Some((first, last)) = feeding.passes.turn(line.at) {
            let ended = std::mem::take(&mut messages);
            runs = feeding.end_day(ended, (first, last), number);
        }
        number += 1;
        messages.push(Incoming { number, line });
        if runs && messages.len() as u64 >= batch {
            runs = feeding.settle() && feeding.send(std::mem::take(&mut messages), None);
            onlooker.progress(number);
        }
        if !runs {
            break;
        }
    }
    // The failure of a thread is reported when all have ended.
    if runs && !went_back && feeding.settle() {
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
    // The threads, their listener and this side have dropped their senders, so that the pages end.
    let ledger = keeper
        .join()
        .map_err(|_| anyhow!("the thread that writes the ledger failed"))??;
    if let Some(ledger) = ledger {
        close(ledger, &passes).context("the ledger")?;
    }
    if went_back {
        return Err(ClockWentBack.into());
    }
    onlooker.progress(number);
    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
    let (mut cells, mut dead) = std::mem::take(&mut *results);
    cells.sort_unstable();
    dead.sort_by_key(|letter| letter.arrival);
    Ok(Outcome {
        cells,
        dead,
        tally,
        past: passes.expired(),
        messages: number,
        took: started.elapsed(),
    })
}

/// Access to the queries for the threads' listener. When the threads have
/// ended, dropping it ends the queries that still wait.
struct Answered(Queries);

impl Drop for Answered {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Interval of trace time after which the open salt days are determined again,
/// in milliseconds.
const LOOK_UP: i64 = 60_000;

/// Interval between two checks whether a release is finished.
const LOOK: Duration = Duration::from_millis(5);

/// State of a running replay.
struct Feeding {
    /// The worker threads.
    workers: Workers,
    /// Executes the futures of retention passes.
    runtime: Runtime,
    /// The retention passes.
    passes: ReplayRetention,
    /// Queries of the passes.
    queries: Queries,
    /// The next epoch.
    epoch: u64,
    /// Channel to the thread that writes the ledger, if there is one.
    pages: Option<SyncSender<WriteBatch>>,
    /// Retractions for the next epoch.
    changes: Vec<Event>,
    /// Open salt days by the clock of the trace; `None` if days are never closed.
    days: Option<OpenDays>,
}

/// The salt days that are open by the clock of a trace.
struct OpenDays {
    config: Config,
    /// The newest arrival so far, Unix milliseconds.
    newest: i64,
    /// The earliest arrival among the messages of the next epoch.
    earliest: Option<i64>,
    /// The open salt days when they were last determined.
    open_days: Vec<SaltDays>,
    /// The newest arrival at that time.
    open_days_at: i64,
}

impl OpenDays {
    /// The state before the first message.
    fn new(config: &Config) -> OpenDays {
        OpenDays {
            config: config.clone(),
            newest: 0,
            earliest: None,
            open_days: Vec::new(),
            open_days_at: i64::MIN,
        }
    }

    /// The open salt days for an epoch. They are determined once per `LOOK_UP`, so
    /// that small epochs stay cheap. An epoch may come before messages whose arrival
    /// is known already, so that a day closes only after all that arrived before its
    /// end: each is evaluated as of its own arrival, whatever the size of epochs.
    fn of_epoch(&mut self) -> Vec<SaltDays> {
        let earliest = self.earliest.take().unwrap_or(self.newest);
        if self.newest >= self.open_days_at.saturating_add(LOOK_UP) {
            self.open_days = salt_days(&self.config, |_| self.newest);
            let first = salt_days(&self.config, |_| earliest);
            for (open, first) in self.open_days.iter_mut().zip(first) {
                open.first = open.first.min(first.first);
                open.first_unsettled = open.first_unsettled.min(first.first_unsettled);
            }
            self.open_days_at = self.newest;
        }
        self.open_days.clone()
    }

    /// Whether a message may contain a ping of a day that was closed, or a sighting of
    /// one that was settled, although the day was open at the message's own arrival.
    fn is_over(&self, line: &TraceLine) -> bool {
        if line.at >= self.open_days_at {
            return false;
        }
        let kind = line.subject.split('.').nth(3).and_then(Kind::of_subject);
        let is = |of: Kind| kind == Some(of);
        if !is(Kind::Ping) && !is(Kind::Partner) {
            return false;
        }
        let open = salt_days(&self.config, |_| line.at);
        // At no time everything is open.
        open.is_empty() && !self.open_days.is_empty()
            || open
                .iter()
                .zip(&self.open_days)
                .any(|(open, now)| match is(Kind::Ping) {
                    true => open.first < now.first,
                    false => open.first_unsettled < now.first_unsettled,
                })
    }
}

impl Feeding {
    /// Sends an epoch to the workers, with the changes and queries that wait for
    /// it. Returns false if they have stopped.
    fn send(&mut self, messages: Vec<Incoming>, release: Option<i64>) -> bool {
        let epoch = self.epoch;
        self.epoch += 1;
        let mut changes = self.queries.drain_changes(epoch).unwrap_or_default();
        changes.extend(self.changes.drain(..).map(InternalChange::Event));
        self.workers.send(Batch {
            epoch,
            messages,
            durable: self.pages.is_some(),
            release,
            changes,
            questions: self.queries.drain(epoch),
            salt_days: self.days.as_mut().map_or_else(Vec::new, OpenDays::of_epoch),
            ..Batch::default()
        })
    }

    /// Releases cells, and waits until all of them are reported. Returns false if
    /// the workers have stopped.
    fn release(&mut self, messages: Vec<Incoming>, at: i64, tally: &Tally, threads: usize) -> bool {
        let epoch = self.epoch;
        let mut runs = self.settle() && self.send(messages, Some(at));
        while runs && tally.finished_before(threads) <= epoch {
            std::thread::sleep(LOOK);
            runs = self.send(Vec::new(), None);
        }
        runs
    }

    /// Ends the epoch with the day, and begins the passes of the days that follow.
    /// Returns false if the workers have stopped.
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

    /// Waits for the answers of the passes, and retracts what they found in the
    /// next epoch. Returns false if the workers have stopped.
    fn settle(&mut self) -> bool {
        while let Some(mut pass) = self.passes.take() {
            let Ok(found) = self.wait(&mut pass) else {
                return false;
            };
            let Some(found) = found else { continue };
            self.passes.found(&pass, &found);
            // The worker threads store these themselves.
            let settled = found.settlements.iter().flat_map(Settlement::events);
            self.changes.extend(settled);
            for (brand, past) in found.expired {
                let drops = past.drops(pass.arrival);
                if let Some(pages) = &self.pages {
                    let mut page = WriteBatch::default();
                    drops.iter().for_each(|drop| page.push(brand, drop));
                    // A closed channel means that writing the ledger has failed; the end reports it.
                    let _ = pages.send(page);
                }
                self.changes.extend(drops);
            }
        }
        true
    }

    /// Waits for the answers of a pass. Further queries that they lead to are sent
    /// in epochs of their own.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    fn wait(&mut self, pass: &mut UnderWay) -> Result<Option<OfDay>, WorkerStopped> {
        let handle = self.runtime.handle().clone();
        handle.block_on(std::future::poll_fn(|cx| {
            let polled = pass.answers.as_mut().poll(cx);
            let more = polled.is_pending() && self.queries.has_waiting();
            match more && !self.send(Vec::new(), None) {
                true => Poll::Ready(Err(WorkerStopped)),
                false => polled,
            }
        }))
    }
}

/// Closes a ledger, after a rewrite without what was past its retention.
///
/// # Errors
///
/// Any error of the ledger.
fn close(mut ledger: Ledger, passes: &ReplayRetention) -> anyhow::Result<()> {
    let evidence: BTreeMap<BrandId, i64> = passes.evidence_before().into_iter().collect();
    let may_hold_old = ledger.stats().entries.evidence > 0;
    if may_hold_old || passes.expired() != [0; Category::ALL.len()] {
        // What was dropped is left out as superseded; that it was dropped nobody needs to know then.
        let rewrite = ledger.rewrite(Arc::new(move |event, _| match event {
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

/// The thread that writes the ledger; it returns the ledger at the end.
type Keeping = JoinHandle<anyhow::Result<Option<Ledger>>>;

/// Maximum number of write batches that wait for the disk.
const WAITING: usize = 16;

/// Starts the thread that writes batches to a ledger until the channel closes.
/// Without a ledger, batches are discarded.
fn keep(ledger: Option<Ledger>) -> (Keeping, SyncSender<WriteBatch>) {
    let (sender, pages) = sync_channel::<WriteBatch>(WAITING);
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
