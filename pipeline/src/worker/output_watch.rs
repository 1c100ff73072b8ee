//! Output watch: verifies that the output stream still holds every published
//! cell.
//!
//! Published cells are stored in the output stream alone. A stream that was
//! deleted, purged or recreated holds fewer cells than were published, and its
//! readers cannot know. Each process therefore checks two things every two
//! seconds: the time of the stream's creation, and its number of subjects,
//! which never decreases by itself. The number does not reveal a message that
//! is lost in the same round in which a new cell appears. Whenever anything was
//! published, the subjects themselves are therefore compared as well, for at
//! most a hundredth of the time: every subject of the last comparison, and
//! every one acknowledged to this process since, must exist.
//!
//! A missing stream is created again; one that somebody else has created must
//! have the settings that a start requires. If anything is missing, every
//! worker publishes all its cells again, in an epoch like any other, and the
//! process is not ready until the broker has them.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tributary_connectors::nats::{self, Client, NatsError, NatsErrorKind, StreamState, SubjectSet};
use tributary_operators::engine::Epoch;

use crate::live_config::LiveConfig;
use crate::report::health::Health;
use crate::report::tally::Tally;
use crate::worker::publisher::PublisherCommand;

/// Interval between two checks.
const ROUND: Duration = Duration::from_secs(2);

/// Interval between two checks whether an epoch is finished.
const LOOK: Duration = Duration::from_millis(100);

/// Comparisons of subjects may take one part in this many of the time.
const SHARE: u32 = 100;

/// No republication is requested.
const NOTHING: u64 = 0;
/// Republication is requested for the next epoch that may release.
const WANTED: u64 = 1;

/// A request to publish all cells again, and the epoch that executes it. One
/// atomic number: `NOTHING`, `WANTED`, or the epoch.
#[derive(Debug, Default)]
pub struct Republish(AtomicU64);

impl Republish {
    /// Requests a republication in the next epoch that may release.
    pub fn request(&self) {
        self.0.store(WANTED, SeqCst);
    }

    /// Whether the next epoch has to publish all cells again.
    pub fn is_wanted(&self) -> bool {
        self.0.load(SeqCst) == WANTED
    }

    /// Assigns the request to an epoch.
    pub fn assign(&self, epoch: Epoch) {
        self.0.store(epoch.max(WANTED + 1), SeqCst);
    }

    /// The epoch that executes the request, once it is assigned.
    fn epoch(&self) -> Option<Epoch> {
        Some(self.0.load(SeqCst)).filter(|epoch| *epoch > WANTED)
    }

    /// Completes the request.
    fn done(&self) {
        self.0.store(NOTHING, SeqCst);
    }
}

/// The subjects that the output stream must hold.
pub struct KnownSubjects {
    /// Subjects of the last comparison.
    subjects: SubjectSet,
    /// Subjects acknowledged to this process since then.
    acknowledged: Arc<Mutex<SubjectSet>>,
    /// Last sequence number of the stream at the last comparison.
    sequence: u64,
    /// Earliest time of the next comparison.
    due: Instant,
}

impl KnownSubjects {
    /// Begins with the subjects that the publisher has recorded as acknowledged.
    pub fn of(acknowledged: Arc<Mutex<SubjectSet>>) -> KnownSubjects {
        let subjects = take(&acknowledged);
        let (sequence, due) = (0, Instant::now());
        KnownSubjects {
            subjects,
            acknowledged,
            sequence,
            due,
        }
    }

    /// Compares the subjects if a comparison is due. Returns the numbers of lost
    /// and of known subjects, or `None` if nothing is lost.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    async fn lost(
        &mut self,
        client: &Client,
        state: &StreamState,
    ) -> Result<Option<(usize, usize)>, NatsError> {
        if state.last_sequence == self.sequence || Instant::now() < self.due {
            return Ok(None);
        }
        let begun = Instant::now();
        self.subjects.extend(take(&self.acknowledged));
        let mut now = self.subjects.read(client, &state.name).await?;
        if self.subjects.missing_in(&now) > 0 {
            // It is read in pages, while others come between.
            now.extend(self.subjects.read(client, &state.name).await?);
        }
        let before = std::mem::replace(&mut self.subjects, now);
        self.sequence = state.last_sequence;
        self.due = Instant::now() + begun.elapsed() * SHARE;
        let lost = before.missing_in(&self.subjects);
        Ok(Some((lost, before.len())).filter(|(lost, _)| *lost > 0))
    }

    /// Forgets all subjects: the stream is filled again.
    fn clear(&mut self) {
        take(&self.acknowledged);
        self.subjects = self.subjects.empty();
        self.sequence = 0;
    }
}

/// Empties a set and returns its content.
fn take(subjects: &Mutex<SubjectSet>) -> SubjectSet {
    let mut subjects = subjects.lock().unwrap_or_else(PoisonError::into_inner);
    let empty = subjects.empty();
    std::mem::replace(&mut subjects, empty)
}

/// The task that watches the output stream.
pub struct OutputWatch {
    /// The configuration as it is now, whose brands the stream must take.
    pub live: LiveConfig,
    /// The broker.
    pub client: Client,
    /// The health, which shows what is wrong with the stream.
    pub health: Arc<Health>,
    /// Counts of the threads, for the epochs that they have finished.
    pub tally: Arc<Tally>,
    /// The publisher of cells.
    pub out: mpsc::UnboundedSender<PublisherCommand>,
    /// The request to publish all cells again.
    pub republish: Arc<Republish>,
    /// The stream as it was at the start.
    pub known: StreamState,
    /// The stream of dead letters as it was at the start.
    pub dead_letters: StreamState,
    /// Its subjects.
    pub subjects: KnownSubjects,
}

impl OutputWatch {
    /// Checks the streams every round, until the task is aborted.
    pub async fn watch(mut self) {
        let mut failed = None;
        loop {
            tokio::time::sleep(ROUND).await;
            match self.look().await {
                Ok(None) => {}
                Ok(Some(why)) => {
                    tracing::error!("{why}: publishing all cells again");
                    let reason = format!("{why}; all cells are being published again");
                    self.health.set_output(Some(reason));
                    self.republish_all().await;
                }
                // That the broker is away is said elsewhere.
                Err(error) if error.is_transient() => continue,
                Err(error) => {
                    let why = error.to_string();
                    if failed.as_ref() != Some(&why) {
                        tracing::error!("{why}");
                    }
                    self.health.set_output(Some(why.clone()));
                    failed = Some(why);
                    continue;
                }
            }
            if failed.take().is_some() {
                self.health.set_output(None);
            }
        }
    }

    /// Checks the streams once. Returns the reason if the output stream no longer
    /// holds every published cell.
    ///
    /// # Errors
    ///
    /// A broker that does not answer, or a stream with settings that do not permit
    /// its use.
    async fn look(&mut self) -> Result<Option<String>, NatsError> {
        let config = self.live.now();
        let (client, nats) = (&self.client, &config.nats);
        let name = &nats.output_stream;
        // Creates it where it is missing, and checks one that somebody else has created as a start does.
        let brands = config.brands.iter().map(|brand| brand.name.as_str());
        let brands: Vec<&str> = brands.collect();
        let state = nats::ensure_output_stream(client, nats, &brands).await?;
        let known = std::mem::replace(&mut self.known, state);
        let lost = known.subjects.saturating_sub(self.known.subjects);
        let why = if self.known.created_ns != known.created_ns {
            Some("is another one than before".to_owned())
        } else if lost > 0 {
            Some(format!("has lost {lost} of {} cells", known.subjects))
        } else {
            let lost = self.subjects.lost(client, &self.known).await?;
            lost.map(|(lost, all)| format!("has lost {lost} of {all} cells"))
        };
        if why.is_some() {
            self.subjects.clear();
            return Ok(why.map(|why| format!("the output stream {name} {why}")));
        }
        let state = nats::ensure_dead_letter_stream(client, nats).await?;
        if state.created_ns != self.dead_letters.created_ns {
            let stream = &nats.dead_letter_stream;
            tracing::error!(
                stream,
                "the stream of dead letters was replaced: its contents are lost"
            );
        }
        self.dead_letters = state;
        Ok(None)
    }

    /// Requests the republication of all cells, and returns when the broker has
    /// them or the stream is lost again.
    async fn republish_all(&mut self) {
        self.republish.request();
        let config = self.live.now();
        let threads = config.workers.threads.max(1);
        let is_through = |epoch| self.tally.finished_before(threads) > epoch;
        while !self.republish.epoch().is_some_and(is_through) {
            tokio::time::sleep(LOOK).await;
        }
        self.republish.done();
        let (confirm, mut confirmed) = oneshot::channel();
        // Where nobody publishes any more the process ends.
        let _ = self.out.send(PublisherCommand::Confirm(confirm));
        while tokio::time::timeout(ROUND, &mut confirmed).await.is_err() {
            let state = nats::stream_state(&self.client, &config.nats.output_stream).await;
            let made = self.known.created_ns;
            if is_gone(&state) || state.is_ok_and(|state| state.created_ns != made) {
                // It is lost once more, which the next round sees.
                return;
            }
        }
        // What is lost from now on is less than this.
        if let Ok(state) = nats::stream_state(&self.client, &config.nats.output_stream).await
            && state.created_ns == self.known.created_ns
        {
            self.known = state;
        }
        tracing::info!("all cells are published again");
        self.health.set_output(None);
    }
}

/// Whether the stream does not exist.
fn is_gone(state: &Result<StreamState, NatsError>) -> bool {
    matches!(state, Err(error) if error.kind() == NatsErrorKind::Stream)
}
