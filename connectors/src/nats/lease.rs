//! Leases: which process publishes the cells of a number of the cluster, as the
//! broker knows it.
//!
//! A process that is suspended, or cut off, can wake long after another one has
//! taken its place. Neither clocks nor signals tell it; only the broker can. So
//! each process holds a lease: one key of a bucket at the broker, which it
//! renews every [`RENEWAL`] by *compare and swap* on the key's sequence. Whoever
//! takes the lease over changes the sequence, and the renewal of the former
//! holder fails, whenever it comes.
//!
//! No clock is compared with another. A candidate watches the key for
//! [`TERM`] on its own clock, and takes it over only when nothing has changed
//! meanwhile. A holder stops publishing when, on its own clock, a [`TERM`] has
//! passed since it *sent* the last renewal that succeeded ([`Fence::holds`]), and
//! goes on if the next renewal succeeds: an outage of the broker, which nobody
//! can use to take anything over, needs no restart.
//!
//! Between a look at the clock and the arrival of a message a process may be
//! suspended as well. What is still under way then is refused by the broker
//! when a newer value has arrived, because each cell is published with the
//! sequence of the value that it replaces ([`super::LatestPublisher`]).
//!
//! A lease whose holder had the same ledger is taken over at once: the ledger
//! is locked by one process, so that the former holder has ended. Where a
//! standby has a copy of the ledger, it must be the same copy. A standby looks
//! at the lease itself ([`current`]) and decides when it may take it ([`claim`]).
//!
//! Each renewal states how far the ledger of the holder is durable
//! ([`Fence::set_durable`]), so that a start recognizes an older copy of it.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{Context, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::{Client, jetstream};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::error::{NatsError, NatsErrorKind};

/// How long a lease lasts without a renewal.
pub const TERM: Duration = Duration::from_secs(10);

/// The interval of renewals.
pub const RENEWAL: Duration = Duration::from_secs(3);

/// The pause before a renewal that failed is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a candidate waits for a holder that renews its lease before it
/// reports that the lease is taken.
const PATIENCE: Duration = Duration::from_secs(15);

/// The interval at which a candidate looks at the lease.
const LOOK: Duration = Duration::from_millis(250);

/// Who holds a lease, as the operator sees it at the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The number of the process in its cluster.
    pub process: usize,
    /// The number of processes of the cluster.
    pub processes: usize,
    /// Its shard, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// The brands that it serves.
    #[serde(default)]
    pub brands: Vec<String>,
    /// The ID of its ledger, 32 hexadecimal digits.
    pub ledger: String,
    /// The ID of its copy of that ledger, 32 hexadecimal digits; empty if no other
    /// process has one.
    #[serde(default)]
    pub copy: String,
    /// The oldest state of its ledger with which a standby may take over: a number
    /// that the holder gives to states ([`Fence::raise_barrier`]). 0 for any.
    #[serde(default)]
    pub barrier: u64,
    /// Where it listens for the other processes of its cluster, `host:port`; empty where
    /// `workers.hosts` says it, and for a process that is alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The generation of its ledger's manifest, when it renewed the lease last.
    #[serde(default)]
    pub manifest: u64,
    /// The ordinal of its ledger's newest commit that was durable then.
    #[serde(default)]
    pub commits: u64,
    /// The name of its host.
    pub host: String,
    /// The version of the program.
    pub version: String,
    /// When it took the lease, RFC 3339, by its own clock.
    pub since: String,
    /// Whether it has given the lease back.
    pub released: bool,
}

impl Holder {
    /// The name of a process of its cluster, in keys of the bucket.
    fn name_of(&self, process: usize) -> String {
        match &self.shard {
            Some(shard) => format!("{shard}-{process}"),
            None => process.to_string(),
        }
    }

    /// The name of the process.
    pub fn name(&self) -> String {
        self.name_of(self.process)
    }

    /// Whether `other` had the very files of this holder's ledger open, which only
    /// one process can at a time.
    pub fn has_ledger_of(&self, other: &Holder) -> bool {
        match (self.copy.is_empty(), other.copy.is_empty()) {
            (false, false) => self.copy == other.copy,
            // It had no copy yet when it took the lease.
            (_, true) => self.ledger == other.ledger && !self.ledger.is_empty(),
            (true, false) => false,
        }
    }

    /// What tells the time for which it has the lease from that of every other holder:
    /// BLAKE3 of copy (or of the ledger, where there is no other copy), host and
    /// beginning, each after its length in 8 bytes, least significant first. The first
    /// holder with a copy has no ledger yet when it takes the lease.
    pub fn tenure(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let files = match self.copy.is_empty() {
            true => &self.ledger,
            false => &self.copy,
        };
        for text in [files, &self.host, &self.since] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.finalize().into()
    }

    /// Whether `other` is a renewal of the same lease.
    fn is_same(&self, other: &Holder) -> bool {
        let mine = Holder {
            barrier: other.barrier,
            manifest: other.manifest,
            commits: other.commits,
            ledger: other.ledger.clone(),
            brands: other.brands.clone(),
            ..self.clone()
        };
        mine == *other
    }
}

/// The bucket in which the leases of an output stream are kept. Its stream is
/// that of a NATS key-value bucket, which `nats kv` reads.
pub fn bucket(output_stream: &str) -> String {
    format!("{output_stream}_LEASES")
}

/// The stream of [`bucket`].
pub(super) fn stream(output_stream: &str) -> String {
    format!("KV_{}", bucket(output_stream))
}

/// The subject of a process's lease.
fn subject(output_stream: &str, process: &str) -> String {
    format!("$KV.{}.process-{process}", bucket(output_stream))
}

/// Who holds the leases of an output stream or has held them, each with the
/// sequence of its last renewal. None if nobody has taken one yet.
///
/// # Errors
/// A broker that does not answer.
pub async fn holders(
    client: &Client,
    output_stream: &str,
) -> Result<Vec<(Holder, u64)>, NatsError> {
    use async_nats::jetstream::context::GetStreamErrorKind;
    let stream = stream(output_stream);
    match jetstream::new(client.clone()).get_stream(&stream).await {
        Ok(_) => {}
        Err(error) => {
            let is_missing = matches!(
                error.kind(),
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND
            );
            if is_missing {
                return Ok(Vec::new());
            }
            let what = format!("reading the leases in {stream}");
            return Err(NatsError::caused(NatsErrorKind::Unreachable, what, error));
        }
    }
    // A wildcard stands for a whole token.
    let all = format!("$KV.{}.*", bucket(output_stream));
    let mut last = super::last_values(client, &stream, &all).await?;
    let mut holders = Vec::new();
    loop {
        let batch = last.next_batch(1_000).await?;
        if batch.is_empty() {
            break;
        }
        let read = batch.iter().filter_map(|message| {
            let holder = serde_json::from_slice(&message.payload).ok()?;
            Some((holder, message.sequence))
        });
        holders.extend(read);
    }
    holders.sort_by_key(|(holder, _): &(Holder, u64)| (holder.shard.clone(), holder.process));
    Ok(holders)
}

/// Who holds the lease of the process of this name or held it last, with the
/// sequence of the last renewal: 0 if nobody has taken it yet. The bucket must exist.
///
/// # Errors
/// A broker that does not answer.
pub async fn current(
    client: &Client,
    output_stream: &str,
    process: &str,
) -> Result<(Option<Holder>, u64), NatsError> {
    let subject = subject(output_stream, process);
    last(client, &stream(output_stream), &subject).await
}

/// Takes a lease whose last renewal has the sequence `expected`; `None` if
/// another process has renewed or taken it meanwhile. The caller knows that the
/// holder has ended, or that a [`TERM`] has passed since that renewal.
///
/// # Errors
/// As [`Lease::take`].
pub async fn claim(
    client: &Client,
    output_stream: &str,
    holder: Holder,
    expected: u64,
) -> Result<Option<Lease>, NatsError> {
    let mut lease = Lease::new(client, output_stream, holder);
    lease.refuse_larger(output_stream).await?;
    let sent = Instant::now();
    let swapped = lease.swap(expected).await?;
    lease.renewed.send_replace(sent);
    Ok(swapped.then_some(lease))
}

/// Sees to it that no standby takes the place of a process that has ended, and whose
/// copy of the ledger is `copy`, before the process itself has led again.
///
/// # Errors
/// [`NatsErrorKind::Taken`] if another copy has led last; `Unreachable` without an
/// answer.
pub async fn hold_off(
    client: &Client,
    output_stream: &str,
    process: &str,
    copy: &str,
) -> Result<(), NatsError> {
    loop {
        let (last, sequence) = current(client, output_stream, process).await?;
        let Some(holder) = last.filter(|last| !last.copy.is_empty()) else {
            return Ok(());
        };
        if holder.copy != copy {
            let what = format!(
                "another copy of the ledger of process {process} has led last, on {} since {}: use that one",
                holder.host, holder.since
            );
            return Err(NatsError::new(NatsErrorKind::Taken, what));
        }
        let mut lease = Lease::new(client, output_stream, holder);
        lease.barrier.store(u64::MAX, SeqCst);
        if lease.swap(sequence).await? {
            return Ok(());
        }
    }
}

/// A lease that this process holds.
pub struct Lease {
    client: Client,
    jetstream: Context,
    stream: String,
    subject: String,
    holder: Holder,
    /// The sequence of the message by which it is held.
    sequence: u64,
    renewed: watch::Sender<Instant>,
    hurry: Arc<Notify>,
    /// The barrier that the next renewal states.
    barrier: Arc<AtomicU64>,
    /// The barrier that the broker has stored.
    stored_barrier: watch::Sender<u64>,
    /// The manifest and the commits that the next renewal states.
    durable: Arc<Durable>,
}

/// How far the ledger of a holder is durable.
#[derive(Debug, Default)]
struct Durable {
    /// Its ID, once there is one: that of a holder which began without.
    ledger: OnceLock<[u8; 16]>,
    manifest: AtomicU64,
    commits: AtomicU64,
    /// The brands that the holder serves, once they are others than when it took the
    /// lease.
    brands: Mutex<Option<Vec<String>>>,
}

/// Whether this process may publish; shared with the publisher.
#[derive(Clone, Debug)]
pub struct Fence {
    /// When the last renewal that succeeded was sent.
    renewed: watch::Receiver<Instant>,
    hurry: Arc<Notify>,
    /// The barrier that the next renewal states.
    barrier: Arc<AtomicU64>,
    /// The barrier that the broker has stored.
    stored_barrier: watch::Receiver<u64>,
    /// The manifest and the commits that the next renewal states.
    durable: Arc<Durable>,
}

impl Fence {
    /// Whether the lease is held, and has been renewed after `since` if that is
    /// given.
    pub fn holds(&self, since: Option<Instant>) -> bool {
        let sent = *self.renewed.borrow();
        sent.elapsed() < TERM && since.is_none_or(|since| sent > since)
    }

    /// Has the lease renewed now, to learn whether it is still held.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Has the next renewal state how far the ledger with this ID is durable: the
    /// generation of its manifest, and the ordinal of its newest commit.
    pub fn set_durable(&self, ledger: [u8; 16], manifest: u64, commits: u64) {
        let _ = self.durable.ledger.set(ledger);
        self.durable.manifest.store(manifest, SeqCst);
        self.durable.commits.store(commits, SeqCst);
    }

    /// Has the lease renewed now, and state these brands from now on.
    pub fn set_brands(&self, brands: Vec<String>) {
        let stated = self.durable.brands.lock();
        *stated.unwrap_or_else(PoisonError::into_inner) = Some(brands);
        self.hurry();
    }

    /// States at the broker that no standby may take over with an older state than
    /// `to`. Returns whether that is stored: not if the lease is lost.
    pub async fn raise_barrier(&self, to: u64) -> bool {
        self.barrier.fetch_max(to, SeqCst);
        self.hurry();
        let mut stored = self.stored_barrier.clone();
        // The sender is gone once the lease is.
        stored.wait_for(|stored| *stored >= to).await.is_ok()
    }
}

impl Lease {
    /// Takes the lease of a process of the cluster that publishes to
    /// `output_stream`; its bucket must exist.
    ///
    /// # Errors
    /// [`NatsErrorKind::Taken`] if another process renews it, or if a process
    /// of a larger cluster still renews its own; `Unreachable` without an
    /// answer.
    pub async fn take(
        client: &Client,
        output_stream: &str,
        holder: Holder,
    ) -> Result<Lease, NatsError> {
        let lease = Lease::new(client, output_stream, holder);
        lease.refuse_larger(output_stream).await?;
        lease.taken().await
    }

    /// A lease that is not taken yet.
    fn new(client: &Client, output_stream: &str, holder: Holder) -> Lease {
        Lease {
            client: client.clone(),
            jetstream: super::publish::context(client, 1),
            stream: stream(output_stream),
            subject: subject(output_stream, &holder.name()),
            durable: Arc::new(Durable {
                ledger: OnceLock::new(),
                manifest: holder.manifest.into(),
                commits: holder.commits.into(),
                brands: Mutex::default(),
            }),
            holder,
            sequence: 0,
            renewed: watch::Sender::new(Instant::now()),
            hurry: Arc::default(),
            barrier: Arc::default(),
            stored_barrier: watch::Sender::new(0),
        }
    }

    /// Waits until the lease is free and takes it.
    async fn taken(mut self) -> Result<Lease, NatsError> {
        let begun = Instant::now();
        let mut seen: Option<(u64, Instant)> = None;
        loop {
            let (last, sequence) = self.last(&self.subject).await?;
            let since = match seen {
                Some((before, since)) if before == sequence => since,
                _ => Instant::now(),
            };
            seen = Some((sequence, since));
            let is_free = match &last {
                None => true,
                Some(last) => last.released || self.holder.has_ledger_of(last),
            };
            if is_free || since.elapsed() >= TERM {
                let sent = Instant::now();
                if self.swap(sequence).await? {
                    self.renewed.send_replace(sent);
                    return Ok(self);
                }
                continue;
            }
            if let Some(last) = last.filter(|_| begun.elapsed() > PATIENCE) {
                return Err(self.is_taken(&last));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Refuses to begin while a process runs that this cluster does not have.
    async fn refuse_larger(&self, output_stream: &str) -> Result<(), NatsError> {
        let begun = Instant::now();
        let mut process = self.holder.processes;
        let mut seen = None;
        loop {
            let subject = subject(output_stream, &self.holder.name_of(process));
            let (Some(last), sequence) = self.last(&subject).await? else {
                return Ok(());
            };
            let since = match seen {
                Some((of, before, since)) if (of, before) == (process, sequence) => since,
                _ => Instant::now(),
            };
            seen = Some((process, sequence, since));
            if last.released || since.elapsed() >= TERM {
                process += 1;
                continue;
            }
            if begun.elapsed() > PATIENCE {
                let processes = self.holder.processes;
                return Err(NatsError::new(
                    NatsErrorKind::Taken,
                    format!(
                        "process {process} of a cluster of {} still runs on {} and publishes to the same output stream, while \
                         this cluster has {processes}. Stop all processes before their number changes",
                        last.processes, last.host
                    ),
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// This process as the holder.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// What the publisher asks before it sends.
    pub fn fence(&self) -> Fence {
        Fence {
            renewed: self.renewed.subscribe(),
            hurry: self.hurry.clone(),
            barrier: self.barrier.clone(),
            stored_barrier: self.stored_barrier.subscribe(),
            durable: self.durable.clone(),
        }
    }

    /// Renews the lease until `stop`, and then gives it back, so that the next
    /// process need not wait.
    ///
    /// # Errors
    /// [`NatsErrorKind::Taken`] if it is lost; a broker that does not answer at
    /// the end.
    pub async fn keep_until(mut self, stop: impl Future<Output = ()>) -> Result<(), NatsError> {
        tokio::select! {
            lost = self.keep() => return Err(lost),
            () = stop => {}
        }
        self.holder.released = true;
        self.swap(self.sequence).await.map(drop)
    }

    /// Renews the lease again and again; returns only when it is lost.
    async fn keep(&mut self) -> NatsError {
        loop {
            let wait = match self.renewed.borrow().elapsed() < RENEWAL {
                true => RENEWAL,
                false => PAUSE,
            };
            let _ = tokio::time::timeout(wait, self.hurry.notified()).await;
            match self.renew().await {
                Ok(()) => {}
                Err(error) if error.kind() == NatsErrorKind::Taken => return error,
                // Nobody else can take what the broker does not give.
                Err(error) => tracing::warn!(%error, "retrying to renew the lease of this process"),
            }
        }
    }

    /// Renews the lease once.
    async fn renew(&mut self) -> Result<(), NatsError> {
        let sent = Instant::now();
        if self.swap(self.sequence).await? {
            self.renewed.send_replace(sent);
            return Ok(());
        }
        let (last, sequence) = self.last(&self.subject).await?;
        match last {
            // The answer to an earlier renewal was lost.
            Some(last) if self.holder.is_same(&last) => self.sequence = sequence,
            Some(last) => return Err(self.is_taken(&last)),
            // The bucket was emptied or replaced.
            None => self.sequence = sequence,
        }
        let sent = Instant::now();
        match self.swap(self.sequence).await? {
            true => {
                self.renewed.send_replace(sent);
                Ok(())
            }
            false => Err(self.unsure()),
        }
    }

    /// Writes the lease if its sequence is still `expected`. Returns whether it
    /// was.
    async fn swap(&mut self, expected: u64) -> Result<bool, NatsError> {
        self.holder.barrier = self.barrier.load(SeqCst);
        if let Some(ledger) = self.durable.ledger.get() {
            self.holder.ledger = data_encoding::HEXLOWER.encode(ledger);
        }
        self.holder.manifest = self.durable.manifest.load(SeqCst);
        self.holder.commits = self.durable.commits.load(SeqCst);
        let brands = self.durable.brands.lock();
        if let Some(brands) = &*brands.unwrap_or_else(PoisonError::into_inner) {
            self.holder.brands.clone_from(brands);
        }
        let text = serde_json::to_string(&self.holder).unwrap_or_default();
        let message = PublishMessage::build()
            .payload(text.into())
            .expected_last_subject_sequence(expected);
        let sent = self
            .jetstream
            .send_publish(self.subject.clone(), message)
            .await;
        let stored = match sent {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(ack) => {
                self.sequence = ack.sequence;
                self.stored_barrier.send_replace(self.holder.barrier);
                Ok(true)
            }
            Err(error) if super::publish::is_wrong_sequence(&error) => Ok(false),
            Err(error) => {
                let kind = match error.kind() {
                    PublishErrorKind::StreamNotFound => NatsErrorKind::Stream,
                    _ => NatsErrorKind::Unreachable,
                };
                let what = format!("writing the lease {}", self.subject);
                Err(NatsError::caused(kind, what, error))
            }
        }
    }

    /// The last message of a lease and its sequence, 0 without one.
    async fn last(&self, subject: &str) -> Result<(Option<Holder>, u64), NatsError> {
        last(&self.client, &self.stream, subject).await
    }

    /// The error of a lease that another process holds.
    fn is_taken(&self, by: &Holder) -> NatsError {
        let process = self.holder.name();
        NatsError::new(
            NatsErrorKind::Taken,
            format!(
                "another worker is process {process} of this output stream: it runs on {} since {}, with the ledger {} and version \
                 {}. Stop it, or give each its own workers.process or streams",
                by.host, by.since, by.ledger, by.version
            ),
        )
    }

    /// The error of a lease that changes while it is read.
    fn unsure(&self) -> NatsError {
        NatsError::new(
            NatsErrorKind::Unreachable,
            format!("the lease {} changes while it is renewed", self.subject),
        )
    }
}

/// The last holder of a lease and the sequence of its message, 0 without one.
async fn last(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<(Option<Holder>, u64), NatsError> {
    let (message, sequence) = last_message(client, stream, subject).await?;
    let holder = message.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok((holder, sequence))
}

/// The last message of a key of the bucket and its sequence, 0 without one.
///
/// # Errors
///
/// A broker that does not answer.
pub(super) async fn last_message(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<(Option<Bytes>, u64), NatsError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        let what = format!("reading {subject}");
        NatsError::caused(NatsErrorKind::Unreachable, what, error)
    };
    let found = jetstream::new(client.clone())
        .get_stream_no_info(stream)
        .await
        .map_err(|error| failed(error.into()))?
        .get_last_raw_message_by_subject(subject)
        .await;
    match found {
        Ok(message) => Ok((Some(message.payload), message.sequence)),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok((None, 0)),
            LastRawMessageErrorKind::JetStream(answer)
                if answer.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
            {
                Ok((None, 0))
            }
            _ => Err(failed(error.into())),
        },
    }
}
