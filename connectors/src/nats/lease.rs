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
//! sequence of the value that it replaces ([`super::LatestPublisher`]). A client
//! sends what it was given while it was disconnected, so that this may be long
//! after: whoever takes the lease over publishes all cells again.
//!
//! A lease whose holder had the same ledger is taken over at once: the ledger
//! is locked by one process, so that the former holder has ended. Where a
//! standby has a copy of the ledger, it must be the same copy. A standby looks
//! at the lease itself ([`current`]) and decides when it may take it ([`claim`]).
//!
//! A bucket that was emptied or deleted takes nothing from anybody: the holder creates
//! it if it is missing and enters itself again. A new bucket counts its messages from a
//! random number ([`super::ensure_leases`]), so that a holder which wakes with a
//! sequence of the old one does not mistake a message of the new one for its own.
//!
//! Each renewal states how far the ledger of the holder is durable
//! ([`Fence::set_durable`]), so that a start recognizes an older copy of it.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::context::{Context, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tributary_config::model::Nats;

use super::error::{NatsError, NatsErrorKind};
use super::holder::Holder;
use super::lease_bucket::{current, last, stream, subject};
use super::streams::ensure_leases;

/// How long a lease lasts without a renewal.
pub const TERM: Duration = Duration::from_secs(10);

/// The interval of renewals.
pub const RENEWAL: Duration = Duration::from_secs(3);

/// The pause before a renewal that failed is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// The interval at which the log repeats why a renewal fails.
const SAY: Duration = Duration::from_secs(10);

/// How long a candidate waits for a holder that renews its lease before it
/// reports that the lease is taken.
const PATIENCE: Duration = Duration::from_secs(15);

/// The interval at which a candidate looks at the lease.
const LOOK: Duration = Duration::from_millis(250);

/// Takes a lease whose last renewal, that of `last`, has the sequence `expected`; `None` if
/// another process has renewed or taken it meanwhile. The caller knows that the
/// holder has ended, or that a [`TERM`] has passed since that renewal.
///
/// # Errors
/// As [`Lease::take`].
pub async fn claim(
    client: &Client,
    nats: &Nats,
    holder: Holder,
    last: Option<&Holder>,
    expected: u64,
) -> Result<Option<Lease>, NatsError> {
    let mut lease = Lease::new(client, nats, holder);
    lease.refuse_larger().await?;
    lease.replaces_another = lease.replaces(last);
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
    nats: &Nats,
    process: &str,
    copy: &str,
) -> Result<(), NatsError> {
    loop {
        let (last, sequence) = current(client, &nats.output_stream, process).await?;
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
        let mut lease = Lease::new(client, nats, holder);
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
    nats: Nats,
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
    /// How many times the bucket had lost the lease.
    losses: watch::Sender<u64>,
    replaces_another: bool,
}

/// How far the ledger of a holder is durable.
#[derive(Debug, Default)]
struct Durable {
    /// Its ID, once there is one: that of a holder which began without.
    ledger: OnceLock<[u8; 16]>,
    manifest: AtomicU64,
    commits: AtomicU64,
    /// The brands that the holder serves, and the digest of its settings, once they are
    /// others than when it took the lease.
    configured: Mutex<Option<(Vec<String>, String)>>,
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
    /// How many times the bucket had lost the lease.
    losses: watch::Receiver<u64>,
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

    /// Has the lease renewed now, and state these brands and this digest of settings from
    /// now on. Returns whether the broker has stored them: not if the lease is lost.
    pub async fn set_configured(&self, brands: Vec<String>, settings: String) -> bool {
        {
            let stated = self.durable.configured.lock();
            *stated.unwrap_or_else(PoisonError::into_inner) = Some((brands, settings));
        }
        let stated = Instant::now();
        self.hurry();
        let mut renewed = self.renewed.clone();
        // The sender is gone once the lease is.
        renewed.wait_for(|sent| *sent > stated).await.is_ok()
    }

    /// Waits until this process has entered itself again in a bucket that had lost its
    /// lease, and with it whatever else was in it. Returns whether it has: not if the
    /// lease has ended.
    pub async fn entered_again(&mut self) -> bool {
        self.losses.changed().await.is_ok()
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
    /// Takes the lease of a process of the cluster that publishes to the output stream
    /// of `nats`; its bucket must exist.
    ///
    /// # Errors
    /// [`NatsErrorKind::Taken`] if another process renews it, or if a process
    /// of a larger cluster still renews its own; `Unreachable` without an
    /// answer.
    pub async fn take(client: &Client, nats: &Nats, holder: Holder) -> Result<Lease, NatsError> {
        let lease = Lease::new(client, nats, holder);
        lease.refuse_larger().await?;
        lease.taken().await
    }

    /// A lease that is not taken yet.
    fn new(client: &Client, nats: &Nats, holder: Holder) -> Lease {
        Lease {
            client: client.clone(),
            jetstream: super::publish::context(client, 1),
            nats: nats.clone(),
            subject: subject(&nats.output_stream, &holder.name()),
            durable: Arc::new(Durable {
                ledger: OnceLock::new(),
                manifest: holder.manifest.into(),
                commits: holder.commits.into(),
                configured: Mutex::default(),
            }),
            holder,
            sequence: 0,
            renewed: watch::Sender::new(Instant::now()),
            hurry: Arc::default(),
            barrier: Arc::default(),
            stored_barrier: watch::Sender::new(0),
            losses: watch::Sender::new(0),
            replaces_another: false,
        }
    }

    /// Whether it was taken from another process that has not given it back, so that what that one has sent may still arrive.
    pub fn replaces_another(&self) -> bool {
        self.replaces_another
    }

    /// Whether `last` is another process that has not given the lease back.
    fn replaces(&self, last: Option<&Holder>) -> bool {
        last.is_some_and(|last| !last.released && !self.holder.has_ledger_of(last))
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
                self.replaces_another = self.replaces(last.as_ref());
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
    async fn refuse_larger(&self) -> Result<(), NatsError> {
        let output_stream = &self.nats.output_stream;
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
            losses: self.losses.subscribe(),
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
        // Why the last renewal failed, and when the log has said so.
        let mut failing: Option<(String, Instant)> = None;
        loop {
            let is_early = self.renewed.borrow().elapsed() < RENEWAL;
            match failing.is_none() && is_early {
                true => {
                    let _ = tokio::time::timeout(RENEWAL, self.hurry.notified()).await;
                }
                // Whoever is in a hurry gets no answer sooner.
                false => tokio::time::sleep(PAUSE).await,
            }
            match self.renew().await {
                Ok(()) => {
                    if failing.take().is_some() {
                        tracing::info!("renewed the lease of this process again");
                    }
                }
                Err(error) if error.kind() == NatsErrorKind::Taken => return error,
                // Nobody else can take what the broker does not give.
                Err(error) => {
                    let why = error.to_string();
                    let is_said =
                        |(last, at): &(String, Instant)| *last == why && at.elapsed() < SAY;
                    if !failing.as_ref().is_some_and(is_said) {
                        tracing::warn!(%error, "retrying to renew the lease of this process");
                        failing = Some((why, Instant::now()));
                    }
                }
            }
        }
    }

    /// Renews the lease once.
    async fn renew(&mut self) -> Result<(), NatsError> {
        let sent = Instant::now();
        match self.swap(self.sequence).await {
            Ok(true) => {
                self.renewed.send_replace(sent);
                return Ok(());
            }
            Ok(false) => {}
            // Nobody receives it: the bucket was deleted, or has no leader now.
            Err(error) if error.kind() == NatsErrorKind::Stream => {
                ensure_leases(&self.client, &self.nats).await?;
            }
            Err(error) => return Err(error),
        }
        let (last, sequence) = self.last(&self.subject).await?;
        let is_lost = last.is_none();
        match last {
            // The answer to an earlier renewal was lost.
            Some(last) if self.holder.is_same(&last) => self.sequence = sequence,
            Some(last) => return Err(self.is_taken(&last)),
            // The bucket was emptied or replaced.
            None => self.sequence = sequence,
        }
        let sent = Instant::now();
        if !self.swap(self.sequence).await? {
            return Err(self.unsure());
        }
        self.renewed.send_replace(sent);
        if is_lost {
            tracing::warn!(
                subject = self.subject,
                "the broker had lost the lease of this process, which has entered itself again"
            );
            self.losses.send_modify(|losses| *losses += 1);
        }
        Ok(())
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
        let configured = self.durable.configured.lock();
        if let Some((brands, settings)) = &*configured.unwrap_or_else(PoisonError::into_inner) {
            self.holder.brands.clone_from(brands);
            self.holder.settings.clone_from(settings);
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
        last(&self.client, &stream(&self.nats.output_stream), subject).await
    }

    /// The error of a lease that another process holds.
    fn is_taken(&self, by: &Holder) -> NatsError {
        let process = self.holder.name();
        NatsError::new(
            NatsErrorKind::Taken,
            format!(
                "another worker is process {process} of this output stream: it runs on {} since {}, with the ledger {} and version \
                 {}{}. Stop it, or give each its own workers.process or streams",
                by.host,
                by.since,
                by.ledger,
                by.version,
                by.build_in_words()
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
