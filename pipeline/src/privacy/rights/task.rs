//! The task that answers rights requests: its state, and the loop that reads
//! the stream.
//!
//! A transient error of the broker leaves the messages in the stream; the loop
//! reads them again. The loss of the stream itself is different: waiting
//! requests are lost for good, so the task stops answering, and the process is
//! not ready until an operator restarts it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, Fence, InMessage, Reader, subject as subjects};
use tributary_operators::record::BrandId;
use tributary_rights::LedgerWatermark;

use super::audit_log::BrandLog;
use super::files;
use super::losses::LossReport;
use super::stream::{self, Stream};
use crate::broker::retry::retry_transient;
use crate::durability::backups::Backup;
use crate::durability::command::{DurablePosition, LedgerCommand};
use crate::durability::standbys::Standbys;
use crate::epochs::queries::{Queries, WorkerStopped};
use crate::otlp::spans::Work;
use crate::privacy::erased::Erased;
use crate::privacy::objections::Objections;
use crate::report::telemetry::Telemetry;

/// Maximum number of requests that are answered together.
const AT_ONCE: usize = 10_000;

/// Maximum time to wait for a message before the stop signal is checked again;
/// also the pause after a transient error.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// The task that answers the rights requests of all brands.
pub struct Rights {
    /// The configuration.
    pub(super) config: Config,
    /// Connection to the broker.
    pub(super) client: Client,
    /// Queries to the dataflow, and changes of it.
    pub(super) queries: Queries,
    /// Commands to the task that owns the ledger.
    pub(super) ledger_tx: mpsc::UnboundedSender<LedgerCommand>,
    /// The position up to which everything is durable.
    pub(super) watermark: watch::Receiver<DurablePosition>,
    /// Whether this process leads.
    fence: Fence,
    /// Who has a copy of the ledger.
    pub(super) standbys: Standbys,
    /// The backup of this process.
    pub(super) backup: Backup,
    /// The objection list.
    pub(super) objections: Arc<Objections>,
    /// The people who were erased lately.
    pub(super) erased: Arc<Erased>,
    /// Input sequence that was durable when the process started.
    pub(super) restored: u64,
    /// The same in the stream of pings.
    pub(super) restored_pings: u64,
    /// See [`RightsContext::settling`].
    settling: Arc<tokio::sync::Mutex<()>>,
    /// Generation of the input stream.
    pub(super) generation: u16,
    /// The same of the stream of pings; 0 without one.
    pub(super) generation_of_pings: u16,
    /// Metrics and health.
    pub(super) telemetry: Telemetry,
    /// Keys and audit log of each brand.
    pub(super) brand_logs: BTreeMap<BrandId, BrandLog>,
    /// Watermark of the ledger at its last answer.
    pub(super) mark: LedgerWatermark,
    /// Creation time of the rights stream, Unix nanoseconds, as found at the start.
    pub(super) created_ns: i64,
    /// The last request of the brands of this process at the start; `None` once all up to
    /// it are answered.
    waiting: Option<u64>,
}

/// The parts of a worker that [`Rights`] uses.
#[derive(Clone)]
pub struct RightsContext {
    /// The configuration.
    pub config: Config,
    /// The broker.
    pub client: Client,
    /// Queries to the dataflow.
    pub queries: Queries,
    /// The task that owns the ledger.
    pub ledger_tx: mpsc::UnboundedSender<LedgerCommand>,
    /// How far the ledger is.
    pub watermark: watch::Receiver<DurablePosition>,
    /// Whether this process leads: another one that does works on the requests.
    pub fence: Fence,
    /// Who has a copy of the ledger and must have what is reported as done.
    pub standbys: Standbys,
    /// The backup of this process, in which nothing is to be read that is reported as
    /// erased.
    pub backup: Backup,
    /// The objection list.
    pub objections: Arc<Objections>,
    /// The people who were erased lately.
    pub erased: Arc<Erased>,
    /// Up to which sequence the input was durable at the start.
    pub restored: u64,
    /// The same in the stream of pings; 0 without one.
    pub restored_pings: u64,
    /// Held while what settling leaves is asked for and entered, and while requests are
    /// worked on: otherwise what was asked for before an erasure would be entered after
    /// it. Process 0 settles, and ends a request after all others have.
    pub settling: Arc<tokio::sync::Mutex<()>>,
    /// Generation of the input stream.
    pub generation: u16,
    /// The same of the stream of pings; 0 without one.
    pub generation_of_pings: u16,
    /// The metrics, which count answers, and the health.
    pub telemetry: Telemetry,
    /// How far the ledger is.
    pub mark: LedgerWatermark,
    /// The losses that the start has found, and the receipts at the broker.
    pub found: LossReport,
    /// When the stream of requests was made, Unix nanoseconds.
    pub created_ns: i64,
}

impl Rights {
    /// Opens the audit logs and a reader of the rights stream, and records all file
    /// heads in each other.
    ///
    /// # Errors
    ///
    /// An audit log that cannot be read or is damaged, or a broker that does not
    /// answer.
    pub async fn open(parts: RightsContext) -> anyhow::Result<(Rights, Reader)> {
        let RightsContext {
            config,
            client,
            queries,
            ledger_tx,
            watermark,
            fence,
            standbys,
            backup,
            objections,
            erased,
            restored,
            restored_pings,
            settling,
            generation,
            generation_of_pings,
            telemetry,
            mark,
            found,
            created_ns,
        } = parts;
        let directory = files::directory(&config);
        let registrar = config.workers.process == 0;
        let brands = config.brands.iter();
        let brand_logs = brands
            .map(|brand| {
                let receipted = found.receipted(&brand.name);
                let brand_log = BrandLog::open(brand, &directory, registrar, receipted)?;
                Ok((brand_log.brand, brand_log))
            })
            .collect::<anyhow::Result<BTreeMap<BrandId, BrandLog>>>()?;
        let all = read_by(registrar);
        let stream = &config.nats.rights_stream;
        let reader = retry_transient(|| Reader::filtered(&client, stream, &all, 1)).await?;
        let mut rights = Rights {
            config,
            client,
            queries,
            ledger_tx,
            watermark,
            fence,
            standbys,
            backup,
            objections,
            erased,
            restored,
            restored_pings,
            settling,
            generation,
            generation_of_pings,
            telemetry,
            brand_logs,
            mark,
            created_ns,
            waiting: None,
        };
        rights.waiting = rights.last_request().await?;
        rights.bind_at_start(&found).await?;
        Ok((rights, reader))
    }

    /// Answers requests until `stop`. `cleared` becomes true when all requests that
    /// waited at the start are answered.
    ///
    /// # Errors
    ///
    /// A worker that has stopped, or a disk that fails. Transient errors of the
    /// broker are retried without limit. If the rights stream is lost, the task
    /// answers nothing more and returns at `stop`.
    pub async fn run(
        self,
        reader: Reader,
        mut stop: watch::Receiver<bool>,
        cleared: watch::Sender<bool>,
    ) -> anyhow::Result<()> {
        let stream = Stream {
            config: self.config.clone(),
            client: self.client.clone(),
            health: self.telemetry.health.clone(),
            created_ns: self.created_ns,
        };
        let health = self.telemetry.health.clone();
        let answered = self.answer_all(reader, stop.clone(), &cleared);
        let why = tokio::select! {
            answered = answered => match answered {
                Err(error) if is_no_stream(&error) => stream.lost().await,
                answered => return answered,
            },
            // What it was at is as a kill would leave it.
            why = stream.lost() => why,
        };
        let reason = stream::named(&why);
        tracing::error!("{reason}");
        health.set_rights(Some(reason));
        let _ = stop.wait_for(|stopped| *stopped).await;
        Ok(())
    }

    /// Reads requests in batches and works on them, until `stop`.
    ///
    /// # Errors
    ///
    /// A stopped worker, a disk that fails, or an error of the broker that a retry
    /// cannot resolve.
    async fn answer_all(
        mut self,
        mut reader: Reader,
        stop: watch::Receiver<bool>,
        cleared: &watch::Sender<bool>,
    ) -> anyhow::Result<()> {
        let stream = self.config.nats.rights_stream.clone();
        let all = read_by(self.is_registrar());
        let (mut next, mut is_tidy) = (1, false);
        loop {
            if *stop.borrow() {
                return Ok(());
            }
            let messages = match all_there_are(&mut reader).await {
                Ok(messages) => messages,
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, "retrying to read rights requests");
                    tokio::time::sleep(LOOK).await;
                    let open = || Reader::filtered(&self.client, &stream, &all, next);
                    reader = retry_transient(open).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            // A process that wakes late may have been replaced, and learns it first.
            while !self.fence.holds(None) {
                self.fence.hurry();
                tokio::time::sleep(LOOK).await;
            }
            let begun = Instant::now();
            let none_waits = reader.caught_up();
            let worked = async {
                if !self.is_registrar() {
                    return self.take_part(&messages).await;
                }
                let jobs = self.receive(&messages).await?;
                let settling = self.settling.clone();
                let nothing_settles = settling.lock().await;
                self.work(jobs, &nothing_settles).await?;
                drop(nothing_settles);
                if none_waits {
                    cleared.send_replace(true);
                }
                match none_waits {
                    true => self.tidy(&messages, &mut is_tidy).await?,
                    // A request that waits may have starts of an attempt before.
                    false => is_tidy = false,
                }
                Ok(())
            };
            let worked = worked.await;
            if !messages.is_empty() {
                let counts = [("requests", messages.len() as u64)];
                let traces = &self.telemetry.traces;
                traces.work(Work::Rights, begun, worked.is_err(), &counts);
            }
            match worked {
                Ok(()) => next = reader.next_sequence(),
                Err(error) if is_passing(&error) => {
                    // The messages are still there, and are taken again.
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "retrying to answer rights requests"
                    );
                    tokio::time::sleep(LOOK).await;
                    let open = || Reader::filtered(&self.client, &stream, &all, next);
                    reader = retry_transient(open).await?;
                    continue;
                }
                // The worker is on its way out; whoever stops it says why.
                Err(error) if error.is::<WorkerStopped>() => return Ok(()),
                Err(error) => return Err(error),
            }
            if !*cleared.borrow() && self.are_answered().await {
                cleared.send_replace(true);
            }
        }
    }

    /// Whether no request waited at the start.
    pub fn is_clear(&self) -> bool {
        self.waiting.is_none()
    }

    /// The last request that waits, of any brand of this process.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    async fn last_request(&self) -> Result<Option<u64>, nats::NatsError> {
        let mut last = None;
        for brand in &self.config.brands {
            let subject = subjects::rights_requests(&brand.name);
            let stream = &self.config.nats.rights_stream;
            let of = retry_transient(|| nats::last_message(&self.client, stream, &subject));
            last = last.max(of.await?);
        }
        Ok(last)
    }

    /// Whether the requests that waited at the start are answered, which process 0 says by
    /// deleting them. A broker that does not answer is asked again.
    async fn are_answered(&mut self) -> bool {
        let Some(last) = self.waiting else {
            return true;
        };
        for brand in &self.config.brands {
            let subject = subjects::rights_requests(&brand.name);
            let stream = &self.config.nats.rights_stream;
            match nats::first_message(&self.client, stream, &subject).await {
                Ok(first) if first.is_none_or(|first| first > last) => {}
                _ => return false,
            }
        }
        self.waiting = None;
        true
    }

    /// Deletes what is left of requests that are completed, while none waits: of those of
    /// any brand of this process the first time, afterwards of the brands of some messages.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    async fn tidy(&self, messages: &[InMessage], is_tidy: &mut bool) -> anyhow::Result<()> {
        let of = messages.iter();
        let of = of.filter_map(|message| message.subject.split('.').nth(2));
        let of: BTreeSet<&str> = of.collect();
        let brands = self.config.brands.iter().map(|brand| brand.name.as_str());
        let brands = brands.filter(|brand| !*is_tidy || of.contains(brand));
        self.delete_leftovers(brands).await?;
        *is_tidy = true;
        Ok(())
    }

    /// Whether this process is the registrar, which is process 0.
    pub(super) fn is_registrar(&self) -> bool {
        self.config.workers.process == 0
    }
}

/// The subjects that a process reads: the registrar requests, the others what it tells
/// them.
fn read_by(registrar: bool) -> String {
    match registrar {
        true => subjects::rights_requests("*"),
        false => subjects::rights_starts("*"),
    }
}

/// Reads the messages that are in the stream, at most `AT_ONCE`, so that they
/// share one pass over ledger and streams.
///
/// # Errors
///
/// A broker that does not answer.
async fn all_there_are(reader: &mut Reader) -> Result<Vec<InMessage>, nats::NatsError> {
    let mut messages = reader.next_batch(AT_ONCE, LOOK).await?;
    while !messages.is_empty() && messages.len() < AT_ONCE && !reader.caught_up() {
        let more = reader.next_batch(AT_ONCE - messages.len(), LOOK).await?;
        messages.extend(more);
    }
    Ok(messages)
}

/// Whether an error means that the rights stream does not exist or cannot be
/// used.
fn is_no_stream(error: &anyhow::Error) -> bool {
    let broker = error.downcast_ref::<nats::NatsError>();
    broker.is_some_and(|error| error.kind() == nats::NatsErrorKind::Stream)
}

/// Whether an error may resolve itself: a transient error of the broker, or a
/// publication without confirmation.
pub(super) fn is_passing(error: &anyhow::Error) -> bool {
    let broker = error.downcast_ref::<nats::NatsError>();
    broker.is_some_and(nats::NatsError::is_transient)
        || error
            .chain()
            .any(|cause| cause.is::<async_nats::jetstream::context::PublishError>())
}
