//! Pace: when a message is due.

use std::time::{Duration, Instant};

/// The speed of a replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as the broker accepts messages.
    Free,
    /// A number of events per second.
    Rate(f64),
    /// A multiple of the trace's own speed.
    SpeedUp(f64),
}

/// Computes when messages are due, relative to the first one.
pub(super) struct Pacer {
    /// The speed.
    pace: Pace,
    /// The start of the replay.
    begin: Instant,
    /// The time of arrival of the first message, Unix milliseconds.
    first_at: Option<i64>,
}

impl Pacer {
    /// A pacer that starts now.
    pub(super) fn new(pace: Pace) -> Pacer {
        Pacer {
            pace,
            begin: Instant::now(),
            first_at: None,
        }
    }

    /// When the message after `events` events, with the time of arrival `at` (Unix milliseconds),
    /// is due. A time before that of the first message is due at once.
    pub(super) fn due(&mut self, events: u64, at: i64) -> Instant {
        let first = *self.first_at.get_or_insert(at);
        let after = match self.pace {
            Pace::Free => 0.0,
            Pace::Rate(rate) => events as f64 / rate,
            Pace::SpeedUp(factor) => at.saturating_sub(first) as f64 / 1_000.0 / factor,
        };
        let after = Duration::try_from_secs_f64(after.max(0.0)).unwrap_or(Duration::MAX);
        self.begin.checked_add(after).unwrap_or(self.begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pace: Pace, events: u64, ats: [i64; 2]) -> Duration {
        let mut pacer = Pacer::new(pace);
        pacer.due(0, ats[0]);
        pacer.due(events, ats[1]) - pacer.begin
    }

    #[test]
    fn messages_are_due_by_rate_or_by_the_trace() {
        let seconds = Duration::from_secs;
        assert_eq!(after(Pace::Free, 1_000, [0, 9_000]), seconds(0));
        assert_eq!(after(Pace::Rate(500.0), 1_000, [0, 9_000]), seconds(2));
        assert_eq!(
            after(Pace::SpeedUp(3.0), 1_000, [1_000, 10_000]),
            seconds(3)
        );
        assert_eq!(
            after(Pace::SpeedUp(3.0), 1_000, [10_000, 1_000]),
            seconds(0)
        );
    }
}
