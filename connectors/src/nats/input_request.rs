//! What a process requests from the input stream, and whether the stream can still deliver it.

use super::error::NatsError;
use super::loss::{Loss, find_loss};
use super::share::Share;
use super::stream_state::StreamState;

/// What to read.
///
/// With `partitions`, the stream maps what is published to
/// `tributary.in.<brand>.<kind>.<source>.<key>` to `tributary.in.<brand>.<kind>.<source>.<n>`, `n`
/// being the key's hash below `partitions`, and this process reads the partitions with
/// `n % processes == process`. All other messages, and without partitions all messages, are its own
/// where `sequence % processes == process`.
#[derive(Clone, Debug)]
pub struct InputRequest {
    /// The input stream.
    pub stream: String,
    /// This process's number, from 0.
    pub process: usize,
    /// How many processes share the stream; 0 counts as 1.
    pub processes: usize,
    /// `nats.partitions`.
    pub partitions: u32,
    /// The next sequence to read, as the ledger has it; 0 and 1 both mean the beginning.
    pub next: u64,
    /// [`Input::created`] as the ledger has it; none before the first commit.
    pub created: Option<i64>,
    /// Whether cells of an earlier run are published, which came from the beginning of the stream.
    pub published: bool,
    /// Go on where the stream no longer holds what was to be read. Counts at the opening only.
    pub accept_loss: bool,
}

impl InputRequest {
    /// The name of the consumer.
    pub(super) fn consumer(&self) -> String {
        format!("tributary_{}", self.process)
    }

    /// Whether nothing was read before.
    pub(super) fn is_fresh(&self) -> bool {
        self.created.is_none() && self.next <= 1
    }

    /// The next sequence, where it is known that it must be there. What was published came from the beginning: without
    /// it, all of it would be taken back.
    pub(super) fn required_sequence(&self) -> Option<u64> {
        (!self.is_fresh() || self.published).then_some(self.next.max(1))
    }

    /// The loss that is accepted.
    pub(super) fn check(&self, state: &StreamState) -> Result<Option<Loss>, NatsError> {
        let is_anew = self.is_fresh() && self.published && state.last_sequence == 0;
        let created = match is_anew {
            true => None,
            false => Some(self.created.unwrap_or(state.created_ns)),
        };
        match find_loss(state, self.required_sequence(), created) {
            Some(loss) if !self.accept_loss => Err(loss.error(&self.stream)),
            judged => Ok(judged),
        }
    }

    pub(super) fn share(&self) -> Share {
        Share::new(self.process, self.processes, self.partitions)
    }
}
