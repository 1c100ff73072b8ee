//! The numbers of epochs.
//!
//! A number is a count of milliseconds that begins with the broker's clock at
//! the start, so that several processes agree on it without communication,
//! whatever their own clocks show, and continues by the monotonic clock. It
//! begins above every epoch that was committed before, so that a clock that was
//! set back between two runs repeats no number. For the time, see
//! [`crate::epochs::clock`].

use std::time::Instant;

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

    #[test]
    fn a_clock_that_was_set_back_gives_no_epoch_twice() {
        let shared = 1_790_000_000_000;
        let ahead = EpochClock::after(0, shared).now() + 3_600_000;
        assert!(EpochClock::after(ahead, shared).now() > ahead);
        assert!(EpochClock::after(0, shared).now() < ahead);
        assert!(EpochClock::after(7, -1).now() > 7);
    }
}
