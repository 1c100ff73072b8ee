//! Detects messages that a stream no longer stores although this process has
//! not read them.
//!
//! The ledger records what was read from which stream: its creation time and
//! the next sequence. Three faults are possible. The stream has dropped the
//! next messages, by its limits or a purge (*dropped*); it ends before the last
//! message that was read, because its tail was lost (*truncated*); or it is
//! another stream under the same name (*recreated*). Continuing silently would
//! produce numbers that nobody can explain, so reading stops and the operator
//! decides whether to accept the loss.
//!
//! Messages that were deleted one by one leave a gap, which is no loss; nor is
//! anything deleted after it was read.

use super::error::{NatsError, NatsErrorKind};
use super::stream_state::StreamState;

/// What kind of loss it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// The stream has dropped messages before they were read.
    Dropped,
    /// The stream has lost its end. What was read from there is known, but its
    /// sequences will be assigned to other messages.
    Truncated,
    /// It is another stream, with sequences of its own. What was unread in the
    /// old one is unknown.
    Recreated,
}

/// Sequences that can no longer be read, or not again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What happened.
    pub kind: LossKind,
    /// The first lost sequence.
    pub from: u64,
    /// The last lost sequence; below `from` if there is none, which occurs only
    /// with [`LossKind::Recreated`].
    pub to: u64,
    /// Where reading resumes if the loss is accepted.
    pub resume: u64,
}

impl Loss {
    /// The number of lost sequences. Zero only for [`LossKind::Recreated`].
    ///
    /// ```
    /// use tributary_connectors::nats::{Loss, LossKind};
    ///
    /// let loss = Loss { kind: LossKind::Dropped, from: 5, to: 9, resume: 10 };
    /// assert_eq!(loss.count(), 5);
    /// ```
    pub fn count(&self) -> u64 {
        (self.to + 1).saturating_sub(self.from)
    }

    /// The error that describes the loss and the command that accepts it.
    pub(super) fn error(&self, stream: &str) -> NatsError {
        let Loss { from, to, .. } = *self;
        let count = self.count();
        let (kind, what) = match self.kind {
            LossKind::Dropped => (
                NatsErrorKind::Lost,
                format!(
                    "no longer holds the {count} sequences from {from} to {to}, which were not read yet: data is lost \
                     upstream, by the stream's limits or a purge"
                ),
            ),
            LossKind::Truncated => (
                NatsErrorKind::StreamReset,
                format!(
                    "ends at sequence {}, but was read up to {to} before: its last {count} messages are lost, and what \
                     comes next will be taken for them",
                    from.saturating_sub(1)
                ),
            ),
            LossKind::Recreated => (
                NatsErrorKind::StreamReset,
                "is another one than was read before: it was made anew, and what was not read of the old one is lost"
                    .to_owned(),
            ),
        };
        NatsError::new(
            kind,
            format!(
                "stream {stream} {what}. To go on without it, from sequence {}: tributary run --accept-loss",
                self.resume
            ),
        )
    }
}

/// Finds what is lost for a reader of a stream.
///
/// `created` is the creation time of the stream that was read, Unix
/// nanoseconds; `None` if it was another one. `next` is the sequence to be read
/// next; `None` if reading begins with whatever the stream stores. The checks
/// are ordered: a recreated stream has sequences that mean nothing to the
/// reader.
pub(super) fn find_loss(
    state: &StreamState,
    next: Option<u64>,
    created: Option<i64>,
) -> Option<Loss> {
    let first = state.first_sequence.max(1);
    if created != Some(state.created_ns) {
        return Some(Loss {
            kind: LossKind::Recreated,
            from: 1,
            to: first - 1,
            resume: first,
        });
    }
    let next = next?;
    if state.last_sequence + 1 < next {
        return Some(Loss {
            kind: LossKind::Truncated,
            from: state.last_sequence + 1,
            to: next - 1,
            resume: state.last_sequence + 1,
        });
    }
    (first > next).then_some(Loss {
        kind: LossKind::Dropped,
        from: next,
        to: first - 1,
        resume: first,
    })
}

/// Finds what is lost as [`find_loss`], by an answer to a question that was asked when
/// `asked` was to be read next: what has been read since may be behind the answer.
pub(super) fn find_loss_since(
    state: &StreamState,
    asked: Option<u64>,
    next: Option<u64>,
    created: Option<i64>,
) -> Option<Loss> {
    let end = match (asked, next) {
        (Some(asked), Some(next)) if state.last_sequence + 1 >= asked => next - 1,
        _ => 0,
    };
    let state = StreamState {
        last_sequence: state.last_sequence.max(end),
        ..state.clone()
    };
    find_loss(&state, next, created)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(first: u64, last: u64) -> StreamState {
        StreamState {
            name: "S".to_owned(),
            created_ns: 7,
            first_sequence: first,
            last_sequence: last,
            messages: 0,
            bytes: 0,
            subjects: 0,
        }
    }

    #[test]
    fn what_was_read_is_no_loss() {
        for (first, last, next) in [(0, 0, 1), (1, 10, 1), (1, 10, 11), (11, 10, 11), (5, 10, 5)] {
            assert_eq!(find_loss(&state(first, last), Some(next), Some(7)), None);
        }
        // A first start takes what there is.
        assert_eq!(find_loss(&state(400, 900), None, Some(7)), None);
    }

    #[test]
    fn what_was_read_after_the_question_is_no_loss() {
        let found = |first, last, asked, next| {
            let loss = find_loss_since(&state(first, last), Some(asked), Some(next), Some(7));
            loss.map(|loss| (loss.kind, loss.count()))
        };
        // 11 to 29 were read while the answer was on its way.
        assert_eq!(found(1, 20, 11, 30), None);
        assert_eq!(found(1, 10, 11, 30), None);
        // The stream ended before what had been read when it was asked.
        assert_eq!(found(1, 9, 11, 30), Some((LossKind::Truncated, 20)));
        assert_eq!(found(1, 9, 11, 11), Some((LossKind::Truncated, 1)));
        // What was deleted before it was read is lost; what was read before that is not.
        assert_eq!(found(40, 50, 11, 30), Some((LossKind::Dropped, 10)));
        assert_eq!(found(30, 50, 11, 30), None);
        let first = find_loss_since(&state(400, 900), None, None, Some(7));
        assert_eq!(first, None);
    }

    #[test]
    fn each_loss_says_what_and_where_to_go_on() {
        let found = |first, last, next, created| {
            let loss = find_loss(&state(first, last), Some(next), Some(created)).unwrap();
            (loss.kind, loss.count(), loss.resume)
        };
        assert_eq!(found(11, 10, 5, 7), (LossKind::Dropped, 6, 11));
        assert_eq!(found(3, 10, 1, 7), (LossKind::Dropped, 2, 3));
        assert_eq!(found(1, 10, 12, 7), (LossKind::Truncated, 1, 11));
        assert_eq!(found(0, 0, 1, 8), (LossKind::Recreated, 0, 1));
        assert_eq!(found(4, 9, 6, 8), (LossKind::Recreated, 3, 4));
    }
}
