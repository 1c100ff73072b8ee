//! Times of a worker thread: how long it decodes, and how long its epochs take.
//!
//! Together with the profile of the dataflow they are a [`WorkerProfile`], which
//! is computed and reported at most once a second, and once at the end: the
//! sizes of states are estimated from samples, which takes about a millisecond.
//! Numbers of entries are added up over the cells, so that it takes longer the
//! more there are, and is reported less often: it takes a hundredth of the time.

use std::time::{Duration, Instant};

use tributary_operators::engine::{OperatorProfile, Profiler, StateSizes};

use crate::report::worker_profile::{DECODER, WorkerProfile};

/// Minimum time between two reports.
const INTERVAL: Duration = Duration::from_secs(1);

/// Times that a report must be apart, in durations of the last one.
const SHARE: u32 = 100;

/// For how long a time counts as recent: at least this long, and at most twice as
/// long.
const RECENT: Duration = Duration::from_secs(60);

/// The longest of some times: of all, and of the recent ones.
struct Longest {
    all: Duration,
    recent: Duration,
    /// The longest of the interval before.
    before: Duration,
    since: Instant,
}

impl Longest {
    fn new(now: Instant) -> Longest {
        Longest {
            all: Duration::ZERO,
            recent: Duration::ZERO,
            before: Duration::ZERO,
            since: now,
        }
    }

    /// Adds a time that ends now.
    fn add(&mut self, time: Duration, now: Instant) {
        if now.duration_since(self.since) >= RECENT {
            self.before = std::mem::take(&mut self.recent);
            self.since = now;
        }
        self.all = self.all.max(time);
        self.recent = self.recent.max(time);
    }
}

/// The times of a thread since its start.
pub(super) struct ThreadTimes {
    profiler: Profiler,
    /// Messages decoded.
    messages: u64,
    /// Time spent on decoding.
    decoding: Duration,
    /// The longest decoding of an epoch's messages.
    longest_decoding: Longest,
    /// The longest epoch.
    longest_epoch: Longest,
    /// The earliest time of the next report.
    due: Instant,
}

impl ThreadTimes {
    /// No times yet. `profiler` collects those of the dataflow.
    pub(super) fn new(profiler: Profiler) -> ThreadTimes {
        let now = Instant::now();
        ThreadTimes {
            profiler,
            messages: 0,
            decoding: Duration::ZERO,
            longest_decoding: Longest::new(now),
            longest_epoch: Longest::new(now),
            due: now + INTERVAL,
        }
    }

    /// Adds the decoding of some messages since a time.
    pub(super) fn decoded(&mut self, messages: usize, since: Instant) {
        let now = Instant::now();
        self.messages += messages as u64;
        self.decoding += now - since;
        self.longest_decoding.add(now - since, now);
    }

    /// Adds an epoch that began at a time and is finished now.
    pub(super) fn finished(&mut self, begun: Instant) {
        let now = Instant::now();
        self.longest_epoch.add(now - begun, now);
    }

    /// The profile, unless it was reported within the last second. With `always`
    /// in any case.
    pub(super) fn report(&mut self, sizes: &StateSizes, always: bool) -> Option<WorkerProfile> {
        let begun = Instant::now();
        if !always && begun < self.due {
            return None;
        }
        let mut operators = self.profiler.profile(sizes);
        let now = Instant::now();
        self.due = now + INTERVAL.max((now - begun) * SHARE);
        let decoder = OperatorProfile {
            updates: self.messages,
            busy: self.decoding,
            longest: self.longest_decoding.all,
            recent: self
                .longest_decoding
                .recent
                .max(self.longest_decoding.before),
            ..OperatorProfile::default()
        };
        operators.insert(DECODER, decoder);
        Some(WorkerProfile {
            operators,
            longest_epoch: self.longest_epoch.all,
            recent_epoch: self.longest_epoch.recent.max(self.longest_epoch.before),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_time_is_recent_for_a_minute_or_two() {
        let begun = Instant::now();
        let mut longest = Longest::new(begun);
        let mut add = |second: u64, millis: u64| {
            let now = begun + Duration::from_secs(second);
            longest.add(Duration::from_millis(millis), now);
            let recent = longest.recent.max(longest.before).as_millis();
            (recent, longest.all.as_millis())
        };
        assert_eq!(add(1, 500), (500, 500));
        assert_eq!(add(61, 2), (500, 500));
        assert_eq!(add(122, 3), (3, 500));
    }
}
