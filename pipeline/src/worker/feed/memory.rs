//! The memory budget: input waits at the broker instead of having the process
//! killed.
//!
//! A process that exceeds the memory of its host or container is killed without
//! a word, restores its state, and is killed again. With `workers.memory`, the
//! feed looks at the resident memory of the process: from [`TIGHT`] of the
//! budget on it pauses between epochs, so that work under way can end first, and
//! from [`FULL`] on it reads nothing until memory is below [`AGAIN`]. Everything
//! else goes on: queries, releases, rights requests and the retention pass, which
//! may free memory. Nothing is lost, because unread messages stay at the broker,
//! as long as its stream keeps them.

use std::time::{Duration, Instant};

use crate::live_config::LiveConfig;
use crate::report::metrics::resident_memory;

/// The shares of the budget, in percent: from which on input is slowed, from
/// which on it waits, and below which it goes on.
const TIGHT: u64 = 80;
const FULL: u64 = 95;
const AGAIN: u64 = 90;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How much of the budget is used, as input notices it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Input is read as it comes.
    #[default]
    Free,
    /// Input is slowed.
    Tight,
    /// Input waits at the broker.
    Full,
}

impl Level {
    /// The level at so many bytes, after another one.
    fn at(bytes: u64, budget: u64, before: Level) -> Level {
        let percent = u128::from(bytes) * 100 / u128::from(budget.max(1));
        let from = |percent_of: u64| percent >= u128::from(percent_of);
        match before {
            _ if from(FULL) => Level::Full,
            Level::Full if from(AGAIN) => Level::Full,
            _ if from(TIGHT) => Level::Tight,
            _ => Level::Free,
        }
    }

    /// How long the feed pauses before it reads on.
    pub(super) fn pause(self) -> Duration {
        match self {
            Level::Free => Duration::ZERO,
            Level::Tight => LOOK / 2,
            Level::Full => LOOK,
        }
    }
}

/// The budget of this process.
pub(super) struct Memory {
    /// Where the budget is, which may change.
    live: LiveConfig,
    /// Bytes at the last look; `None` without a budget.
    budget: Option<u64>,
    level: Level,
    looked: Option<Instant>,
    /// Resident bytes at the last look.
    bytes: u64,
}

impl Memory {
    /// The budget of a configuration, if it has one.
    pub(super) fn new(live: LiveConfig) -> Memory {
        Memory {
            live,
            budget: None,
            level: Level::Free,
            looked: None,
            bytes: 0,
        }
    }

    /// The level now; looks at the memory now and then.
    pub(super) fn level(&mut self) -> Level {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            let mebibytes = self.live.now().workers.memory_mib;
            self.budget = mebibytes.map(|mebibytes| mebibytes << 20);
            let Some(budget) = self.budget else {
                self.level = Level::Free;
                return self.level;
            };
            self.bytes = resident_memory().unwrap_or(0);
            let before = self.level;
            self.level = Level::at(self.bytes, budget, before);
            if before < Level::Full && self.level == Level::Full {
                tracing::error!(
                    bytes = self.bytes,
                    budget,
                    "no memory is left of workers.memory: input waits at the broker"
                );
            }
            if before == Level::Full && self.level < Level::Full {
                tracing::info!(bytes = self.bytes, budget, "input is read again");
            }
        }
        self.level
    }

    /// Why input waits, as a sentence; `None` if it does not.
    pub(super) fn reason(&self) -> Option<String> {
        let budget = self.budget.filter(|_| self.level == Level::Full)?;
        Some(format!(
            "input waits at the broker: {} of the {} MiB of workers.memory are used; raise it, or run more processes",
            self.bytes >> 20,
            budget >> 20
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_waits_until_there_is_room_again() {
        let mut level = Level::Free;
        let mut at = |bytes| {
            level = Level::at(bytes, 1_000, level);
            level
        };
        assert_eq!(at(799), Level::Free);
        assert_eq!(at(800), Level::Tight);
        assert_eq!(at(949), Level::Tight);
        assert_eq!(at(950), Level::Full);
        assert_eq!(at(900), Level::Full);
        assert_eq!(at(899), Level::Tight);
        assert_eq!(at(u64::MAX), Level::Full);
        assert_eq!(at(0), Level::Free);
    }
}
