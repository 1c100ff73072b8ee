//! Commits: accepted records become durable before their messages are acknowledged (invariant I5).
//!
//! The feed marks every epoch that took messages with the position of the input behind it, and every thread reports the page of
//! its share. An epoch with its mark and all its pages is complete. Complete epochs are committed in order, as many at once as
//! are there: first the broker takes their dead letters, then one commit of the ledger takes their pages and the position of
//! the last one, then the watermark moves and the feed acknowledges. If the process is killed in between, the messages behind
//! the last commit are read again.
//!
//! A full disk holds everything up until there is room. A disk that fails ends the process, because nobody knows then what it
//! holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tokio::sync::{mpsc, oneshot, watch};
use tributary_connectors::dead_letter::DeadLetter;
use tributary_connectors::nats::{Client, OutgoingMessage, Publisher};
use tributary_ledger::{
    ErasureFilter, FileHeads, Kind, Ledger, LedgerError, Position, Watermark, WriteBatch,
};
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::record::{BrandId, Day};
use tributary_operators::upsert::ExpiredRecord;

use crate::durability::command::{DurablePosition, Erasure, KeyRotation, LedgerCommand, Progress};
use crate::durability::compaction::{Compaction, install};
use crate::report::tally::Tally;
use crate::report::telemetry::Telemetry;

/// How long a commit that found no room waits before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// After how many commits it is asked whether the ledger should be compacted.
const ASK: u64 = 64;

/// Dead letters in flight to the broker.
const WINDOW: usize = 256;

/// What `/readyz` says while dead letters are not taken.
const UNTAKEN: &str =
    "the ledger waits for the broker to take dead letters; until then nothing more is acknowledged";

#[derive(Default)]
struct Open {
    position: Option<Position>,
    parts: usize,
    pages: Vec<WriteBatch>,
    dead: Vec<DeadLetter>,
}

/// The task that owns the ledger: it commits marks and pages, and executes commands.
pub struct Commits {
    ledger: Option<Ledger>,
    publisher: Publisher,
    threads: usize,
    telemetry: Telemetry,
    watermark_tx: watch::Sender<DurablePosition>,
    open: BTreeMap<Epoch, Open>,
    /// Days to forget once everything that is open now is committed.
    forget: Vec<(Epoch, BrandId, Day)>,
    forgotten: BTreeSet<(BrandId, Day)>,
    /// Sums of salt days for the next commit.
    settle: Vec<(WriteBatch, std::sync::mpsc::Sender<()>)>,
    /// Heads of files beside the ledger, and who waits until they are named.
    names: Vec<(FileHeads, oneshot::Sender<Watermark>)>,
    /// Days whose pings leave once everything that is open now is committed.
    settled: Vec<(Epoch, BrandId, Day)>,
    /// Retractions, and erasures behind them, that wait until everything that was open when they came is committed.
    expired: Vec<(Epoch, WriteBatch, Erasure)>,
    compaction: Compaction,
    commits: u64,
}

impl Commits {
    /// Commits to a ledger what `threads` threads report, and reports how far to `watermark_tx`.
    pub fn new(
        ledger: Ledger,
        client: &Client,
        threads: usize,
        telemetry: Telemetry,
        tally: Arc<Tally>,
        watermark_tx: watch::Sender<DurablePosition>,
    ) -> Commits {
        let mut compaction = Compaction::new(tally);
        // The last run ended before its dropped entries were erased.
        if ledger.stats().entries.drop > 0 {
            compaction.erase(leave_out_dropped());
        }
        Commits {
            ledger: Some(ledger),
            publisher: Publisher::new(client, WINDOW),
            threads,
            telemetry,
            watermark_tx,
            open: BTreeMap::new(),
            forget: Vec::new(),
            forgotten: BTreeSet::new(),
            settle: Vec::new(),
            names: Vec::new(),
            settled: Vec::new(),
            expired: Vec::new(),
            compaction,
            commits: 0,
        }
    }

    /// Commits until the channel ends and everything is durable, then closes the ledger.
    ///
    /// # Errors
    /// Where the ledger cannot go on.
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
        Ok(())
    }

    fn apply(&mut self, command: LedgerCommand) {
        match command {
            LedgerCommand::Mark(epoch, position) => {
                self.open.entry(epoch).or_default().position = Some(position);
            }
            LedgerCommand::Part(epoch, page, dead) => {
                let open = self.open.entry(epoch).or_default();
                open.parts += 1;
                open.pages.push(page);
                open.dead.extend(dead);
            }
            LedgerCommand::DestroySalts(brand, before) => {
                if self.forgotten.insert((brand, before)) {
                    self.forget.push((self.last(), brand, before));
                }
            }
            LedgerCommand::CommitSettledDays(page, done) => self.settle.push((page, done)),
            LedgerCommand::DropPings(brand, before) => {
                self.settled.push((self.last(), brand, before))
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

    /// The last epoch that is open.
    fn last(&self) -> Epoch {
        self.open.last_key_value().map_or(0, |(epoch, _)| *epoch)
    }

    /// Commits the epochs that are whole.
    async fn commit(&mut self) -> anyhow::Result<()> {
        let (mut pages, mut marks, mut last) = (Vec::new(), 0, None);
        while let Some(entry) = self.open.first_entry() {
            let open = entry.get();
            let Some(position) = open.position.filter(|_| open.parts == self.threads) else {
                break;
            };
            let open = entry.remove();
            pages.extend(open.pages);
            self.publish_dead_letters(open.dead).await?;
            (marks, last) = (marks + 1, Some(position));
        }
        if let Some(position) = last {
            self.flush().await?;
            self.write(pages, position).await?;
            self.watermark_tx.send_modify(|durable| {
                durable.marks += marks;
                durable.sequence = position.sequence;
                durable.epoch = position.epoch;
            });
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
        self.compact().await
    }

    /// Makes the sums of days that have settled durable, at the position of the last commit: what they sum up may be
    /// behind it, and is passed over when it is read again.
    async fn settle(&mut self) -> anyhow::Result<()> {
        let position = self.ledger.as_ref().and_then(Ledger::position);
        let Some(position) = position.filter(|_| !self.settle.is_empty()) else {
            return Ok(());
        };
        let (pages, waiting): (Vec<_>, Vec<_>) = self.settle.drain(..).unzip();
        self.write(pages, position).await?;
        for done in waiting {
            // Whoever waits may have ended.
            let _ = done.send(());
        }
        Ok(())
    }

    /// Makes it durable that records were retracted, where everything before the first epoch that is open may have put
    /// them is, and lets their entries leave. What is kept of it stands at the position of the last commit: what is read
    /// again behind it came before the retraction, or is new.
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

    /// Goes on with a compaction, or begins one where it is due.
    async fn compact(&mut self) -> anyhow::Result<()> {
        if let Some(done) = self.compaction.finished().await? {
            let installed = self.with_ledger(move |ledger| install(ledger, done)).await;
            if let Some(installed) = unless_full(installed)? {
                self.compaction.installed(installed);
            } else {
                self.compaction.refused();
                tokio::time::sleep(PAUSE).await;
            }
        }
        for rotation in self.compaction.rotations() {
            self.rotate(rotation).await?;
        }
        if self.compaction.is_wanted() {
            let forget = self.compaction.forget();
            let rewrite = self
                .with_ledger(move |ledger| Ok(ledger.erase(forget)?))
                .await;
            match unless_full(rewrite)? {
                Some(rewrite) => self.compaction.begin(rewrite),
                None => tokio::time::sleep(PAUSE).await,
            }
        }
        self.commits += 1;
        let entries = self
            .ledger
            .as_ref()
            .map_or(0, |l| l.stats().entries.total());
        if self.commits.is_multiple_of(ASK) && self.compaction.is_due(entries) {
            let rewrite = self
                .with_ledger(|ledger| Ok(ledger.rewrite(Arc::new(|_| true))?))
                .await;
            if let Some(rewrite) = unless_full(rewrite)? {
                self.compaction.begin(rewrite);
            }
        }
        Ok(())
    }

    /// Gives the ledger newer secrets. What it refuses leaves everything as it was.
    async fn rotate(&mut self, rotation: KeyRotation) -> anyhow::Result<()> {
        let keyring = rotation.keyring.clone();
        let taken = self
            .with_ledger(move |ledger| {
                ledger.rotate(keyring)?;
                Ok(ledger.entries_under_old_keys())
            })
            .await;
        match taken {
            Ok(0) => {
                let nothing = Progress::Done { moved: 0, files: 0 };
                rotation.progress.send_replace(nothing);
            }
            Ok(under_old_key) => {
                tracing::info!(
                    entries = under_old_key,
                    "switched to newer secrets; rotating older entries"
                );
                self.compaction.move_up(rotation);
            }
            Err(error) if kind(&error) == Some(Kind::Sync) => return Err(error),
            Err(error) => {
                let why = format!("{error:#}");
                tracing::warn!(error = why, "cannot rotate the ledger to newer secrets");
                rotation.progress.send_replace(Progress::Refused { why });
            }
        }
        Ok(())
    }

    /// Sends dead letters to the broker.
    async fn publish_dead_letters(&mut self, dead: Vec<DeadLetter>) -> anyhow::Result<()> {
        let max_payload = self.publisher.max_payload();
        for letter in dead {
            let letter = OutgoingMessage::dead_letter(letter, max_payload);
            let sent = with_notice(&self.telemetry, self.publisher.send(letter)).await;
            if let Err(error) = sent {
                self.telemetry.metrics.published(0, 0, 1);
                self.telemetry
                    .health
                    .set_ledger(Some(format!("{UNTAKEN}: {error}")));
                tracing::warn!(%error, "retrying to publish a dead letter");
            }
        }
        Ok(())
    }

    /// Waits until the broker has all dead letters, however long it takes.
    async fn flush(&mut self) -> anyhow::Result<()> {
        while let Err(error) = with_notice(&self.telemetry, self.publisher.flush()).await {
            self.telemetry.metrics.published(0, 0, 1);
            if !error.is_transient() {
                return Err(error).context("the broker does not take dead letters");
            }
            self.telemetry
                .health
                .set_ledger(Some(format!("{UNTAKEN}: {error}")));
            tracing::warn!(%error, "retrying to publish dead letters");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn write(&mut self, pages: Vec<WriteBatch>, position: Position) -> anyhow::Result<()> {
        let begun = Instant::now();
        self.with_ledger(move |ledger| {
            for page in pages {
                ledger.append(page);
            }
            Ok(())
        })
        .await?;
        self.retry_while_full(move |ledger| ledger.commit(position))
            .await?;
        if let Some(ledger) = &self.ledger {
            let stats = ledger.stats();
            self.telemetry
                .metrics
                .committed(begun.elapsed(), stats.entries.total(), stats.bytes);
        }
        Ok(())
    }

    /// Does something with the ledger, again and again while there is no room for it.
    async fn retry_while_full<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Ledger) -> Result<T, LedgerError> + Clone + Send + 'static,
    ) -> anyhow::Result<T> {
        loop {
            let work = work.clone();
            let error = match self.with_ledger(move |ledger| Ok(work(ledger)?)).await {
                Ok(done) => {
                    self.telemetry.health.set_ledger(None);
                    return Ok(done);
                }
                Err(error) => error,
            };
            if !is_full(&error) {
                return Err(error);
            }
            tracing::error!(
                error = format!("{error:#}"),
                "the ledger is waiting for disk space"
            );
            self.telemetry.health.set_ledger(Some(format!("{error:#}")));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Does something with the ledger where it may block.
    async fn with_ledger<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Ledger) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let mut ledger = self
            .ledger
            .take()
            .ok_or_else(|| anyhow!("the ledger thread has stopped"))?;
        let (ledger, done) = tokio::task::spawn_blocking(move || {
            let done = work(&mut ledger);
            (ledger, done)
        })
        .await?;
        self.ledger = Some(ledger);
        done.context("the ledger")
    }
}

/// That what was dropped leaves the ledger, for which nobody waits: who does asks for an erasure behind it.
fn leave_out_dropped() -> Erasure {
    let forget = ErasureFilter {
        dropped: true,
        ..ErasureFilter::default()
    };
    let (done, _) = oneshot::channel();
    Erasure { forget, done }
}

/// Waits for the broker to take dead letters, and says so where that takes long.
async fn with_notice<T>(telemetry: &Telemetry, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    if let Ok(done) = tokio::time::timeout(PAUSE, &mut work).await {
        return done;
    }
    telemetry.health.set_ledger(Some(UNTAKEN.to_owned()));
    work.await
}

fn kind(error: &anyhow::Error) -> Option<Kind> {
    error.downcast_ref::<LedgerError>().map(LedgerError::kind)
}

fn is_full(error: &anyhow::Error) -> bool {
    kind(error) == Some(Kind::Full)
}

/// A compaction that finds no room is left for later.
fn unless_full<T>(compacted: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match compacted {
        Err(error) if is_full(&error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                "not enough disk space to compact the ledger; retrying later"
            );
            Ok(None)
        }
        compacted => compacted.map(Some),
    }
}
