//! Standing: whether the output stream still holds what was told.
//!
//! What stands outside stands in the output stream alone. One that is deleted, purged or made anew holds less than was
//! told, and nobody who reads it could know. So each process looks at it once a round: when it was made, and under how
//! many subjects it holds messages, which never become fewer by themselves. A stream that is gone is made anew; where
//! anything is missing every worker tells all its cells again, in an epoch like any other, and the process is not ready
//! until the broker has them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, NatsError, NatsErrorKind, StreamState};
use tributary_operators::engine::Epoch;

use crate::http::State;
use crate::outgoing::Out;
use crate::tally::Tally;

/// How long a round is.
const ROUND: Duration = Duration::from_secs(2);

/// How often it is looked whether an epoch is through.
const LOOK: Duration = Duration::from_millis(100);

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
                    tracing::error!("{why}: all cells are told again");
                    let told = format!("{why}; all cells are being told again");
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
        if is_gone(&nats::stream_state(client, &nats.dead_letter_stream).await) {
            nats::ensure_dead_letter_stream(client, nats).await?;
            let stream = &nats.dead_letter_stream;
            tracing::error!(stream, "the stream of dead letters was gone: made anew");
        }
        let state = nats::stream_state(client, name).await;
        let state = match is_gone(&state) {
            true => {
                let brands = self.config.brands.iter().map(|brand| brand.name.as_str());
                let brands: Vec<&str> = brands.collect();
                nats::ensure_output_stream(client, nats, &brands).await?
            }
            false => state?,
        };
        let why = if state.created_ns != self.known.created_ns {
            Some(format!(
                "the output stream {name} is another one than before"
            ))
        } else if state.subjects < self.known.subjects {
            let (all, lost) = (self.known.subjects, self.known.subjects - state.subjects);
            Some(format!(
                "the output stream {name} has lost {lost} of {all} cells"
            ))
        } else {
            None
        };
        self.known = state;
        Ok(why)
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
        tracing::info!("all cells stand outside again");
        self.state.health.set_output(None);
    }
}

fn is_gone(state: &Result<StreamState, NatsError>) -> bool {
    matches!(state, Err(error) if error.kind() == NatsErrorKind::Stream)
}
