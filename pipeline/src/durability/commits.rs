//! Commits: accepted records become durable before their messages are
//! acknowledged (invariant I5).
//!
//! The feed marks every epoch that contains messages with the input position
//! after them, and every thread reports the write batch of its share. An epoch
//! is complete with its mark and the batches of all threads. Complete epochs
//! are committed in order, as many at once as are ready:
//!
//! 1. the broker stores their dead letters,
//! 2. one commit of the ledger stores their batches and the position of the
//!    last one,
//! 3. the durable position advances, and the feed acknowledges the messages.
//!
//! If the process is killed in between, the messages after the last commit are
//! read again. Commands that depend on earlier epochs (destroying salts,
//! dropping pings, erasing expired records) wait until every epoch that was
//! open when they arrived is committed.
//!
//! A full disk suspends commits until there is space again. A failed `fsync`
//! ends the process, because the content of the disk is then unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tributary_config::model::Config;
use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::nats::{Client, Fence, OutgoingMessage, Publisher};
use tributary_ledger::{ErasureFilter, Extent, FileHeads, Ledger, Position, Watermark, WriteBatch};
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Day};
use tributary_operators::upsert::ExpiredRecord;

use crate::durability::command::{DurablePosition, Erasure, KeyRotation, LedgerCommand, Progress};
use crate::durability::compaction::Compaction;
use crate::durability::standbys::Standbys;
use crate::otlp::spans::Stage;
use crate::report::tally::Tally;
use crate::report::telemetry::Telemetry;

mod compact;
mod dead_letters;
mod ledger_task;

/// Delay before an operation is retried that failed for lack of disk space or
/// because the broker refused it; also the time after which a slow broker is
/// reported in `/readyz`.
const PAUSE: Duration = Duration::from_secs(1);

/// Dead letters in flight to the broker.
const WINDOW: usize = 256;

/// An epoch that is not complete.
#[derive(Default)]
struct Open {
    /// Input position after the messages of the epoch; set by the feed's mark.
    position: Option<Position>,
    /// Number of threads that have reported.
    parts: usize,
    /// Write batches of these threads.
    pages: Vec<WriteBatch>,
    /// Their dead letters.
    dead: Vec<DeadLetter>,
    /// Their rights requests.
    requests: Vec<OutgoingMessage>,
}

/// The task that owns the ledger: it commits complete epochs and executes
/// [`LedgerCommand`]s.
pub struct Commits {
    /// The ledger; `None` while a blocking thread works on it.
    ledger: Option<Ledger>,
    /// Publishes dead letters.
    publisher: Publisher,
    /// Number of worker threads of this process, each of which reports every epoch.
    threads: usize,
    /// The input stream, if MAC addresses in clear are kept no longer than the
    /// stream of pings keeps them: dead letters have none then, and messages of the
    /// input stream that have some are deleted.
    without_addresses: Option<(Client, String)>,
    /// Sequences of such messages that the next commit makes durable.
    with_addresses: Vec<u64>,
    /// The running deletions of such messages.
    deletions: JoinSet<()>,
    /// The standbys, which may still have to read these messages.
    standbys: Standbys,
    /// Whether other processes drop what this one has settled.
    is_cluster: bool,
    /// Receives how far the active segment of the ledger is durable.
    extent: watch::Sender<Extent>,
    /// The lease, whose renewals state how far the ledger is durable.
    lease: Option<Fence>,
    telemetry: Telemetry,
    /// Receives the position up to which everything is durable.
    watermark_tx: watch::Sender<DurablePosition>,
    /// Incomplete epochs in order.
    open: BTreeMap<Epoch, Open>,
    /// Who waits until no standby can take over without the epoch and all before it.
    secure: Vec<(Epoch, std::sync::mpsc::Sender<()>)>,
    /// Salts to destroy (all days of the brand before the given one) once the epoch
    /// and all before it are committed.
    forget: Vec<(Epoch, BrandId, Day)>,
    /// Destructions that were requested before: every thread requests each.
    forgotten: BTreeSet<(BrandId, Day)>,
    /// Totals of settled salt days for the next commit, and the channels that
    /// confirm it.
    settle: Vec<(WriteBatch, std::sync::mpsc::Sender<()>)>,
    /// File heads to record in the manifest, and who waits for that.
    names: Vec<(FileHeads, oneshot::Sender<Watermark>)>,
    /// Settled days whose pings a compaction drops, once the epoch and all before
    /// it are committed.
    settled: Vec<(Epoch, BrandId, Day)>,
    /// For each brand, the first salt day whose sightings stay, each with the newest
    /// epoch that must be committed before.
    sightings: Vec<(Epoch, BrandId, Day)>,
    /// Retractions of expired records, and erasures that arrived after them, in
    /// order. They wait until the epoch and all before it are committed.
    expired: Vec<(Epoch, WriteBatch, Erasure)>,
    /// The rewrite that runs in the background, and the requests for the next one.
    compaction: Compaction,
    /// Number of commit rounds of this process; every `ASK`-th considers a
    /// compaction.
    commits: u64,
}

impl Commits {
    /// Creates the task for a ledger that the worker threads write to.
    /// `watermark_tx` receives the durable position after each commit; `standbys`
    /// copy the ledger.
    ///
    /// Drop entries in the ledger mean that the previous process ended before it
    /// had erased what they drop; the first compaction does so.
    pub fn new(
        mut ledger: Ledger,
        client: &Client,
        config: &Config,
        telemetry: Telemetry,
        tally: Arc<Tally>,
        watermark_tx: watch::Sender<DurablePosition>,
        standbys: Standbys,
    ) -> Commits {
        // Of what a crash had left at the opening.
        telemetry.not_overwritten(ledger.take_not_overwritten());
        let mut compaction = Compaction::new(tally, telemetry.traces.clone());
        let stats = ledger.stats();
        telemetry.metrics.ledger(stats.entries.total(), stats.bytes);
        // The last run ended before its dropped entries were erased.
        if stats.entries.drop > 0 {
            compaction.erase(leave_out_dropped());
        }
        Commits {
            extent: watch::Sender::new(ledger.extent()),
            lease: None,
            standbys,
            ledger: Some(ledger),
            publisher: Publisher::new(client, WINDOW),
            threads: config.workers.threads.max(1),
            is_cluster: config.workers.hosts.len() > 1,
            without_addresses: config
                .nats
                .pings_stream
                .as_ref()
                .map(|_| (client.clone(), config.nats.input_stream.clone())),
            with_addresses: Vec::new(),
            deletions: JoinSet::new(),
            telemetry,
            watermark_tx,
            open: BTreeMap::new(),
            secure: Vec::new(),
            forget: Vec::new(),
            forgotten: BTreeSet::new(),
            settle: Vec::new(),
            names: Vec::new(),
            settled: Vec::new(),
            sightings: Vec::new(),
            expired: Vec::new(),
            compaction,
            commits: 0,
        }
    }

    /// Has the renewals of a lease state how far the ledger is durable.
    pub fn stated_by(mut self, lease: Fence) -> Commits {
        if let Some(ledger) = &self.ledger {
            Commits::state(&lease, ledger);
        }
        self.lease = Some(lease);
        self
    }

    /// How far the active segment of the ledger is durable, from now on.
    pub fn extent(&self) -> watch::Receiver<Extent> {
        self.extent.subscribe()
    }

    /// Executes commands until their channel is closed and everything is durable,
    /// then closes the ledger.
    ///
    /// All commands that are ready are applied before a commit, so that one `fsync`
    /// covers as many epochs as possible.
    ///
    /// # Errors
    ///
    /// Any error of the ledger other than a full disk, and a broker that refuses
    /// dead letters for good.
    pub async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<LedgerCommand>,
    ) -> anyhow::Result<()> {
        let mut batch = Vec::new();
        loop {
            let more = tokio::select! {
                biased;
                count = commands.recv_many(&mut batch, usize::MAX) => count > 0,
                () = self.compaction.written() => true,
            };
            while self.deletions.try_join_next().is_some() {}
            for command in batch.drain(..) {
                self.apply(command);
            }
            self.commit().await?;
            if !more {
                break;
            }
        }
        if let Some(ledger) = self.ledger.take() {
            tokio::task::spawn_blocking(move || ledger.close()).await??;
        }
        // A broker that is away does not hold up the end: the stream's age deletes what is left.
        if timeout(5 * PAUSE, self.deletions.join_all()).await.is_err() {
            tracing::warn!(
                "messages with MAC addresses in clear may stay in the input stream until their age"
            );
        }
        Ok(())
    }

    /// Records a command. Nothing touches the disk before the next commit.
    fn apply(&mut self, command: LedgerCommand) {
        match command {
            LedgerCommand::Mark(epoch, position) => {
                self.open.entry(epoch).or_default().position = Some(position);
            }
            LedgerCommand::Part(epoch, page, dead, requests) => {
                let open = self.open.entry(epoch).or_default();
                open.parts += 1;
                open.pages.push(page);
                open.dead.extend(dead);
                open.requests.extend(requests);
            }
            LedgerCommand::Secure(done) => self.secure.push((self.last(), done)),
            LedgerCommand::DestroySalts(brand, before) => {
                if self.forgotten.insert((brand, before)) {
                    self.forget.push((self.last(), brand, before));
                }
            }
            LedgerCommand::CommitSettledDays(page, done) => self.settle.push((page, done)),
            LedgerCommand::DropPings(brand, before) => {
                self.settled.push((self.last(), brand, before))
            }
            LedgerCommand::DropSightings(brand, before) => {
                self.sightings.push((self.last(), brand, before))
            }
            LedgerCommand::NameHeads(heads, done) => self.names.push((heads, done)),
            LedgerCommand::CommitExpired(records) => {
                let mut page = WriteBatch::default();
                for ExpiredRecord { brand, key, behind } in records {
                    let arrival = behind;
                    page.push(brand, &Event::Drop { key, arrival });
                }
                self.expired.push((self.last(), page, leave_out_dropped()));
            }
            LedgerCommand::Erase(erasure) if !self.expired.is_empty() => {
                self.expired
                    .push((self.last(), WriteBatch::default(), erasure));
            }
            LedgerCommand::Erase(erasure) => self.compaction.erase(erasure),
            LedgerCommand::AddBrands(keyring, done) => {
                let ledger = self
                    .ledger
                    .as_mut()
                    .ok_or("the ledger is closed".to_owned());
                let added = ledger.and_then(|ledger| {
                    let added = ledger.add_brands(keyring);
                    added.map_err(|error| error.to_string())
                });
                // Whoever waits may have ended.
                let _ = done.send(added);
            }
            LedgerCommand::RotateKeys(rotation) if rotation.begin => {
                self.compaction.rotate(rotation)
            }
            LedgerCommand::RotateKeys(KeyRotation {
                keyring, progress, ..
            }) => {
                let verdict = self
                    .ledger
                    .as_ref()
                    .map(|ledger| ledger.check_successor(&keyring));
                progress.send_replace(match verdict {
                    Some(Err(error)) => Progress::Refused {
                        why: error.to_string(),
                    },
                    _ => Progress::Possible,
                });
            }
        }
    }

    /// The newest epoch that is open; a command that arrives now must wait for all
    /// epochs up to it.
    fn last(&self) -> Epoch {
        self.open.last_key_value().map_or(0, |(epoch, _)| *epoch)
    }

    /// Commits the complete epochs at the front, then executes the commands that
    /// are due.
    ///
    /// # Errors
    ///
    /// Any error of the ledger other than a full disk, which is retried.
    async fn commit(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let (mut pages, mut marks, mut last) = (Vec::new(), 0, None);
        let mut traced = Vec::new();
        while let Some(entry) = self.open.first_entry() {
            let open = entry.get();
            let Some(position) = open.position.filter(|_| open.parts == self.threads) else {
                break;
            };
            traced.extend(Some(*entry.key()).filter(|epoch| self.telemetry.traces.has(*epoch)));
            let open = entry.remove();
            pages.extend(open.pages);
            self.publish_beside(open.dead, open.requests).await?;
            (marks, last) = (marks + 1, Some(position));
        }
        if let Some(position) = last {
            self.flush().await?;
            self.write(pages, position).await?;
            let times = (begun, Instant::now());
            for epoch in traced {
                let traces = &self.telemetry.traces;
                traces.stage(epoch, Stage::Commit, times, &[("epochs", marks)]);
            }
            self.watermark_tx.send_modify(|durable| {
                durable.marks += marks;
                durable.sequence = position.sequence;
                durable.pings = position.pings.map_or(0, |pings| pings.sequence);
                durable.epoch = position.epoch;
            });
            self.delete_addresses();
        }
        self.settle().await?;
        for (heads, done) in std::mem::take(&mut self.names) {
            let mark = self
                .retry_while_full(move |ledger| ledger.record_heads(&heads))
                .await?;
            // Whoever waits may have ended.
            let _ = done.send(mark);
        }
        let first = self
            .open
            .first_key_value()
            .map_or(Epoch::MAX, |(epoch, _)| *epoch);
        let due = self.secure.extract_if(.., |(after, ..)| *after < first);
        let due = due.map(|(_, done)| done).collect();
        signal_when_secure(self.standbys.clone(), due);
        let due = self.forget.extract_if(.., |(after, ..)| *after < first);
        for (_, brand, before) in due.collect::<Vec<_>>() {
            self.retry_while_full(move |ledger| ledger.destroy_salts(brand, before))
                .await?;
        }
        self.expire(first).await?;
        let due = self.settled.extract_if(.., |(after, ..)| *after < first);
        for (_, brand, before) in due {
            self.compaction.drop_pings(brand, before);
        }
        let due = self.sightings.extract_if(.., |(after, ..)| *after < first);
        for (_, brand, before) in due {
            self.compaction.drop_sightings(brand, before);
        }
        self.compact().await
    }

    /// Makes the totals of settled salt days durable, at the position of the last
    /// commit. Their pings may have arrived after that position; when these are
    /// read again, they are ignored because their day is closed. Whoever waits is told
    /// once no standby can take over without them.
    ///
    /// # Errors
    ///
    /// Any error of the ledger other than a full disk, which is retried.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let position = self.ledger.as_ref().and_then(Ledger::position);
        let Some(position) = position.filter(|_| !self.settle.is_empty()) else {
            return Ok(());
        };
        let (pages, waiting): (Vec<_>, Vec<_>) = self.settle.drain(..).unzip();
        self.write(pages, position).await?;
        let standbys = match self.is_cluster {
            true => self.standbys.clone(),
            // An older copy has the pings of these days still.
            false => Standbys::none(),
        };
        // The other processes of a cluster drop their pings of these days now.
        signal_when_secure(standbys, waiting);
        Ok(())
    }

    /// Makes retractions durable and requests the erasure of the retracted entries,
    /// for commands that every epoch before `first` precedes.
    ///
    /// The retractions are stored at the position of the last commit. A record that
    /// is read again after that position arrived before the retraction, or is new.
    ///
    /// # Errors
    ///
    /// Any error of the ledger other than a full disk, which is retried.
    async fn expire(&mut self, first: Epoch) -> anyhow::Result<()> {
        let Some(position) = self.ledger.as_ref().and_then(Ledger::position) else {
            return Ok(());
        };
        let due = self.expired.extract_if(.., |(after, ..)| *after < first);
        let (pages, erasures): (Vec<_>, Vec<_>) =
            due.map(|(_, page, erasure)| (page, erasure)).unzip();
        if !pages.is_empty() {
            self.write(pages, position).await?;
        }
        for erasure in erasures {
            self.compaction.erase(erasure);
        }
        Ok(())
    }
}

/// Signals to those who wait, once no standby can take over without what is committed.
fn signal_when_secure(standbys: Standbys, waiting: Vec<std::sync::mpsc::Sender<()>>) {
    if waiting.is_empty() {
        return;
    }
    tokio::spawn(async move {
        standbys.secure().await;
        for done in waiting {
            // Whoever waits may have ended.
            let _ = done.send(());
        }
    });
}

/// A request to erase all entries of dropped records. Nobody waits for its
/// completion.
fn leave_out_dropped() -> Erasure {
    let forget = ErasureFilter {
        dropped: true,
        ..ErasureFilter::default()
    };
    let (done, _) = oneshot::channel();
    Erasure { forget, done }
}
