//! A dataflow in this process that is fed step by step, without a broker and
//! without a ledger.
//!
//! [`crate::worker::replay`] reads a trace to its end. Here the caller decides
//! what comes next: messages, a release, or the erasure of a person, which
//! retracts the same records of the same identifiers as
//! [`crate::privacy::rights`] does in a worker. Salt days stay open, and nothing
//! is past its retention.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Runtime;
use tributary_config::model::{Brand, Config};
use tributary_connectors::decode::Decoder;
use tributary_connectors::keys::BrandKey;
use tributary_connectors::settings::NoiseDraw;
use tributary_connectors::subject_identifiers;
use tributary_connectors::trace::TraceLine;
use tributary_ledger::Keyring;
use tributary_operators::ask::{Question, Reply};
use tributary_operators::cell::Cell;
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, BrandId, IdKind, Pseudonym};

use crate::epochs::batch::{Batch, Incoming, InternalChange, Report};
use crate::epochs::queries::{Queries, WorkerStopped};
use crate::privacy::objections::Objections;
use crate::report::tally::Tally;
use crate::worker::peers::Connections;
use crate::worker::threads::Workers;

/// Interval between two checks whether an epoch is finished.
const LOOK: Duration = Duration::from_millis(2);

/// A place in the order of arrival after every message.
const LAST: Arrival = Arrival {
    message: u64::MAX,
    line: u32::MAX,
};

/// The running dataflow.
pub struct InProcess {
    /// The worker threads.
    workers: Workers,
    /// Their number.
    threads: usize,
    /// Executes the futures of queries.
    runtime: Runtime,
    /// Queries to the dataflow.
    queries: Queries,
    /// What the threads have counted.
    tally: Arc<Tally>,
    /// Cells that were released and not yet taken.
    cells: Arc<Mutex<Vec<Cell>>>,
    /// The next epoch.
    epoch: u64,
    /// The number of messages so far.
    messages: u64,
    /// The newest arrival, Unix milliseconds.
    newest: i64,
}

impl InProcess {
    /// Starts the threads of a configuration.
    ///
    /// # Errors
    ///
    /// Threads that cannot be created.
    pub fn start(config: &Config) -> anyhow::Result<InProcess> {
        let draw = NoiseDraw(rand::random());
        let settings = Arc::new(tributary_connectors::settings::settings(config, draw));
        let (tally, cells, queries) = (
            Arc::new(Tally::default()),
            Arc::<Mutex<Vec<Cell>>>::default(),
            Queries::default(),
        );
        let (counted, received, answered) = (tally.clone(), cells.clone(), queries.clone());
        let workers = Workers::start(
            config,
            settings,
            Decoder::new(config),
            Arc::new(Keyring::new(config)),
            Arc::new(Objections::nobody()),
            Arc::new(move |report| match report {
                Report::Cells(_, cells) => {
                    let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
                    received.extend(cells.into_iter().map(|(cell, ..)| cell));
                }
                Report::Accepted { dead, .. } => counted.dead(&dead),
                Report::Finished {
                    thread,
                    before,
                    counts,
                    ..
                } => {
                    counted.finished(thread, before, *counts);
                    if thread == 0 {
                        answered.finished(before);
                    }
                }
                Report::Answer(answer) => answered.answer(answer),
                Report::Settle { done, .. } | Report::SecureDays { done } => {
                    // Nothing is kept of it here; the thread may have ended.
                    let _ = done.send(());
                }
                Report::SaltsDestroyed(..)
                | Report::Profile { .. }
                | Report::Settled { .. }
                | Report::Expired(_)
                | Report::EraseSightings(..)
                | Report::Unreadable(_) => {}
            }),
            Connections::default(),
        )?;
        Ok(InProcess {
            workers,
            threads: config.workers.threads.max(1),
            runtime: tokio::runtime::Builder::new_current_thread().build()?,
            queries,
            tally,
            cells,
            epoch: 0,
            messages: 0,
            newest: 0,
        })
    }

    /// Feeds messages in one epoch.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    pub fn feed(&mut self, lines: Vec<TraceLine>) -> Result<(), WorkerStopped> {
        let messages = lines.into_iter().map(|line| {
            self.newest = self.newest.max(line.at);
            let number = self.messages;
            self.messages += 1;
            Incoming { number, line }
        });
        let messages = messages.collect();
        self.send(messages, None)
    }

    /// Releases cells at the time of the newest arrival, waits until all are
    /// reported, and returns those that changed since the last release.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    pub fn release(&mut self) -> Result<Vec<Cell>, WorkerStopped> {
        let epoch = self.epoch;
        self.send(Vec::new(), Some(self.newest))?;
        while self.tally.finished_before(self.threads) <= epoch {
            std::thread::sleep(LOOK);
            self.send(Vec::new(), None)?;
        }
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *cells))
    }

    /// Number of lines that were rejected.
    pub fn rejected(&self) -> u64 {
        self.tally.dead_by_reason().values().sum()
    }

    /// Erases the person with an identifier: retracts all records of the identifiers
    /// that are linked to it, and the pings of a device. Returns the number of
    /// records.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    pub fn erase(
        &mut self,
        brand: &Brand,
        (kind, value): (IdKind, &str),
        device: &str,
    ) -> Result<u64, WorkerStopped> {
        let (id, key) = (BrandId::of(&brand.name), BrandKey::new(brand));
        let named = subject_identifiers::identifiers(brand, &key, kind, value);
        let named: Arc<[Pseudonym]> = named.iter().map(|id| id.pseudonym).collect();
        let devices: Arc<[Pseudonym]> = subject_identifiers::devices(&key, device).into();
        let queries = self.queries.clone();
        let ask = async move {
            let members = Question::Members {
                brand: id,
                naming: named.clone(),
                persons: Arc::new([]),
            };
            let members = queries.submit(members).await.ok_or(WorkerStopped)?;
            let linked = members.into_iter().filter_map(|reply| match reply {
                Reply::Member(pseudonym, ..) => Some(pseudonym),
                _ => None,
            });
            let all: BTreeSet<Pseudonym> = named.iter().copied().chain(linked).collect();
            let naming: Arc<[Pseudonym]> = all.into_iter().collect();
            let records = Question::Records {
                brand: id,
                naming: naming.clone(),
            };
            let records = queries.submit(records).await.ok_or(WorkerStopped)?;
            let keys: BTreeSet<_> = records
                .into_iter()
                .filter_map(|reply| match reply {
                    Reply::NamedRecord(key, ..) => Some(key),
                    _ => None,
                })
                .collect();
            let count = keys.len() as u64;
            let seen = Question::DeviceDays { brand: id, devices };
            let seen = queries.submit(seen).await.ok_or(WorkerStopped)?;
            let pings = seen.into_iter().filter_map(|reply| match reply {
                Reply::DeviceSeen(device) => Some(Event::DropDevice { device }),
                _ => None,
            });
            let drops = keys
                .into_iter()
                .map(|key| Event::Drop { key, arrival: LAST });
            let changes = drops.chain(pings).map(InternalChange::Event);
            let applied = queries.apply_requests(changes, vec![(id, naming)]).await;
            applied.ok_or(WorkerStopped)?;
            Ok(count)
        };
        self.wait(ask)
    }

    /// Ends the dataflow.
    ///
    /// # Errors
    ///
    /// A thread that failed.
    pub fn finish(self) -> anyhow::Result<()> {
        self.workers.finish()
    }

    /// Sends an epoch with the changes and queries that wait for it.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    fn send(&mut self, messages: Vec<Incoming>, release: Option<i64>) -> Result<(), WorkerStopped> {
        let epoch = self.epoch;
        self.epoch += 1;
        let changes: Vec<InternalChange> = self.queries.drain_changes(epoch).unwrap_or_default();
        let is_sent = self.workers.send(Batch {
            epoch,
            messages,
            release,
            changes,
            questions: self.queries.drain(epoch),
            ..Batch::default()
        });
        is_sent.then_some(()).ok_or(WorkerStopped)
    }

    /// Waits for a future that submits queries, and sends the epochs that they need.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    fn wait<T>(
        &mut self,
        future: impl Future<Output = Result<T, WorkerStopped>>,
    ) -> Result<T, WorkerStopped> {
        let handle = self.runtime.handle().clone();
        let mut future = pin!(future);
        handle.block_on(std::future::poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            let more = polled.is_pending() && self.queries.has_waiting();
            match more && self.send(Vec::new(), None).is_err() {
                true => Poll::Ready(Err(WorkerStopped)),
                false => polled,
            }
        }))
    }
}
