//! Standing: whether the output stream still holds what was told.
//!
//! What stands outside stands in the output stream alone. One that is deleted, purged or made anew holds less than was
//! told, and nobody who reads it could know. So each process looks at it once a round: when it was made, and under how
//! many subjects it holds messages, which never become fewer by themselves. A number does not show a message that is lost
//! in the round in which a new cell appears, so that where anything was published the subjects themselves are compared
//! as well, whenever that takes a hundredth of the time at most: none may be missing that was there, or was acknowledged
//! to this process. A stream that is gone is made anew, and one that somebody else has made must be as at a start; where
//! anything is missing every worker tells all its cells again, in an epoch like any other, and the process is not ready
//! until the broker has them.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, NatsError, NatsErrorKind, StreamState, SubjectSet};
use tributary_operators::engine::Epoch;

use crate::http::State;
use crate::outgoing::Out;
use crate::tally::Tally;

/// How long a round is.
const ROUND: Duration = Duration::from_secs(2);

/// How often it is looked whether an epoch is through.
const LOOK: Duration = Duration::from_millis(100);

/// Comparing subjects may take this part of the time.
const SHARE: u32 = 100;

/// Nothing is to be told again.
const NOTHING: u64 = 0;
/// It is to be told again with the next epoch that may release.
const WANTED: u64 = 1;

/// Whether all cells are to be told again, and with which epoch they are.
#[derive(Debug, Default)]
pub struct Again(AtomicU64);

impl Again {
    fn want(&self) {
        self.0.store(WANTED, SeqCst);
    }

    /// Whether an epoch that begins has to tell all cells again.
    pub fn is_wanted(&self) -> bool {
        self.0.load(SeqCst) == WANTED
    }

    /// The epoch tells all cells again.
    pub fn told_with(&self, epoch: Epoch) {
        self.0.store(epoch.max(WANTED + 1), SeqCst);
    }

    fn epoch(&self) -> Option<Epoch> {
        Some(self.0.load(SeqCst)).filter(|epoch| *epoch > WANTED)
    }

    fn done(&self) {
        self.0.store(NOTHING, SeqCst);
    }
}

/// The subjects of the output stream.
pub struct Held {
    /// Those of the last comparison.
    subjects: SubjectSet,
    /// Those that were acknowledged to this process since.
    told: Arc<Mutex<SubjectSet>>,
    /// The last sequence of the stream before the last comparison.
    sequence: u64,
    /// When they may be compared again.
    due: Instant,
}

impl Held {
    /// The subjects that a publisher notes as acknowledged.
    pub fn of(told: Arc<Mutex<SubjectSet>>) -> Held {
        let subjects = take(&told);
        let (sequence, due) = (0, Instant::now());
        Held {
            subjects,
            told,
            sequence,
            due,
        }
    }

    /// How many subjects of how many the stream has lost, where it is time to look.
    async fn lost(
        &mut self,
        client: &Client,
        state: &StreamState,
    ) -> Result<Option<(usize, usize)>, NatsError> {
        if state.last_sequence == self.sequence || Instant::now() < self.due {
            return Ok(None);
        }
        let begun = Instant::now();
        self.subjects.extend(take(&self.told));
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

    /// Nothing is known to be there.
    fn clear(&mut self) {
        take(&self.told);
        self.subjects = self.subjects.empty();
        self.sequence = 0;
    }
}

/// Takes all out of a set.
fn take(told: &Mutex<SubjectSet>) -> SubjectSet {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    let empty = told.empty();
    std::mem::replace(&mut told, empty)
}

/// Looks at the output stream.
pub struct Standing {
    /// The configuration.
    pub config: Config,
    /// The broker.
    pub client: Client,
    /// Where health is told.
    pub state: Arc<State>,
    /// What the workers have finished.
    pub tally: Arc<Tally>,
    /// The way to the broker.
    pub out: mpsc::UnboundedSender<Out>,
    /// Who tells all cells again.
    pub again: Arc<Again>,
    /// The stream as it was at the start.
    pub known: StreamState,
    /// The stream of dead letters as it was at the start.
    pub dead_letters: StreamState,
    /// Its subjects.
    pub held: Held,
}

impl Standing {
    /// Looks until the task is ended.
    pub async fn watch(mut self) {
        let mut failed = None;
        loop {
            tokio::time::sleep(ROUND).await;
            match self.look().await {
                Ok(None) => {}
                Ok(Some(why)) => {
                    tracing::error!("{why}: publishing all cells again");
                    let told = format!("{why}; all cells are being published again");
                    self.state.health.set_output(Some(told));
                    self.tell_again().await;
                }
                // That the broker is away is said elsewhere.
                Err(error) if error.is_transient() => continue,
                Err(error) => {
                    let why = error.to_string();
                    if failed.as_ref() != Some(&why) {
                        tracing::error!("{why}");
                    }
                    self.state.health.set_output(Some(why.clone()));
                    failed = Some(why);
                    continue;
                }
            }
            if failed.take().is_some() {
                self.state.health.set_output(None);
            }
        }
    }

    /// Why what was told stands outside no longer.
    async fn look(&mut self) -> Result<Option<String>, NatsError> {
        let (client, nats) = (&self.client, &self.config.nats);
        let name = &nats.output_stream;
        // Makes it where it is gone, and judges one that somebody else has made as a start does.
        let brands = self.config.brands.iter().map(|brand| brand.name.as_str());
        let brands: Vec<&str> = brands.collect();
        let state = nats::ensure_output_stream(client, nats, &brands).await?;
        let known = std::mem::replace(&mut self.known, state);
        let lost = known.subjects.saturating_sub(self.known.subjects);
        let why = if self.known.created_ns != known.created_ns {
            Some("is another one than before".to_owned())
        } else if lost > 0 {
            Some(format!("has lost {lost} of {} cells", known.subjects))
        } else {
            let lost = self.held.lost(client, &self.known).await?;
            lost.map(|(lost, all)| format!("has lost {lost} of {all} cells"))
        };
        if why.is_some() {
            self.held.clear();
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

    /// Has all cells told again, and comes back when the broker has them.
    async fn tell_again(&mut self) {
        self.again.want();
        let threads = self.config.workers.threads.max(1);
        let is_through = |epoch| self.tally.finished_before(threads) > epoch;
        while !self.again.epoch().is_some_and(is_through) {
            tokio::time::sleep(LOOK).await;
        }
        self.again.done();
        let (told, mut heard) = oneshot::channel();
        // Where nobody publishes any more the process ends.
        let _ = self.out.send(Out::Heard(told));
        while tokio::time::timeout(ROUND, &mut heard).await.is_err() {
            let state = nats::stream_state(&self.client, &self.config.nats.output_stream).await;
            let made = self.known.created_ns;
            if is_gone(&state) || state.is_ok_and(|state| state.created_ns != made) {
                // It is lost once more, which the next round sees.
                return;
            }
        }
        // What is lost from now on is less than this.
        if let Ok(state) = nats::stream_state(&self.client, &self.config.nats.output_stream).await
            && state.created_ns == self.known.created_ns
        {
            self.known = state;
        }
        tracing::info!("all cells are published again");
        self.state.health.set_output(None);
    }
}

fn is_gone(state: &Result<StreamState, NatsError>) -> bool {
    matches!(state, Err(error) if error.kind() == NatsErrorKind::Stream)
}
