//! Which messages form an epoch.
//!
//! An epoch collects messages for a minimum time from its first one on
//! (`workers.tick`), and then for as long as the workers compute the epoch
//! before it. Nothing would be gained by closing it earlier: it would wait for
//! them. So the length follows what epochs cost: a quiet stream has epochs of a
//! few messages that close at once, and under load each epoch takes what arrived
//! during the last, whose cost per message falls the larger it is.
//!
//! A process that waits for its own epoch never holds up another's: sending an
//! epoch advances its input, so that the oldest epoch of a cluster can always be
//! finished. The length is limited all the same, so that a signal, a query and
//! a release are seen in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_config::model::Config;
use tributary_connectors::decode::Arrivals;
use tributary_connectors::nats::{InMessage, number_of, ping_number_of};
use tributary_connectors::trace::TraceLine;
use tributary_operators::engine::Epoch;

use super::inputs::{Inputs, Origin};
use crate::epochs::batch::Incoming;
use crate::epochs::queries::Queries;
use crate::report::tally::Tally;

/// Maximum number of messages in an epoch.
const MAX_MESSAGES: usize = 20_000;
/// Maximum number of payload bytes in an epoch; the last message may exceed it.
const MAX_BYTES: u64 = 32 << 20;

/// How long to wait for a first message: after it, whatever else is due becomes
/// an epoch.
const IDLE: Duration = Duration::from_millis(20);

/// Maximum time for which messages are collected, unless `workers.tick` is
/// greater.
const LONGEST: Duration = Duration::from_secs(1);

/// How far the end of salt days trails the newest message, milliseconds, with a
/// stream of pings: longer than a broker's statement of what is pending may be
/// old.
const MARGIN: i64 = 10_000;

/// Collects the messages of epochs.
pub(super) struct Gatherer {
    /// The minimum time (`workers.tick`).
    tick: Duration,
    /// What the workers have finished, and their number.
    tally: Arc<Tally>,
    threads: usize,
    /// Queries that wait for an epoch.
    queries: Queries,
    /// The generation of the input stream, which numbers of messages contain.
    generation: u16,
    arrivals: Arrivals,
    /// The newest arrival of before the start, Unix milliseconds.
    before: i64,
    /// What was read from the input stream.
    records: Progress,
    /// What was read from the stream of pings.
    pings: Progress,
    /// By brand, the time by which salt days are closed, with a stream of pings.
    closed: Vec<i64>,
    /// How long the last epoch with messages collected them.
    took: Duration,
}

/// How far a stream was read since the start, by the clocks of its messages.
struct Progress {
    /// The arrival of the newest message, Unix milliseconds by the stream's time.
    newest: i64,
    /// For each brand whose clock goes by headers the newest arrival that these
    /// name, else 0.
    named: Vec<i64>,
}

/// The messages of an epoch under way.
#[derive(Default)]
struct Gathered {
    messages: Vec<Incoming>,
    /// Their payload.
    bytes: u64,
    /// When the first one arrived.
    since: Option<Instant>,
}

/// When to look again whether an epoch closes that has collected since its first
/// message; `None` if it closes now.
fn until(tick: Duration, since: Instant, now: Instant, is_computing: bool) -> Option<Instant> {
    let least = since + tick;
    let most = since + LONGEST.max(tick);
    match is_computing {
        _ if now < least => Some(least),
        true if now < most => Some(most),
        _ => None,
    }
}

impl Gatherer {
    /// Reads a stream of this generation. `newest` is the newest arrival of before.
    pub(super) fn new(
        config: &Config,
        tally: Arc<Tally>,
        queries: Queries,
        generation: u16,
        newest: i64,
    ) -> Gatherer {
        Gatherer {
            tick: Duration::from_millis(config.workers.tick_ms),
            tally,
            threads: config.workers.threads.max(1),
            queries,
            generation,
            arrivals: Arrivals::new(config),
            before: newest,
            records: Progress::new(config.brands.len()),
            pings: Progress::new(config.brands.len()),
            closed: vec![0; config.brands.len()],
            took: Duration::ZERO,
        }
    }

    /// How long the last epoch with messages collected them.
    pub(super) fn took(&self) -> Duration {
        self.took
    }

    /// The arrival of the newest message, Unix milliseconds by the stream's time.
    pub(super) fn newest(&self) -> i64 {
        let read = self.records.newest.max(self.pings.newest);
        read.max(self.before)
    }

    /// The newest arrival of a brand by the clock that it goes by, Unix
    /// milliseconds; 0 where nothing came.
    ///
    /// With a stream of pings, it is the time before which nothing is left to be
    /// read in either stream: a day that ended by the messages of one may still
    /// have pings in the other. It never goes back.
    pub(super) fn newest_of(&mut self, brand: usize, inputs: &Inputs) -> i64 {
        let is_by_header = self.arrivals.is_by_header(brand);
        let before = if is_by_header { 0 } else { self.before };
        let records = self.records.of(brand, is_by_header);
        let pings = self.pings.of(brand, is_by_header);
        let newest = before.max(records).max(pings);
        let Some(of_pings) = &inputs.pings else {
            return newest;
        };
        // A broker states what is pending now and then; within the margin its word may be old.
        let settled = match (inputs.records.caught_up(), of_pings.input.caught_up()) {
            (true, true) => newest - MARGIN,
            (true, false) => pings,
            (false, true) => records,
            (false, false) => records.min(pings),
        };
        let settled = settled.min(newest - MARGIN).max(0);
        match self.closed.get_mut(brand) {
            Some(closed) => {
                *closed = settled.max(*closed);
                *closed
            }
            None => settled,
        }
    }

    /// Collects the messages of an epoch. Returns them with the number of their
    /// payload bytes; none if nothing arrived for a short time. `last` is the epoch
    /// that was sent last.
    ///
    /// # Errors
    ///
    /// An error of the broker that a retry cannot resolve.
    pub(super) async fn gather(
        &mut self,
        inputs: &mut Inputs,
        last: Option<Epoch>,
    ) -> anyhow::Result<(Vec<Incoming>, u64)> {
        let idle = Instant::now() + IDLE;
        let tally = self.tally.clone();
        let mut gathered = Gathered::default();
        loop {
            let now = Instant::now();
            let until = match gathered.since {
                None => Some(idle).filter(|idle| now < *idle),
                Some(since) => {
                    let finished = self.tally.finished_before(self.threads);
                    let is_computing = last.is_some_and(|last| finished <= last);
                    until(self.tick, since, now, is_computing)
                }
            };
            let is_full = gathered.messages.len() >= MAX_MESSAGES || gathered.bytes >= MAX_BYTES;
            let Some(until) = until.filter(|_| !is_full) else {
                break;
            };
            // A read that is abandoned keeps what has arrived for the next one.
            let read = tokio::select! {
                read = inputs.next_batch(MAX_MESSAGES, until.saturating_duration_since(now)) => read,
                () = tally.finished_more() => continue,
            };
            match read {
                Ok((origin, arrived)) => self.take(origin, arrived, inputs, &mut gathered),
                // The input has logged it, and the next read continues where this one stopped.
                Err(error) if error.is_transient() => break,
                Err(error) => return Err(error.into()),
            }
            if self.queries.has_waiting() {
                break;
            }
        }
        if let Some(since) = gathered.since {
            self.took = since.elapsed();
        }
        // The streams were read in turns.
        gathered.messages.sort_by_key(|message| message.number);
        Ok((gathered.messages, gathered.bytes))
    }

    /// Adds messages that have arrived.
    fn take(
        &mut self,
        origin: Origin,
        arrived: Vec<InMessage>,
        inputs: &Inputs,
        gathered: &mut Gathered,
    ) {
        let of_pings = inputs.pings.as_ref().map(|pings| pings.stream.generation);
        let progress = match origin {
            Origin::Records => &mut self.records,
            Origin::Pings => &mut self.pings,
        };
        for message in arrived {
            gathered.since.get_or_insert_with(Instant::now);
            progress.newest = progress.newest.max(message.at_ms);
            gathered.bytes += message.payload.len() as u64;
            let arrival = self
                .arrivals
                .of(&message.subject, &message.headers, message.at_ms);
            if let Some(named) = arrival
                .brand
                .and_then(|brand| progress.named.get_mut(brand))
            {
                *named = arrival.at.max(*named);
            }
            let line = TraceLine {
                subject: message.subject.to_string(),
                at: arrival.at,
                headers: message.headers,
                data: message.payload.into(),
            };
            let number = match (origin, of_pings) {
                (Origin::Pings, Some(generation)) => ping_number_of(generation, message.sequence),
                _ => number_of(self.generation, message.sequence),
            };
            gathered.messages.push(Incoming { number, line });
        }
    }
}

impl Progress {
    /// Nothing was read of a stream.
    fn new(brands: usize) -> Progress {
        Progress {
            newest: 0,
            named: vec![0; brands],
        }
    }

    /// The newest arrival by the clock that a brand goes by.
    fn of(&self, brand: usize, is_by_header: bool) -> i64 {
        match is_by_header {
            true => self.named.get(brand).copied().unwrap_or_default(),
            false => self.newest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn an_epoch_collects_for_a_tick_and_while_the_one_before_is_computed() {
        let since = Instant::now();
        let at = |tick, ms, is_computing| {
            let until = until(tick, since, since + MS(ms), is_computing);
            until.map(|until| until - since)
        };
        let short = MS(3);
        assert_eq!(at(short, 0, false), Some(MS(3)));
        assert_eq!(at(short, 2, true), Some(MS(3)));
        assert_eq!(at(short, 3, false), None);
        assert_eq!(at(short, 3, true), Some(MS(1_000)));
        assert_eq!(at(short, 1_000, true), None);
        let long = MS(5_000);
        assert_eq!(at(long, 4_999, false), Some(MS(5_000)));
        assert_eq!(at(long, 5_000, true), None);
    }
}
