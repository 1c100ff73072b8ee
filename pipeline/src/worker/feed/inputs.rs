//! The streams that a feed reads: the input stream, and that of pings where
//! pings have their own.
//!
//! Each has a position of its own, and both become durable in one commit. The
//! order between the streams has no meaning: a ping has no version and no
//! correction, and is judged by its own time of arrival. A sighting of the pings
//! stream counts as later than one of the input stream with the same id and version. Only the end of a salt
//! day depends on what else was read, so that it waits for both streams
//! ([`super::gather`]).

use std::time::Duration;

use tributary_connectors::nats::{InMessage, Input, InputCounts, NatsError};
use tributary_ledger::StreamPosition;

use crate::durability::command::DurablePosition;

/// The inputs of a process.
pub struct Inputs {
    /// The input stream.
    pub records: Input,
    /// The stream of pings; `None` if the input stream has them.
    pub pings: Option<Pings>,
}

/// The input from the stream of pings.
pub struct Pings {
    /// The reader.
    pub input: Input,
    /// Which stream is read.
    pub stream: StreamPosition,
    /// The name of the stream.
    pub name: String,
    /// The last sequence that the stream had at the start.
    pub past: u64,
    /// The age at which the broker deletes its messages.
    pub age: Duration,
}

/// A stream of [`Inputs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Records,
    Pings,
}

impl Inputs {
    /// The next messages of one of the streams, at most `max`; none if nothing
    /// arrived within `wait`.
    ///
    /// # Errors
    ///
    /// Those of [`Input::next_batch`].
    pub(super) async fn next_batch(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> Result<(Origin, Vec<InMessage>), NatsError> {
        let records = self.records.next_batch(max, wait);
        let Some(pings) = &mut self.pings else {
            return Ok((Origin::Records, records.await?));
        };
        // A read that is abandoned keeps what has arrived for the next one.
        tokio::select! {
            read = records => Ok((Origin::Records, read?)),
            read = pings.input.next_batch(max, wait) => Ok((Origin::Pings, read?)),
        }
    }

    /// Acknowledges what is durable.
    pub async fn acknowledge(&mut self, durable: &DurablePosition) {
        self.records.acknowledge(durable.sequence).await;
        if let Some(pings) = &mut self.pings {
            pings.input.acknowledge(durable.pings).await;
        }
    }

    /// The position: the last sequence of each stream that was handled.
    pub(super) fn position(&self) -> (u64, Option<u64>) {
        let handled = |input: &Input| input.next_sequence().saturating_sub(1);
        let pings = self.pings.as_ref().map(|pings| handled(&pings.input));
        (handled(&self.records), pings)
    }

    /// Whether everything was read that the streams held at the start, the input
    /// stream up to `past`.
    pub(super) fn are_past(&self, past: u64) -> bool {
        let is_past = |input: &Input, past| input.caught_up() || input.next_sequence() > past;
        let pings = self.pings.as_ref();
        is_past(&self.records, past) && pings.is_none_or(|pings| is_past(&pings.input, pings.past))
    }

    /// The number of messages of both streams that were not read yet.
    pub(super) fn pending(&self) -> u64 {
        let pings = self.pings.as_ref().map_or(0, |pings| pings.input.pending());
        self.records.pending() + pings
    }

    /// The counters of both streams.
    pub(super) fn counts(&self) -> InputCounts {
        let records = self.records.counts();
        let Some(pings) = self.pings.as_ref().map(|pings| pings.input.counts()) else {
            return records;
        };
        InputCounts {
            redelivered: records.redelivered + pings.redelivered,
            gaps: records.gaps + pings.gaps,
            lost_deliveries: records.lost_deliveries + pings.lost_deliveries,
            reopened: records.reopened + pings.reopened,
            heartbeats_missed: records.heartbeats_missed + pings.heartbeats_missed,
            // Both count all that the clients of the process dropped.
            slow_consumer: records.slow_consumer.max(pings.slow_consumer),
        }
    }
}
