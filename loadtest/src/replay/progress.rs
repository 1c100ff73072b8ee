//! What a replay has sent so far, for the end of it and for whoever looks on meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::measure::{Percentiles, Times, TimesReport};

/// The largest number of seconds whose events are counted one by one; what is sent later counts in the
/// last of them.
const MOST_SECONDS: usize = 86_400;

/// How late a message may be sent before it counts as late. A sender on a busy machine is a few
/// milliseconds late now and then, and does not miss its rate for that.
const LATE: Duration = Duration::from_millis(100);

/// The largest share of late messages with which a rate counts as met.
const LATE_SHARE: f64 = 0.01;

/// The progress of a replay. Clones share it.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The start of the run.
    begin: Instant,
    /// What was sent.
    state: Arc<Mutex<State>>,
}

/// What was sent.
#[derive(Clone, Debug, Default)]
struct State {
    /// Events of messages that were sent.
    events: u64,
    /// Messages that were sent.
    messages: u64,
    /// Bytes of their payloads.
    bytes: u64,
    /// The newest time of arrival in the trace, Unix milliseconds; 0 before the first.
    at: i64,
    /// The time for which the last message was meant, from the start.
    last_due: Duration,
    /// Events up to that time, the last message aside.
    due_events: u64,
    /// The time at which the last message was sent, from the start.
    last_sent: Duration,
    /// From the intended time of a message to its acknowledgment.
    latency: Times,
    /// From the intended time of a message to its sending.
    lateness: Times,
    /// Events sent in each second.
    by_second: Vec<u64>,
}

/// The result of a replay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Events: each object of an NDJSON message counts.
    pub events: u64,
    /// Published messages.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Seconds from the start to the last acknowledgment.
    pub seconds: f64,
    /// Events per second.
    pub events_per_second: f64,
    /// Events per second that were asked for on average, unless it was as many as possible.
    pub asked_per_second: Option<f64>,
    /// From the intended time of a message to its acknowledgment; from its sending where no time was
    /// intended.
    pub latency: Percentiles,
    /// From the intended time of a message to its sending.
    pub lateness: Percentiles,
    /// Why the figures are not those of the rate that was asked for.
    pub missed: Option<String>,
    /// Lines of the trace that were not messages.
    pub skipped: u64,
}

/// The times of a replay, for a report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReplayTimes {
    /// From the intended time of a message to its acknowledgment.
    pub latency: TimesReport,
    /// From the intended time of a message to its sending.
    pub lateness: TimesReport,
    /// Events sent in each second.
    pub events_by_second: Vec<u64>,
}

impl Progress {
    /// The progress of a replay that starts now.
    pub fn new() -> Progress {
        Progress {
            begin: Instant::now(),
            state: Arc::default(),
        }
    }

    /// The progress of something else that has the same start.
    pub fn sibling(&self) -> Progress {
        Progress {
            begin: self.begin,
            state: Arc::default(),
        }
    }

    /// The start of the run.
    pub fn begin(&self) -> Instant {
        self.begin
    }

    /// The locked state. A panic of another thread does not matter.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a message was sent now that was meant for `due`.
    pub(super) fn sent(&self, due: Option<Instant>, events: u64, bytes: u64, at: i64) {
        let sent = self.begin.elapsed();
        let mut state = self.state();
        if let Some(due) = due {
            let due = due.saturating_duration_since(self.begin);
            state.lateness.record(due, sent.saturating_sub(due));
            if due >= state.last_due {
                (state.last_due, state.due_events) = (due, state.events);
            }
        }
        state.last_sent = state.last_sent.max(sent);
        state.events += events;
        state.messages += 1;
        state.bytes += bytes;
        state.at = state.at.max(at);
        let second = (sent.as_secs() as usize).min(MOST_SECONDS - 1);
        if state.by_second.len() <= second {
            state.by_second.resize(second + 1, 0);
        }
        if let Some(count) = state.by_second.get_mut(second) {
            *count += events;
        }
    }

    /// Records that a message was acknowledged now; `from` is when it was meant to be sent, or was.
    pub(super) fn acknowledged(&self, from: Instant) {
        let after = from.saturating_duration_since(self.begin);
        self.state().latency.record(after, from.elapsed());
    }

    /// Events sent so far.
    pub fn events(&self) -> u64 {
        self.state().events
    }

    /// Messages sent so far.
    pub fn messages(&self) -> u64 {
        self.state().messages
    }

    /// The newest time of arrival in the trace so far, Unix milliseconds; `None` before the first.
    pub fn trace_time(&self) -> Option<i64> {
        Some(self.state().at).filter(|at| *at > 0)
    }

    /// The result so far.
    pub fn summary(&self) -> Summary {
        let state = self.state();
        let seconds = self.begin.elapsed().as_secs_f64();
        let due = state.last_due.as_secs_f64();
        let asked = (state.due_events > 0 && due > 0.0).then(|| state.due_events as f64 / due);
        let late = state.lateness.share_above(LATE);
        let lateness = state.lateness.percentiles();
        let missed = (late > LATE_SHARE).then(|| {
            let sent = state.events as f64 / state.last_sent.as_secs_f64().max(1e-9);
            let asked = asked.map_or("as fast as messages were due".to_owned(), |asked| {
                format!("{asked:.0} events/s")
            });
            format!(
                "the rate was missed: asked for {asked}, sent {sent:.0} events/s; {:.1} % of the messages were more than \
                 {} ms late, the worst {:.1} s",
                late * 100.0,
                LATE.as_millis(),
                lateness.max_us as f64 / 1e6
            )
        });
        Summary {
            events: state.events,
            messages: state.messages,
            bytes: state.bytes,
            seconds,
            events_per_second: state.events as f64 / seconds.max(1e-9),
            asked_per_second: asked,
            latency: state.latency.percentiles(),
            lateness,
            missed,
            skipped: 0,
        }
    }

    /// The times so far, for a report.
    pub fn times(&self) -> ReplayTimes {
        let state = self.state();
        ReplayTimes {
            latency: state.latency.report(),
            lateness: state.lateness.report(),
            events_by_second: state.by_second.clone(),
        }
    }
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_missed_when_one_message_in_a_hundred_is_late() {
        let progress = Progress {
            begin: Instant::now().checked_sub(Duration::from_secs(10)).unwrap(),
            state: Arc::default(),
        };
        let due = |seconds_ago| Instant::now().checked_sub(Duration::from_secs(seconds_ago));
        for _ in 0..99 {
            progress.sent(due(0), 1, 1, 5);
        }
        assert_eq!(progress.summary().missed, None);
        for _ in 0..3 {
            progress.sent(due(4), 1, 1, 7);
        }
        let missed = progress.summary().missed.unwrap();
        assert!(missed.contains("2.9 % of the messages"), "{missed}");
        assert_eq!(progress.trace_time(), Some(7));
        // Where nothing is due, nothing is late.
        let free = Progress::new();
        free.sent(None, 1, 1, 5);
        assert_eq!(
            (free.summary().missed, free.summary().asked_per_second),
            (None, None)
        );
    }
}
