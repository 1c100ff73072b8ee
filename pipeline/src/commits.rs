//! Commits: what was accepted becomes durable before anything is acknowledged (invariant I5).
//!
//! The feed marks every epoch that took messages with the position behind it; every thread reports what it made of
//! its share. An epoch with its mark and all its parts is whole. Whole epochs are committed in order, as many at once
//! as have come: first the broker has their dead letters, then their pages and the position of the last one
//! reach the ledger in one commit, then the feed hears of it and acknowledges. Whatever is killed in between, the
//! messages behind the last commit are read again.
//!
//! A full disk holds everything up until there is room; a disk that fails ends the process, because nobody knows then
//! what it holds.

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

use crate::compaction::{Compaction, install};
use crate::exchange::{Exchange, Progress};
use crate::http::State;
use crate::tally::Tally;

/// How long a commit that found no room waits before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// After how many commits it is asked whether the ledger should be compacted.
const ASK: u64 = 64;

/// Dead letters in flight to the broker.
const WINDOW: usize = 256;

/// What `/readyz` says while dead letters are not taken.
const UNTAKEN: &str =
    "the ledger waits for the broker to take dead letters; until then nothing more is acknowledged";

/// What the ledger is told.
#[derive(Debug)]
pub enum Word {
    /// An epoch goes in, behind which the input stands at a position.
    Mark(Epoch, Position),
    /// What one thread made of an epoch.
    Part(Epoch, WriteBatch, Vec<DeadLetter>),
    /// The salts of a brand's days before one are destroyed.
    Forget(BrandId, Day),
    /// Sums of salt days that have settled, to be durable in one commit, and who hears of it.
    Settle(WriteBatch, std::sync::mpsc::Sender<()>),
    /// The pings of a brand's salt days before one leave the ledger: their sums are durable.
    Settled(BrandId, Day),
    /// The heads of files beside the ledger are named in it, and then somebody hears how far it is.
    Name(FileHeads, oneshot::Sender<Watermark>),
    /// Records were retracted because they were past their retention. Once everything that is open now is committed, that
    /// is, too, and then their entries leave the ledger.
    Expired(Vec<ExpiredRecord>),
    /// Something that is committed leaves the ledger, and then somebody hears how much it was.
    Erase(Erasure),
    /// The ledger takes newer secrets, and then somebody hears how far it has come.
    Exchange(Exchange),
}

/// What leaves the ledger, and who waits for it.
pub struct Erasure {
    /// What is to be forgotten.
    pub forget: ErasureFilter,
    /// Hears of the entries that are gone, once their bytes are overwritten.
    pub done: oneshot::Sender<u64>,
}

impl std::fmt::Debug for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erasure").finish_non_exhaustive()
    }
}

/// How far everything is durable.
#[derive(Clone, Copy, Debug, Default)]
pub struct Durable {
    /// Marks that are committed, since the start.
    pub marks: u64,
    /// The sequence of the last message that is, with all before it.
    pub sequence: u64,
    /// The epoch of the last mark that is.
    pub epoch: Epoch,
}

#[derive(Default)]
struct Open {
    position: Option<Position>,
    parts: usize,
    pages: Vec<WriteBatch>,
    dead: Vec<DeadLetter>,
}

/// Takes marks and parts to the ledger.
pub struct Commits {
    ledger: Option<Ledger>,
    publisher: Publisher,
    threads: usize,
    state: Arc<State>,
    told: watch::Sender<Durable>,
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
    /// Commits to a ledger what `threads` threads report, and tells `told` how far.
    pub fn new(
        ledger: Ledger,
        client: &Client,
        threads: usize,
        state: Arc<State>,
        tally: Arc<Tally>,
        told: watch::Sender<Durable>,
    ) -> Commits {
        let mut compaction = Compaction::new(tally);
        // The process ended before what it had dropped was gone.
        if ledger.stats().entries.drop > 0 {
            compaction.erase(leave_out_dropped());
        }
        Commits {
            ledger: Some(ledger),
            publisher: Publisher::new(client, WINDOW),
            threads,
            state,
            told,
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
    pub async fn run(mut self, mut words: mpsc::UnboundedReceiver<Word>) -> anyhow::Result<()> {
        let mut batch = Vec::new();
        loop {
            let more = tokio::select! {
                biased;
                count = words.recv_many(&mut batch, usize::MAX) => count > 0,
                () = self.compaction.written() => true,
            };
            for word in batch.drain(..) {
                self.hear(word);
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

    fn hear(&mut self, word: Word) {
        match word {
            Word::Mark(epoch, position) => {
                self.open.entry(epoch).or_default().position = Some(position);
            }
            Word::Part(epoch, page, dead) => {
                let open = self.open.entry(epoch).or_default();
                open.parts += 1;
                open.pages.push(page);
                open.dead.extend(dead);
            }
            Word::Forget(brand, before) => {
                if self.forgotten.insert((brand, before)) {
                    self.forget.push((self.last(), brand, before));
                }
            }
            Word::Settle(page, done) => self.settle.push((page, done)),
            Word::Settled(brand, before) => self.settled.push((self.last(), brand, before)),
            Word::Name(heads, done) => self.names.push((heads, done)),
            Word::Expired(records) => {
                let mut page = WriteBatch::default();
                for ExpiredRecord { brand, key, behind } in records {
                    let arrival = behind;
                    page.push(brand, &Event::Drop { key, arrival });
                }
                self.expired.push((self.last(), page, leave_out_dropped()));
            }
            Word::Erase(erasure) if !self.expired.is_empty() => {
                self.expired
                    .push((self.last(), WriteBatch::default(), erasure));
            }
            Word::Erase(erasure) => self.compaction.erase(erasure),
            Word::Exchange(exchange) if exchange.begin => self.compaction.exchange(exchange),
            Word::Exchange(Exchange { keyring, told, .. }) => {
                let goes_on = self
                    .ledger
                    .as_ref()
                    .map(|ledger| ledger.check_successor(&keyring));
                told.send_replace(match goes_on {
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
            self.bury(open.dead).await?;
            (marks, last) = (marks + 1, Some(position));
        }
        if let Some(position) = last {
            self.flush().await?;
            self.write(pages, position).await?;
            self.told.send_modify(|durable| {
                durable.marks += marks;
                durable.sequence = position.sequence;
                durable.epoch = position.epoch;
            });
        }
        self.settle().await?;
        for (heads, done) in std::mem::take(&mut self.names) {
            let mark = self
                .patiently(move |ledger| ledger.record_heads(&heads))
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
            self.patiently(move |ledger| ledger.destroy_salts(brand, before))
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
        for exchange in self.compaction.exchanges() {
            self.exchange(exchange).await?;
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
    async fn exchange(&mut self, exchange: Exchange) -> anyhow::Result<()> {
        let keyring = exchange.keyring.clone();
        let taken = self
            .with_ledger(move |ledger| {
                ledger.rotate(keyring)?;
                Ok(ledger.entries_under_old_keys())
            })
            .await;
        match taken {
            Ok(0) => {
                let nothing = Progress::Done { moved: 0, files: 0 };
                exchange.told.send_replace(nothing);
            }
            Ok(behind) => {
                tracing::info!(
                    entries = behind,
                    "switched to newer secrets; rotating older entries"
                );
                self.compaction.move_up(exchange);
            }
            Err(error) if kind(&error) == Some(Kind::Sync) => return Err(error),
            Err(error) => {
                let why = format!("{error:#}");
                tracing::warn!(error = why, "cannot rotate the ledger to newer secrets");
                exchange.told.send_replace(Progress::Refused { why });
            }
        }
        Ok(())
    }

    /// Sends dead letters to the broker.
    async fn bury(&mut self, dead: Vec<DeadLetter>) -> anyhow::Result<()> {
        let max_payload = self.publisher.max_payload();
        for letter in dead {
            let letter = OutgoingMessage::dead_letter(letter, max_payload);
            let sent = telling(&self.state, self.publisher.send(letter)).await;
            if let Err(error) = sent {
                self.state.metrics.published(0, 0, 1);
                self.state
                    .health
                    .set_ledger(Some(format!("{UNTAKEN}: {error}")));
                tracing::warn!(%error, "retrying to publish a dead letter");
            }
        }
        Ok(())
    }

    /// Waits until the broker has all dead letters, however long it takes.
    async fn flush(&mut self) -> anyhow::Result<()> {
        while let Err(error) = telling(&self.state, self.publisher.flush()).await {
            self.state.metrics.published(0, 0, 1);
            if !error.is_transient() {
                return Err(error).context("the broker does not take dead letters");
            }
            self.state
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
        self.patiently(move |ledger| ledger.commit(position))
            .await?;
        if let Some(ledger) = &self.ledger {
            let stats = ledger.stats();
            self.state
                .metrics
                .committed(begun.elapsed(), stats.entries.total(), stats.bytes);
        }
        Ok(())
    }

    /// Does something with the ledger, again and again while there is no room for it.
    async fn patiently<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Ledger) -> Result<T, LedgerError> + Clone + Send + 'static,
    ) -> anyhow::Result<T> {
        loop {
            let work = work.clone();
            let error = match self.with_ledger(move |ledger| Ok(work(ledger)?)).await {
                Ok(done) => {
                    self.state.health.set_ledger(None);
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
            self.state.health.set_ledger(Some(format!("{error:#}")));
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
async fn telling<T>(state: &State, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    if let Ok(done) = tokio::time::timeout(PAUSE, &mut work).await {
        return done;
    }
    state.health.set_ledger(Some(UNTAKEN.to_owned()));
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
