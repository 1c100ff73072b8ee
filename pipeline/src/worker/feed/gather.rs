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

use std::time::{Duration, Instant};

use tributary_connectors::nats::{InMessage, Input, number_of};
use tributary_connectors::trace::TraceLine;

use super::Feeding;
use crate::epochs::batch::Incoming;

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

/// How messages are collected.
#[derive(Debug)]
pub(super) struct Gathering {
    /// The minimum time (`workers.tick`).
    tick: Duration,
    /// How long the last epoch with messages collected them.
    took: Duration,
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

impl Gathering {
    /// Collects for at least `tick`.
    pub(super) fn new(tick: Duration) -> Gathering {
        let took = Duration::ZERO;
        Gathering { tick, took }
    }

    /// How long the last epoch with messages collected them.
    pub(super) fn took(&self) -> Duration {
        self.took
    }

    /// When to look again whether the epoch closes, which has collected since its
    /// first message; `None` if it closes now.
    fn until(&self, since: Instant, now: Instant, is_computing: bool) -> Option<Instant> {
        let least = since + self.tick;
        let most = since + LONGEST.max(self.tick);
        match is_computing {
            _ if now < least => Some(least),
            true if now < most => Some(most),
            _ => None,
        }
    }
}

impl Feeding {
    /// Collects the messages of an epoch. Returns them with the number of their
    /// payload bytes; none if nothing arrived for a short time.
    ///
    /// # Errors
    ///
    /// An error of the broker that a retry cannot resolve.
    pub(super) async fn gather(
        &mut self,
        input: &mut Input,
    ) -> anyhow::Result<(Vec<Incoming>, u64)> {
        let idle = Instant::now() + IDLE;
        let tally = self.feed.tally.clone();
        let mut gathered = Gathered::default();
        loop {
            let now = Instant::now();
            let until = match gathered.since {
                None => Some(idle).filter(|idle| now < *idle),
                Some(since) => self.gathering.until(since, now, self.is_computing()),
            };
            let is_full = gathered.messages.len() >= MAX_MESSAGES || gathered.bytes >= MAX_BYTES;
            let Some(until) = until.filter(|_| !is_full) else {
                break;
            };
            // A read that is abandoned keeps what has arrived for the next one.
            let read = tokio::select! {
                read = input.next_batch(MAX_MESSAGES, until.saturating_duration_since(now)) => read,
                () = tally.finished_more() => continue,
            };
            match read {
                Ok(arrived) => self.take(arrived, &mut gathered),
                // The input has logged it, and the next read continues where this one stopped.
                Err(error) if error.is_transient() => break,
                Err(error) => return Err(error.into()),
            }
            if self.feed.queries.has_waiting() {
                break;
            }
        }
        if let Some(since) = gathered.since {
            self.gathering.took = since.elapsed();
        }
        Ok((gathered.messages, gathered.bytes))
    }

    /// Whether the workers have not finished the last epoch that was sent.
    fn is_computing(&self) -> bool {
        let threads = self.feed.config.workers.threads.max(1);
        self.first_epoch > 0 && self.feed.tally.finished_before(threads) <= self.epoch
    }

    /// Adds messages that have arrived.
    fn take(&mut self, arrived: Vec<InMessage>, gathered: &mut Gathered) {
        for message in arrived {
            gathered.since.get_or_insert_with(Instant::now);
            self.newest = self.newest.max(message.at_ms);
            gathered.bytes += message.payload.len() as u64;
            let arrival = self
                .arrivals
                .of(&message.subject, &message.headers, message.at_ms);
            if let Some(named) = arrival.brand.and_then(|brand| self.named.get_mut(brand)) {
                *named = arrival.at.max(*named);
            }
            let line = TraceLine {
                subject: message.subject.to_string(),
                at: arrival.at,
                headers: message.headers,
                data: message.payload.into(),
            };
            let number = number_of(self.feed.stream.generation, message.sequence);
            gathered.messages.push(Incoming { number, line });
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
        let at = |of: &Gathering, ms, is_computing| {
            let until = of.until(since, since + MS(ms), is_computing);
            until.map(|until| until - since)
        };
        let short = Gathering::new(MS(3));
        assert_eq!(at(&short, 0, false), Some(MS(3)));
        assert_eq!(at(&short, 2, true), Some(MS(3)));
        assert_eq!(at(&short, 3, false), None);
        assert_eq!(at(&short, 3, true), Some(MS(1_000)));
        assert_eq!(at(&short, 1_000, true), None);
        let long = Gathering::new(MS(5_000));
        assert_eq!(at(&long, 4_999, false), Some(MS(5_000)));
        assert_eq!(at(&long, 5_000, true), None);
    }
}
