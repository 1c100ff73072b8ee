//! Pace: when a message is due.

use std::time::{Duration, Instant};

use super::rate::RateCurve;

/// The speed of a replay.
#[derive(Clone, Debug, PartialEq)]
pub enum Pace {
    /// As fast as the broker accepts messages. Nothing is due at any time, so nothing is ever late.
    Free,
    /// A number of events per second, which may change.
    Rate(RateCurve),
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
    /// A pacer that starts at a time.
    pub(super) fn new(pace: Pace, begin: Instant) -> Pacer {
        Pacer {
            pace,
            begin,
            first_at: None,
        }
    }

    /// When the message after `events` events, with the time of arrival `at` (Unix milliseconds),
    /// is due; `None` if it is as soon as it can be sent. A time before that of the first message is
    /// due at once.
    pub(super) fn due(&mut self, events: u64, at: i64) -> Option<Instant> {
        let first = *self.first_at.get_or_insert(at);
        let after = match &self.pace {
            Pace::Free => return None,
            Pace::Rate(curve) => curve.time_of(events),
            Pace::SpeedUp(factor) => {
                let seconds = at.saturating_sub(first) as f64 / 1_000.0 / factor;
                Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
            }
        };
        Some(self.begin.checked_add(after).unwrap_or(self.begin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pace: Pace, events: u64, ats: [i64; 2]) -> Option<Duration> {
        let mut pacer = Pacer::new(pace, Instant::now());
        pacer.due(0, ats[0]);
        Some(pacer.due(events, ats[1])? - pacer.begin)
    }

    #[test]
    fn messages_are_due_by_rate_or_by_the_trace() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let rate = Pace::Rate(RateCurve::constant(500.0));
        assert_eq!(after(Pace::Free, 1_000, [0, 9_000]), None);
        assert_eq!(after(rate, 1_000, [0, 9_000]), seconds(2));
        let threefold = Pace::SpeedUp(3.0);
        assert_eq!(after(threefold.clone(), 1_000, [1_000, 10_000]), seconds(3));
        assert_eq!(after(threefold, 1_000, [10_000, 1_000]), seconds(0));
    }
}
