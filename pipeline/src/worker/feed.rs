//! The feed: messages of the input stream become epochs.
//!
//! [`gather`] says which messages form an epoch, and
//! [`crate::epochs::epoch_clock`] numbers it. The feed also decides when an epoch
//! releases cells, which salt days are open, and when messages are acknowledged:
//! only after the ledger has committed their epoch.
//!
//! It reads no more than the process can handle. It waits for the workers when
//! they lag, for the ledger when too many epochs are not durable yet, and for
//! [`memory`].
//! Unread messages stay at the broker.
//!
//! An epoch without messages is sent if something else is due: a release, a
//! query, a change of the stored records, the end of a salt day, or a position
//! that has moved because messages of other processes were skipped. In a
//! cluster an epoch follows the other even so, because a process cannot see
//! whether another one has changed anything.
//!
//! The first release of a run waits until three things are in: the restored
//! state, everything that the stream held at the start, and the rights requests
//! that waited then. Before that, a cell would be incomplete, or would count a
//! record that must be erased.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use async_nats::connection::State as ConnectionState;
use tokio::sync::{mpsc, watch};
use tributary_config::model::Config;
use tributary_connectors::nats::Client;
use tributary_ledger::{PingsPosition, Position, StreamPosition};

use crate::broker::retry::wait_until;
use crate::durability::command::{DurablePosition, LedgerCommand};
use crate::durability::standbys::Standbys;
use crate::epochs::batch::{Batch, Incoming};
use crate::epochs::clock::Clocks;
use crate::epochs::epoch_clock::EpochClock;
use crate::epochs::queries::Queries;
use crate::live_config::LiveConfig;
use crate::otlp::spans::Stage;
use crate::report::tally::Tally;
use crate::report::telemetry::Telemetry;
use crate::worker::output_watch::Republish;
use crate::worker::threads::Workers;

mod clearing;
mod gather;
mod inputs;
mod memory;

use clearing::Clearing;
pub use clearing::age_of;
use gather::Gatherer;
pub use inputs::{Inputs, Pings};
use memory::{Level, Memory};

/// Maximum number of epochs that are not durable.
const MAX_OPEN: u64 = 8;

/// Interval at which the position is stored while messages of other processes
/// alone advance it.
const KEEP: Duration = Duration::from_secs(1);

/// How long a stop waits to learn that the requests of before the start are answered.
const CLEAR: Duration = Duration::from_secs(2);

/// The parts of the process that a feed works with.
pub struct Feed {
    /// The configuration.
    pub config: Config,
    /// The configuration as it is now.
    pub live: LiveConfig,
    /// The metrics and the health.
    pub telemetry: Telemetry,
    /// Queries that wait for an epoch.
    pub queries: Queries,
    /// What the workers have finished.
    pub tally: Arc<Tally>,
    /// The task that owns the ledger.
    pub ledger_tx: mpsc::UnboundedSender<LedgerCommand>,
    /// The position up to which everything is durable.
    pub watermark: watch::Receiver<DurablePosition>,
    /// Which stream is read.
    pub stream: StreamPosition,
    /// The last sequence that the stream had at the start: before it is read, the
    /// numbers are not whole.
    pub past: u64,
    /// Whether all restored state and all earlier input went in before, and were
    /// released: a reload goes on with the dataflow that there is.
    pub all_restored: bool,
    /// Has the feed pause, for a reload: it then ends between two epochs.
    pub pause: watch::Receiver<bool>,
    /// What was durable before.
    pub position: Option<Position>,
    /// The broker, to know whether it is there.
    pub client: Client,
    /// The standbys of this process.
    pub standbys: Standbys,
    /// The clocks that releases go by.
    pub clocks: Arc<Clocks>,
    /// The newest arrival of before, Unix milliseconds by the stream's time; 0
    /// where nothing came.
    pub newest: i64,
    /// Whether everything that was to be forgotten before a restart is: before that
    /// nothing is released.
    pub clear: watch::Receiver<bool>,
    /// The request to publish all cells again, where the output stream has lost
    /// some.
    pub republish: Arc<Republish>,
}

/// The number of releases after anything was fed or a batch became due.
const RELEASES: u32 = 2;

/// A multiple of this begins every day of every time zone, milliseconds.
const QUARTER_HOUR: i64 = 15 * 60 * 1000;

/// After how long a release may publish what nothing was fed for, milliseconds: a batch is due when `max_hold` has passed, and
/// a day that ends makes numbers final, whether or not anything arrives.
fn ripening(config: &Config) -> i64 {
    match i64::try_from(config.release.max_hold_ms) {
        // Every release is a batch, and nothing waits for the next one.
        Ok(0) | Err(_) => QUARTER_HOUR,
        Ok(hold) => hold.min(QUARTER_HOUR),
    }
}

/// A feed that has ended.
pub struct Fed {
    /// The worker threads.
    pub workers: Workers,
    /// The input; none once a reload has let go of it.
    pub inputs: Option<Inputs>,
    /// The position up to which all input went in, where a feed that paused goes on.
    pub position: Position,
    /// See [`Feed::all_restored`].
    pub all_restored: bool,
    /// Number of marks that the ledger was sent, by all feeds of the process.
    pub marks: u64,
}

/// State of a running feed.
struct Feeding {
    feed: Feed,
    /// Assigns numbers to epochs.
    clock: EpochClock,
    /// The last epoch.
    epoch: u64,
    /// The first epoch of this run; 0 before it.
    first_epoch: u64,
    /// Collects the messages of an epoch.
    gatherer: Gatherer,
    /// Says whether there is memory for more.
    memory: Memory,
    /// Time of the last release, and the same as the gate takes it.
    released: Option<(Instant, i64)>,
    /// How many releases are to come: two after anything was fed, because what the first one agrees upon leaves with the second.
    to_release: u32,
    /// After how long a release is due that nothing was fed for, milliseconds.
    ripening: i64,
    /// Whether all restored state and all earlier input went in, and were released.
    all_restored: bool,
    /// Open salt days when the clocks last agreed.
    salt_days: Vec<crate::epochs::clock::SaltDays>,
    /// Number of marks sent to the ledger.
    marks: u64,
    /// The position that was marked last, if any is, and when.
    marked: (Option<(u64, Option<u64>)>, Instant),
    /// Last sequence numbers of the two streams that were acknowledged.
    acknowledged: (u64, u64),
    /// Clears the stream of pings; `None` without one, and in a cluster.
    clearing: Option<Clearing>,
}

impl Feed {
    /// Feeds the workers until `stop` or the pause becomes true.
    ///
    /// # Errors
    ///
    /// Input, workers or ledger that cannot continue.
    pub async fn run(
        self,
        inputs: Inputs,
        workers: Workers,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Fed> {
        let epoch = self.position.map_or(0, |position| position.epoch);
        let reading = self.clocks.read();
        let (sequence, of_pings) = inputs.position();
        // A loss that was accepted is to be kept before anything has come after it.
        let pings = self.pings_position(&inputs);
        let kept = self
            .position
            .and_then(|position| Some((position.stream?, position.sequence, position.pings)))
            .is_none_or(|kept| kept == (self.stream, sequence, pings));
        let marks = self.watermark.borrow().marks;
        let feeding = Feeding {
            clock: EpochClock::after(epoch, reading.broker.unwrap_or(reading.wall)),
            epoch,
            first_epoch: 0,
            gatherer: Gatherer::new(
                &self.config,
                self.tally.clone(),
                self.queries.clone(),
                self.stream.generation,
                self.newest,
            ),
            memory: Memory::new(self.live.clone()),
            released: None,
            to_release: RELEASES,
            ripening: ripening(&self.config),
            all_restored: self.all_restored,
            salt_days: Vec::new(),
            marks,
            marked: (kept.then_some((sequence, of_pings)), Instant::now()),
            acknowledged: (0, 0),
            clearing: inputs
                .pings
                .as_ref()
                .filter(|_| self.config.workers.hosts.len() <= 1)
                .map(|pings| Clearing::new(pings.age)),
            feed: self,
        };
        feeding.run(inputs, workers, stop).await
    }

    /// The position in the stream of pings, if there is one.
    fn pings_position(&self, inputs: &Inputs) -> Option<PingsPosition> {
        let stream = inputs.pings.as_ref()?.stream;
        let sequence = inputs.position().1?;
        Some(PingsPosition { stream, sequence })
    }
}

impl Feeding {
    /// The loop: collect messages, form an epoch, mark it at the ledger, send it to
    /// the workers, acknowledge what is durable.
    async fn run(
        mut self,
        mut inputs: Inputs,
        workers: Workers,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Fed> {
        let mut workers = Some(workers);
        loop {
            let stopping = *stop.borrow();
            if *self.feed.pause.borrow() && !stopping {
                return self.ended(workers, inputs);
            }
            if stopping && !self.all_restored {
                // Requests of before may have been answered just now, and the last release follows that.
                let clear = self.feed.clear.wait_for(|clear| *clear);
                let _ = tokio::time::timeout(CLEAR, clear).await;
            }
            let level = self.memory.level();
            self.feed.telemetry.metrics.memory_level(level as u8);
            self.feed.telemetry.health.set_memory(self.memory.reason());
            if level > Level::Free {
                tokio::time::sleep(level.pause()).await;
            }
            let (messages, bytes) = match stopping || level == Level::Full {
                true => (Vec::new(), 0),
                false => {
                    let last = (self.first_epoch > 0).then_some(self.epoch);
                    self.gatherer.gather(&mut inputs, last).await?
                }
            };
            let read = (messages.len() as u64, bytes);
            let received = Instant::now();
            let metrics = &self.feed.telemetry.metrics;
            metrics.input(inputs.position(), inputs.pending(), read);
            metrics.input_counts(inputs.counts());
            let batch = self.batch(messages, &inputs, stopping);
            if let Some(mut batch) = batch {
                batch.is_traced = self.feed.telemetry.traces.has(batch.epoch);
                self.trace(batch.epoch, read, received);
                if batch.durable
                    && !self
                        .mark(self.position(batch.epoch, &inputs), &stop)
                        .await?
                {
                    // What was read goes nowhere, and no position moves behind it: the next start reads it again.
                    return self.ended(workers, inputs);
                }
                let Some(running) = workers.take() else {
                    bail!("the workers have stopped")
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
            self.measure(&inputs);
            self.acknowledge(&mut inputs).await?;
            if stopping {
                return self.ended(workers, inputs);
            }
        }
    }

    /// The end of the feed.
    ///
    /// # Errors
    ///
    /// Workers that have stopped.
    fn ended(&self, workers: Option<Workers>, inputs: Inputs) -> anyhow::Result<Fed> {
        let workers = workers.ok_or_else(|| anyhow!("the workers have stopped"))?;
        Ok(Fed {
            workers,
            position: self.position(self.epoch, &inputs),
            inputs: Some(inputs),
            all_restored: self.all_restored,
            marks: self.marks,
        })
    }

    /// The position of the input after an epoch.
    fn position(&self, epoch: u64, inputs: &Inputs) -> Position {
        Position {
            stream: Some(self.feed.stream),
            sequence: inputs.position().0,
            epoch,
            newest_at: self.gatherer.newest(),
            pings: self.feed.pings_position(inputs),
        }
    }

    /// Begins the trace of an epoch that has these messages and bytes, which were all
    /// received at a time.
    fn trace(&self, epoch: u64, (messages, bytes): (u64, u64), received: Instant) {
        let traces = &self.feed.telemetry.traces;
        let collecting = match messages {
            0 => Duration::ZERO,
            _ => self.gatherer.took(),
        };
        let begun = received.checked_sub(collecting).unwrap_or(received);
        let counts = [("messages", messages), ("bytes", bytes)];
        traces.begin(epoch, begun, &counts);
        if messages > 0 {
            traces.stage(epoch, Stage::Receive, (begun, received), &counts);
        }
    }

    /// Forms the next epoch; `None` if there is nothing to do.
    ///
    /// An epoch releases cells if the cadence is due and all restored state and
    /// earlier input are in; it is durable if it contains messages or changes, or
    /// if the position has to be stored.
    fn batch(&mut self, messages: Vec<Incoming>, inputs: &Inputs, stopping: bool) -> Option<Batch> {
        let cadence = Duration::from_millis(self.feed.config.release.cadence_ms);
        // Other processes' changes are not seen from here, so that a cluster always releases when due.
        let alone = self.feed.config.workers.hosts.len() <= 1;
        let turn = self.turn().filter(|_| !alone && self.all_restored);
        let epoch = turn.unwrap_or(self.clock.now()).max(self.epoch + 1);
        let changes = self.feed.queries.drain_changes(epoch);
        let changed = changes.is_some();
        let is_ripe = self.is_ripe(self.feed.clocks.read().release_time());
        if changed || !messages.is_empty() || is_ripe {
            self.to_release = RELEASES;
        }
        let elapsed = self.released.map(|(released, _)| released.elapsed());
        let due = match elapsed {
            None => true,
            Some(_) if !alone && self.all_restored && !cadence.is_zero() => turn.is_some(),
            Some(elapsed) => elapsed >= cadence,
        };
        // Before all restored state and all earlier input are in, a release would be incomplete.
        let whole =
            self.all_restored || inputs.are_past(self.feed.past) && *self.feed.clear.borrow();
        let release = whole && (stopping || due && (self.to_release > 0 || !alone));
        let moved = Some(inputs.position()) > self.marked.0;
        let durable = changed
            || !messages.is_empty()
            || moved && (stopping || self.marked.1.elapsed() >= KEEP);
        let republish = self.all_restored && self.feed.republish.is_wanted();
        self.feed.clocks.set_newest(self.gatherer.newest());
        let reading = self.feed.clocks.read();
        let over = reading.agrees() && self.turn_salt_days(inputs);
        if !durable && !release && !republish && !over && !self.feed.queries.has_waiting() && alone
        {
            return None;
        }
        if republish {
            self.feed.republish.assign(epoch);
        }
        let all_restored = release && !self.all_restored;
        if release {
            self.released = Some((Instant::now(), reading.release_time()));
            self.to_release = self.to_release.saturating_sub(1);
            self.all_restored = true;
        }
        self.epoch = epoch;
        if self.first_epoch == 0 {
            self.first_epoch = self.epoch;
        }
        Some(Batch {
            epoch: self.epoch,
            messages,
            durable,
            all_restored,
            republish,
            release: release.then(|| reading.release_time()),
            changes: changes.unwrap_or_default(),
            questions: self.feed.queries.drain(self.epoch),
            salt_days: self.salt_days.clone(),
            ..Batch::default()
        })
    }

    /// Whether time alone has made a batch due since the last release.
    fn is_ripe(&self, now: i64) -> bool {
        let count = |time: i64| time.div_euclid(self.ripening);
        self.released
            .is_some_and(|(_, before)| count(before) < count(now))
    }

    /// The epoch of a release that all processes of a cluster make together: the
    /// newest multiple of the cadence, if no epoch has been above it. Their
    /// releases then have one number, so that they are one release.
    fn turn(&self) -> Option<u64> {
        let cadence = self.feed.config.release.cadence_ms;
        let now = self.clock.now();
        let turn = now - now.checked_rem(cadence)?;
        (turn > self.epoch).then_some(turn)
    }

    /// Determines the open salt days. Returns whether they differ from those
    /// before. Days end without a message as well, for example when the clocks
    /// begin to agree only some time after a start.
    fn turn_salt_days(&mut self, inputs: &Inputs) -> bool {
        let brands = 0..self.feed.config.brands.len();
        let newest = brands.map(|brand| self.gatherer.newest_of(brand, inputs));
        let newest: Vec<i64> = newest.collect();
        let of_brand = |brand: usize| newest.get(brand).copied().unwrap_or_default();
        let open = crate::epochs::clock::salt_days(&self.feed.config, of_brand);
        self.feed.clocks.set_read_until(newest);
        let is_another = open != self.salt_days;
        self.salt_days = open;
        is_another
    }

    /// Sends the input position after an epoch to the ledger, once few enough
    /// epochs are open. Returns false if `stop` came first.
    ///
    /// # Errors
    ///
    /// A ledger that has stopped.
    async fn mark(
        &mut self,
        position: Position,
        stop: &watch::Receiver<bool>,
    ) -> anyhow::Result<bool> {
        let ledger_stopped = || anyhow!("the ledger has stopped");
        let marks = self.marks;
        let room = self
            .feed
            .watermark
            .wait_for(|durable| marks - durable.marks < MAX_OPEN);
        tokio::select! {
            biased;
            room = room => drop(room.map_err(|_| ledger_stopped())?),
            () = wait_until(stop.clone()) => return Ok(false),
        }
        self.feed
            .ledger_tx
            .send(LedgerCommand::Mark(position.epoch, position))
            .map_err(|_| ledger_stopped())?;
        self.marks += 1;
        let of_pings = position.pings.map(|pings| pings.sequence);
        self.marked = (Some((position.sequence, of_pings)), Instant::now());
        Ok(true)
    }

    /// Acknowledges what is durable.
    async fn acknowledge(&mut self, inputs: &mut Inputs) -> anyhow::Result<()> {
        if self.feed.watermark.has_changed().is_err() {
            bail!("the ledger has stopped");
        }
        let durable = *self.feed.watermark.borrow_and_update();
        let positions = (durable.sequence, durable.pings);
        if positions != self.acknowledged {
            self.acknowledged = positions;
            inputs.acknowledge(&durable).await;
        }
        if let (Some(clearing), Some(pings)) = (&mut self.clearing, &inputs.pings)
            && durable.pings > 0
            && pings.input.caught_up()
            && pings.input.next_sequence() == durable.pings + 1
        {
            let Feed {
                client, standbys, ..
            } = &self.feed;
            clearing.clear(client, &pings.name, durable.pings, standbys);
        }
        Ok(())
    }

    /// Updates metrics and health.
    fn measure(&mut self, inputs: &Inputs) {
        let connected = self.feed.client.connection_state() == ConnectionState::Connected;
        self.feed.telemetry.health.set_connected(connected);
        self.feed.telemetry.metrics.connected(connected);
        let threads = self.feed.config.workers.threads.max(1);
        let finished = self.feed.tally.finished_before(threads);
        // Before anything is finished, what counts is how long the first epoch has been under way.
        let behind = self.epoch.saturating_sub(finished.max(self.first_epoch));
        let lag = match (self.first_epoch, finished) {
            (0, _) => 0,
            (_, finished) if finished > self.epoch => 0,
            (first, finished) if finished < first => self.clock.now().saturating_sub(first).max(1),
            _ => behind.max(1),
        };
        let lag = lag as f64 / 1000.0;
        // What was restored and prepared went in under numbers from before the first epoch, which are no times at all.
        let closed = match self.first_epoch {
            first if first > 0 && finished > first => finished - 1,
            _ => 0,
        };
        self.feed.telemetry.metrics.epoch(
            closed,
            Duration::from_millis(self.clock.now().saturating_sub(closed)),
            lag,
            self.gatherer.took().as_secs_f64(),
        );
        self.feed.telemetry.health.set_lag(lag);
        if inputs.are_past(self.feed.past) {
            self.feed.telemetry.health.set_caught_up(true);
        }
    }
}
