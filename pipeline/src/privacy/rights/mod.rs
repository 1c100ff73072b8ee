//! Rights requests of data subjects, from the request to the receipt.
//!
//! A request is a message on `tributary.rights.<brand>.request`. The stream keeps it, in clear, until it is answered,
//! and that is the only place where it waits: whatever is killed, the message is still there and is answered after the
//! restart (invariant I4). When everything is done everywhere the message is deleted, bytes and all, and what remains
//! of the request is its status, its receipt and a line of the audit log, none of which identifies the data subject.
//!
//! ```text
//!  request ─► checked ─► audit: received ─► pending ─► in_progress ─┬─► erase, object        [`forget`]
//!                                                                   ├─► access, portability  [`answer`]
//!                                                                   ├─► rectify              [`rectify`]
//!                                                                   └─► restrict … directive [`restrictions`]
//!            deleted ◄─ status, receipt ◄─ audit: completed ◄───────┘
//! ```
//!
//! Process 0 is the registrar: it checks requests, keeps the audit log, and publishes statuses and receipts. The others do
//! their part of an erasure, in their own ledgers, and confirm it on a subject of their own. All requests that wait at one
//! time are answered together, so that ten thousand of them read the ledger and the streams once.
//!
//! While requests of before a restart wait, no cell is released, so that no record under erasure counts again.

mod answer;
mod audit_log;
pub mod files;
mod forget;
mod heads;
pub mod losses;
pub mod published_heads;
mod rectify;
mod restrictions;
mod stream;
mod stream_scrub;
mod subject;
pub mod submit;
mod time;
pub mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream;
use tokio::sync::{mpsc, watch};
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, InMessage, Reader, subject as subjects};
use tributary_operators::record::BrandId;
use tributary_rights::audit::Event;
use tributary_rights::receipt::Receipt;
use tributary_rights::request::{Replay, RequestBody, replay};
use tributary_rights::status::{Status, StatusMessage};
use tributary_rights::{Counts, LedgerWatermark, Reason, Request, RequestId, RequestKey, Right};

use crate::broker::retry::retry_transient;
use crate::durability::command::{DurablePosition, LedgerCommand};
use crate::epochs::queries::Queries;
use crate::epochs::queries::WorkerStopped;
use crate::privacy::objections::Objections;
use crate::report::telemetry::Telemetry;
use audit_log::BrandLog;
use losses::LossReport;
use stream::Stream;
use time::now;

/// How many requests are taken at once.
const AT_ONCE: usize = 10_000;

/// How long a wait for requests takes before it looks whether the worker stops.
const LOOK: Duration = Duration::from_millis(500);

/// The task that answers the rights requests of all brands.
pub struct Rights {
    config: Config,
    client: Client,
    queries: Queries,
    ledger_tx: mpsc::UnboundedSender<LedgerCommand>,
    watermark: watch::Receiver<DurablePosition>,
    objections: Arc<Objections>,
    restored: u64,
    telemetry: Telemetry,
    brand_logs: BTreeMap<BrandId, BrandLog>,
    /// How far the ledger was when it was last asked.
    mark: LedgerWatermark,
    /// When the stream of requests was made, Unix nanoseconds.
    created_ns: i64,
}

/// The parts of a worker that [`Rights`] uses.
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
    /// The objection list.
    pub objections: Arc<Objections>,
    /// Up to which sequence the input was durable at the start.
    pub restored: u64,
    /// The metrics, which count answers, and the health.
    pub telemetry: Telemetry,
    /// How far the ledger is.
    pub mark: LedgerWatermark,
    /// The losses that the start has found, and the receipts at the broker.
    pub found: LossReport,
    /// When the stream of requests was made, Unix nanoseconds.
    pub created_ns: i64,
}

/// A request in progress.
struct Job {
    brand: BrandId,
    request: Request,
    key: RequestKey,
    /// Its messages in the stream: more than one where it was sent again.
    sequences: Vec<u64>,
    /// Where the other processes say that they have done their part.
    parts: Vec<u64>,
    /// When it came, Unix milliseconds.
    received: i64,
    counts: Counts,
    /// Why it is not done, where it is not.
    rejected: Option<Reason>,
}

impl Job {
    /// When it was said, Unix milliseconds: no later than it came, so that nobody speaks for the future.
    fn said(&self) -> i64 {
        self.request.ts.min(self.received)
    }
}

impl Rights {
    /// Opens what lasts of the rights, the audit logs, and the stream of requests.
    ///
    /// # Errors
    /// Where a log cannot be read or is not what was written, or the broker does not answer.
    pub async fn open(parts: RightsContext) -> anyhow::Result<(Rights, Reader)> {
        let RightsContext {
            config,
            client,
            queries,
            ledger_tx,
            watermark,
            objections,
            restored,
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
        let all = subjects::rights_requests("*");
        let stream = &config.nats.rights_stream;
        let reader = retry_transient(|| Reader::filtered(&client, stream, &all, 1)).await?;
        let mut rights = Rights {
            config,
            client,
            queries,
            ledger_tx,
            watermark,
            objections,
            restored,
            telemetry,
            brand_logs,
            mark,
            created_ns,
        };
        rights.bind_at_start(&found).await?;
        Ok((rights, reader))
    }

    /// Answers the requests of its reader until `stop`. `cleared` becomes true when those that waited at the start are
    /// answered. Where the stream of requests is lost none is answered any more, and the process is not ready.
    ///
    /// # Errors
    /// Where the worker or the disk cannot go on; a broker that is away is waited for.
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

    async fn answer_all(
        mut self,
        mut reader: Reader,
        stop: watch::Receiver<bool>,
        cleared: &watch::Sender<bool>,
    ) -> anyhow::Result<()> {
        let stream = self.config.nats.rights_stream.clone();
        let all = subjects::rights_requests("*");
        let mut next = 1;
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
            let worked = async {
                let jobs = self.receive(&messages).await?;
                self.work(jobs).await
            };
            match worked.await {
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
            if reader.caught_up() {
                cleared.send_replace(true);
            }
        }
    }

    fn is_registrar(&self) -> bool {
        self.config.workers.process == 0
    }

    /// Checks what has come, refuses what is none, and says what is to be done.
    async fn receive(&mut self, messages: &[InMessage]) -> anyhow::Result<Vec<Job>> {
        let mut jobs: BTreeMap<(BrandId, RequestKey), Job> = BTreeMap::new();
        for message in messages {
            let token = message.subject.split('.').nth(2).unwrap_or_default();
            let known = |name: &str| self.config.brands.iter().any(|brand| brand.name == name);
            let request = Request::parse(&message.payload, Some(token), &known);
            let brand = known(token).then(|| BrandId::of(token));
            let (request, brand) = match (request, brand) {
                (Ok(request), Some(brand)) => (request, brand),
                (Err(refusal), _) => {
                    let id = Request::read_id(&message.payload);
                    self.refuse(message, token, id, refusal.reason).await?;
                    continue;
                }
                (Ok(request), None) => {
                    let id = Some(request.id);
                    self.refuse(message, token, id, Reason::UnknownBrand)
                        .await?;
                    continue;
                }
            };
            let Some(brand_log) = self.brand_logs.get_mut(&brand) else {
                continue;
            };
            let key = brand_log.keys.request(&request.id);
            let content = request.fingerprint(&brand_log.keys);
            if let Some(job) = jobs.get_mut(&(brand_log.brand, key)) {
                if job.request.fingerprint(&brand_log.keys) == content {
                    job.sequences.push(message.sequence);
                } else {
                    let id = Some(request.id);
                    self.refuse(message, token, id, Reason::IdTaken).await?;
                }
                continue;
            }
            let right = request.asked.right();
            let standing = brand_log.standing(key);
            let again = replay(standing.map(|standing| standing.content), content);
            let received = match (again, standing) {
                (Err(refusal), _) => {
                    let id = Some(request.id);
                    self.refuse(message, token, id, refusal.reason).await?;
                    continue;
                }
                (Ok(Replay::Again), Some(standing)) if standing.status.is_final() => {
                    let (status, at) = (standing.status, standing.at);
                    // A kill may have come between the log and the receipt.
                    if let (Status::Completed(counts), Some(audit)) =
                        (status, brand_log.unreceipted(&standing))
                    {
                        let receipt = Receipt {
                            request: request.id.clone(),
                            brand: token.to_owned(),
                            right,
                            received: standing.received_at,
                            completed: at,
                            counts,
                            audit,
                        };
                        self.publish_receipt(brand, &receipt).await?;
                    }
                    self.publish_status(token, &request.id, Some(right), status, at)
                        .await?;
                    self.delete(message.sequence).await?;
                    continue;
                }
                (Ok(Replay::Again), Some(standing)) => standing.received_at,
                (Ok(_), _) => {
                    let at = message.at_ms;
                    brand_log.log(at, key, right, Event::Received { content })?;
                    let status = Status::Pending;
                    self.publish_status(token, &request.id, Some(right), status, at)
                        .await?;
                    at
                }
            };
            jobs.insert(
                (brand, key),
                Job {
                    brand,
                    request,
                    key,
                    sequences: vec![message.sequence],
                    parts: Vec::new(),
                    received,
                    counts: Counts::default(),
                    rejected: None,
                },
            );
        }
        let mut jobs: Vec<Job> = jobs.into_values().collect();
        jobs.sort_by_key(|job| job.sequences.first().copied());
        Ok(jobs)
    }

    /// Does what is to be done.
    async fn work(&mut self, mut jobs: Vec<Job>) -> anyhow::Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let begun = std::time::Instant::now();
        for job in &jobs {
            let Some(brand_log) = self.brand_logs.get_mut(&job.brand) else {
                continue;
            };
            let pending = brand_log
                .standing(job.key)
                .is_some_and(|standing| standing.status == Status::Pending);
            if pending {
                let (at, right) = (now(), job.request.asked.right());
                brand_log.log(at, job.key, right, Event::Started)?;
                let name = brand_log.name.clone();
                let status = Status::InProgress;
                self.publish_status(&name, &job.request.id, Some(right), status, at)
                    .await?;
            }
        }
        let persons = self.resolve(&mut jobs).await?;
        // In the order in which they came, as far as one may see the effect of another: what is kept and corrected
        // comes before access, and access before erasure.
        if self.is_registrar() {
            self.restrict(&mut jobs, &persons).await?;
            self.rectify(&mut jobs, &persons).await?;
            self.answer(&mut jobs, &persons).await?;
        }
        self.forget(&mut jobs, &persons).await?;
        if !self.is_registrar() {
            return Ok(());
        }
        let done = jobs.iter().filter(|job| job.rejected.is_none());
        let brands: BTreeSet<BrandId> = done.map(|job| job.brand).collect();
        self.bind(&brands, &BTreeMap::new()).await?;
        for job in jobs {
            self.close(job).await?;
        }
        self.publish_heads().await?;
        self.name_heads().await?;
        tracing::info!(
            seconds = begun.elapsed().as_secs_f64(),
            "answered rights requests"
        );
        Ok(())
    }

    /// Says that a request is done, or not, and deletes it.
    async fn close(&mut self, job: Job) -> anyhow::Result<()> {
        let Some(brand_log) = self.brand_logs.get_mut(&job.brand) else {
            return Ok(());
        };
        let (at, right) = (now(), job.request.asked.right());
        let event = match job.rejected {
            Some(reason) => Event::Rejected { reason },
            None => Event::Completed { counts: job.counts },
        };
        let open = brand_log
            .standing(job.key)
            .is_none_or(|standing| !standing.status.is_final());
        if open {
            let head = brand_log.log(at, job.key, right, event)?;
            if head.is_some() {
                let completed = job.rejected.is_none();
                let metrics = &self.telemetry.metrics;
                metrics.right_answered(&brand_log.name, Some(right), completed);
            }
            if let (None, Some(head)) = (job.rejected, head) {
                let receipt = Receipt {
                    request: job.request.id.clone(),
                    brand: brand_log.name.clone(),
                    right,
                    received: job.received,
                    completed: at,
                    counts: job.counts,
                    audit: head,
                };
                let name = brand_log.name.clone();
                self.publish_receipt(job.brand, &receipt).await?;
                let status = Status::Completed(job.counts);
                self.publish_status(&name, &job.request.id, Some(right), status, at)
                    .await?;
            } else if let Some(reason) = job.rejected {
                let name = brand_log.name.clone();
                let status = Status::Rejected(reason);
                self.publish_status(&name, &job.request.id, Some(right), status, at)
                    .await?;
            }
        }
        // The parts go last: a restart before that finds them.
        for sequence in job.sequences.into_iter().chain(job.parts) {
            self.delete(sequence).await?;
        }
        Ok(())
    }

    /// Refuses a message that asks for nothing that can be done.
    async fn refuse(
        &self,
        message: &InMessage,
        brand: &str,
        id: Option<RequestId>,
        reason: Reason,
    ) -> anyhow::Result<()> {
        if !self.is_registrar() {
            return Ok(());
        }
        if let Some(id) = id.or_else(|| RequestId::read("unreadable")) {
            let status = Status::Rejected(reason);
            self.publish_status(brand, &id, None, status, now()).await?;
        }
        self.telemetry.metrics.right_answered(brand, None, false);
        self.delete(message.sequence).await
    }

    /// Tells how a request stands.
    async fn publish_status(
        &self,
        brand: &str,
        id: &RequestId,
        right: Option<Right>,
        status: Status,
        at: i64,
    ) -> anyhow::Result<()> {
        if !self.is_registrar() {
            return Ok(());
        }
        let message = StatusMessage {
            brand,
            id,
            right,
            status,
            at,
        };
        self.publish(subjects::rights_status(brand), message.to_json())
            .await
    }

    async fn publish_receipt(&mut self, brand: BrandId, receipt: &Receipt) -> anyhow::Result<()> {
        let Some(brand_log) = self.brand_logs.get(&brand) else {
            return Ok(());
        };
        let text = receipt.to_json(&brand_log.keys);
        let subject = subjects::rights_receipt(&brand_log.name);
        self.publish(subject, text).await?;
        if let Some(brand_log) = self.brand_logs.get_mut(&brand) {
            brand_log.receipted(receipt.audit);
        }
        Ok(())
    }

    async fn publish(&self, subject: String, text: String) -> anyhow::Result<()> {
        let jetstream = jetstream::new(self.client.clone());
        let sent = jetstream.publish(subject, text.into()).await;
        sent.context("publishing the status of a request")?
            .await
            .context("publishing the status of a request")?;
        Ok(())
    }

    /// Deletes a message of the rights stream.
    async fn delete(&self, sequence: u64) -> anyhow::Result<()> {
        if self.is_registrar() {
            let stream = &self.config.nats.rights_stream;
            nats::delete_message(&self.client, stream, sequence).await?;
        }
        Ok(())
    }
}

/// Every request that is there, so that all of them read the ledger and the streams once.
async fn all_there_are(reader: &mut Reader) -> Result<Vec<InMessage>, nats::NatsError> {
    let mut messages = reader.next_batch(AT_ONCE, LOOK).await?;
    while !messages.is_empty() && messages.len() < AT_ONCE && !reader.caught_up() {
        let more = reader.next_batch(AT_ONCE - messages.len(), LOOK).await?;
        messages.extend(more);
    }
    Ok(messages)
}

/// Whether there is no stream of requests, or it cannot be used.
fn is_no_stream(error: &anyhow::Error) -> bool {
    let broker = error.downcast_ref::<nats::NatsError>();
    broker.is_some_and(|error| error.kind() == nats::NatsErrorKind::Stream)
}

fn is_passing(error: &anyhow::Error) -> bool {
    let broker = error.downcast_ref::<nats::NatsError>();
    broker.is_some_and(nats::NatsError::is_transient)
        || error
            .chain()
            .any(|cause| cause.is::<async_nats::jetstream::context::PublishError>())
}

/// Whether a request asks for everything to go.
fn erases(asked: &RequestBody, dead: bool) -> bool {
    match asked {
        RequestBody::Erase | RequestBody::Object => true,
        RequestBody::Directive { notice: true, .. } => dead,
        _ => false,
    }
}
