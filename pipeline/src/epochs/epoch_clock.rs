//! Ticks: how long messages are collected for an epoch, and the number of the
//! epoch.
//!
//! Ticks widen while workers or input lag, because large epochs cost less per
//! message, and narrow when they do not. An epoch number is a count of
//! milliseconds that begins with the broker's clock at the start, so that
//! several processes agree on it without communication, whatever their own
//! clocks show, and continues by the monotonic clock. It begins above every
//! epoch that was committed before, so that a clock that was set back between
//! two runs repeats no number. For the time, see [`crate::epochs::clock`].

use std::time::{Duration, Instant};

/// Maximum length of a tick, unless the configured minimum is greater.
const WIDEST: Duration = Duration::from_secs(1);

/// The length of ticks, which adapts to the load.
#[derive(Debug)]
pub struct Tick {
    /// Minimum length (`workers.tick_ms`).
    narrowest: Duration,
    /// Current length.
    now: Duration,
}

impl Tick {
    /// A tick of minimum length.
    pub fn new(narrowest: Duration) -> Tick {
        let now = narrowest;
        Tick { narrowest, now }
    }

    /// Current length.
    pub fn length(&self) -> Duration {
        self.now
    }

    /// Doubles the length while messages wait or an epoch takes longer than two
    /// ticks; halves it otherwise.
    pub fn adapt(&mut self, caught_up: bool, lag: Duration) {
        self.now = if !caught_up || lag > self.now * 2 {
            (self.now * 2).min(WIDEST.max(self.narrowest))
        } else {
            (self.now / 2).max(self.narrowest)
        };
    }
}

/// Assigns numbers to the epochs of a process.
#[derive(Debug)]
pub struct EpochClock {
    /// Number of an epoch that begins at `since`.
    start: u64,
    /// When the clock was started.
    since: Instant,
}

impl EpochClock {
    /// A clock whose epochs are all above `epoch` and count from `shared`, a time
    /// in Unix milliseconds that all processes share.
    pub fn after(epoch: u64, shared: i64) -> EpochClock {
        let shared = u64::try_from(shared).unwrap_or(0);
        EpochClock {
            start: shared.max(epoch.saturating_add(1)),
            since: Instant::now(),
        }
    }

    /// Number of the epoch that begins now.
    pub fn now(&self) -> u64 {
        self.start + self.since.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn ticks_widen_under_lag_and_narrow_when_quiet() {
        let mut tick = Tick::new(MS(50));
        let lengths = |tick: &mut Tick, caught_up, lag| {
            let mut next = || {
                tick.adapt(caught_up, lag);
                tick.length().as_millis()
            };
            [next(), next(), next(), next(), next(), next()]
        };
        assert_eq!(
            lengths(&mut tick, false, MS(0)),
            [100, 200, 400, 800, 1000, 1000]
        );
        assert_eq!(
            lengths(&mut tick, true, MS(10)),
            [500, 250, 125, 62, 50, 50]
        );
        // Epochs that take longer than two ticks widen it until they do not.
        assert_eq!(
            lengths(&mut tick, true, MS(300)),
            [100, 200, 100, 200, 100, 200]
        );
        let mut wide = Tick::new(MS(5_000));
        assert_eq!(lengths(&mut wide, false, MS(0)), [5000; 6]);
    }

    #[test]
    fn a_clock_that_was_set_back_gives_no_epoch_twice() {
        let shared = 1_790_000_000_000;
        let ahead = EpochClock::after(0, shared).now() + 3_600_000;
        assert!(EpochClock::after(ahead, shared).now() > ahead);
        assert!(EpochClock::after(0, shared).now() < ahead);
        assert!(EpochClock::after(7, -1).now() > 7);
    }
}
