//! Feed: messages of the input stream become epochs.
//!
//! A tick gathers what has come into one epoch. Epochs are numbered by the clock, so that several processes agree
//! on them without talking. A process of a cluster takes the messages whose sequence falls to it, and decodes only
//! those. The workers are waited for when they are behind, so that no more is read than they can take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use tokio::sync::watch;
use tributary_config::model::Config;
use tributary_connectors::nats::Input;
use tributary_connectors::trace::TraceLine;

use crate::asks::Asks;
use crate::http::State;
use crate::tally::Tally;
use crate::workers::{Batch, Incoming, Workers};

/// Messages and bytes in one epoch at most.
const MAX_MESSAGES: usize = 20_000;
const MAX_BYTES: usize = 32 << 20;

/// Gathers messages into epochs.
pub struct Feed<'a> {
    config: &'a Config,
    state: &'a Arc<State>,
    asks: &'a Asks,
    tally: &'a Arc<Tally>,
    epoch: u64,
    first_epoch: u64,
    released: Option<Instant>,
    unreleased: bool,
    /// The arrival of the newest message, Unix milliseconds.
    newest: i64,
}

impl<'a> Feed<'a> {
    /// Nothing has been read yet.
    pub fn new(
        config: &'a Config,
        state: &'a Arc<State>,
        asks: &'a Asks,
        tally: &'a Arc<Tally>,
    ) -> Feed<'a> {
        let (epoch, first_epoch, released, unreleased, newest) = (0, 0, None, true, 0);
        Feed {
            config,
            state,
            asks,
            tally,
            epoch,
            first_epoch,
            released,
            unreleased,
            newest,
        }
    }

    /// Feeds the workers from the input until `stop` becomes true, and gives them back.
    pub async fn run(
        mut self,
        mut input: Input,
        workers: Workers,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Workers> {
        let mut workers = Some(workers);
        loop {
            let stopping = *stop.borrow();
            let (messages, bytes) = match stopping {
                true => (Vec::new(), 0),
                // No longer than a tick, so that a signal is seen in time.
                false => self.gather(&mut input).await?,
            };
            let caught_up = input.caught_up();
            self.state.metrics.input(
                input.next_sequence().saturating_sub(1),
                input.pending(),
                messages.len() as u64,
                bytes,
            );
            let batch = self.batch(messages, caught_up, stopping);
            if let Some(batch) = batch {
                let Some(running) = workers.take() else {
                    bail!("the workers are gone")
                };
                let (running, sent) = tokio::task::spawn_blocking(move || {
                    let sent = running.send(batch);
                    (running, sent)
                })
                .await?;
                if !sent {
                    return running
                        .finish()
                        .and(Err(anyhow!("the worker threads have stopped")));
                }
                workers = Some(running);
            }
            self.measure(caught_up);
            if stopping {
                return workers.ok_or_else(|| anyhow!("the workers are gone"));
            }
        }
    }

    /// What comes within a tick.
    async fn gather(&mut self, input: &mut Input) -> anyhow::Result<(Vec<Incoming>, u64)> {
        let tick = Duration::from_millis(self.config.workers.tick_ms);
        let until = Instant::now() + tick;
        let (mut messages, mut bytes) = (Vec::new(), 0);
        let (process, processes) = (
            self.config.workers.process as u64,
            self.config.workers.hosts.len().max(1) as u64,
        );
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let arrived = match input.next_batch(MAX_MESSAGES, left).await {
                Ok(arrived) => arrived,
                Err(error) if error.is_transient() => {
                    self.state.health.set_connected(false);
                    self.state.metrics.connected(false);
                    return Ok((messages, bytes));
                }
                Err(error) => return Err(error.into()),
            };
            self.state.health.set_connected(true);
            self.state.metrics.connected(true);
            for message in arrived {
                self.newest = self.newest.max(message.at_ms);
                if message.sequence % processes != process {
                    continue;
                }
                bytes += message.payload.len() as u64;
                let line = TraceLine {
                    subject: message.subject.to_string(),
                    at: message.at_ms,
                    headers: message.headers,
                    data: message.payload.into(),
                };
                messages.push(Incoming {
                    number: message.sequence,
                    line,
                });
            }
            let full = messages.len() >= MAX_MESSAGES || bytes as usize >= MAX_BYTES;
            if full || self.asks.are_waiting() || Instant::now() >= until {
                return Ok((messages, bytes));
            }
        }
    }

    /// The next epoch, or none where nothing has happened.
    fn batch(&mut self, messages: Vec<Incoming>, caught_up: bool, stopping: bool) -> Option<Batch> {
        let cadence = Duration::from_millis(self.config.release.cadence_ms);
        self.unreleased |= !messages.is_empty();
        let due = self
            .released
            .is_none_or(|released| released.elapsed() >= cadence);
        // Other processes' changes are not seen from here, so that a cluster always releases when due.
        let alone = self.config.workers.hosts.len() <= 1;
        let release = stopping || caught_up && due && (self.unreleased || !alone);
        if messages.is_empty() && !release && !self.asks.are_waiting() && alone {
            return None;
        }
        if release {
            self.released = Some(Instant::now());
            self.unreleased = false;
        }
        let now = jiff::Timestamp::now().as_millisecond().max(0) as u64;
        self.epoch = now.max(self.epoch + 1);
        if self.first_epoch == 0 {
            self.first_epoch = self.epoch;
        }
        Some(Batch {
            epoch: self.epoch,
            messages,
            release,
            questions: self.asks.take(self.epoch),
            salt_days: crate::clock::salt_days(self.config, self.newest),
        })
    }

    fn measure(&self, caught_up: bool) {
        let threads = self.config.workers.threads.max(1);
        let finished = self.tally.finished_before(threads);
        // Before anything is finished, what counts is how long the first epoch has been under way.
        let behind = self.epoch.saturating_sub(finished.max(self.first_epoch));
        let now = jiff::Timestamp::now().as_millisecond().max(0) as u64;
        let lag = match (finished, self.epoch) {
            (_, 0) => 0,
            (0, _) => now.saturating_sub(self.first_epoch).max(1),
            (finished, epoch) if finished > epoch => 0,
            _ => behind.max(1),
        };
        let lag = lag as f64 / 1000.0;
        let tick = self.config.workers.tick_ms as f64 / 1000.0;
        self.state
            .metrics
            .epoch(finished.saturating_sub(1), lag, tick);
        self.state.health.set_lag(lag);
        if caught_up {
            self.state.health.set_caught_up(true);
        }
    }
}
