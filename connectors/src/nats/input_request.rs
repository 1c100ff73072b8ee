//! What a process requests from the input stream, and whether the stream can
//! still deliver it.

use super::error::NatsError;
use super::loss::{Loss, find_loss};
use super::share::{Brands, Share};
use super::stream_state::StreamState;

/// What to read.
///
/// With `partitions`, the stream maps what is published to
/// `tributary.in.<brand>.<kind>.<source>.<key>` to
/// `tributary.in.<brand>.<kind>.<source>.<n>`, where `n` is the hash of the key
/// below `partitions`, and this process reads the partitions with `n %
/// processes == process`. Of all other messages, and without partitions of all
/// messages, it reads those with `sequence % processes == process`.
#[derive(Clone, Debug)]
pub struct InputRequest {
    /// The name of the input stream.
    pub stream: String,
    /// The shard of this process, if it has one.
    pub shard: Option<String>,
    /// The index of this process, from 0.
    pub process: usize,
    /// The number of processes that share the stream; 0 counts as 1.
    pub processes: usize,
    /// `nats.partitions`; 0 for none.
    pub partitions: u32,
    /// The brands whose messages are read.
    pub brands: Brands,
    /// The next sequence to read, from the ledger; 0 and 1 both denote the
    /// beginning.
    pub next: u64,
    /// [`super::Input::created`] from the ledger; `None` before the first
    /// commit.
    pub created: Option<i64>,
    /// Whether cells of an earlier run are published, which were computed from
    /// the beginning of the stream.
    pub published: bool,
    /// Continue although the stream no longer stores what was to be read.
    /// Applies to the opening only.
    pub accept_loss: bool,
}

impl InputRequest {
    /// The name of the process.
    pub(super) fn name(&self) -> String {
        match &self.shard {
            Some(shard) => format!("{shard}-{}", self.process),
            None => self.process.to_string(),
        }
    }

    /// The name of the durable consumer.
    pub(super) fn consumer(&self) -> String {
        format!("tributary_{}", self.name())
    }

    /// Whether this process has read nothing before.
    pub(super) fn is_fresh(&self) -> bool {
        self.created.is_none() && self.next <= 1
    }

    /// The sequence that the stream must still store. What was published was
    /// computed from the beginning of the stream; without the beginning, all of
    /// it would be retracted.
    pub(super) fn required_sequence(&self) -> Option<u64> {
        (!self.is_fresh() || self.published).then_some(self.next.max(1))
    }

    /// Compares the request with the state of the stream. Returns the loss that
    /// is accepted.
    ///
    /// # Errors
    /// The loss, unless it is accepted.
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

    /// The messages that are this process's own.
    pub(super) fn share(&self) -> Share {
        Share::new(
            self.process,
            self.processes,
            self.partitions,
            self.brands.clone(),
        )
    }
}
