//! What the sender of markers and those who watch for them share: which are waited for, and the times of
//! those that came. Each marker is counted once, when its cell comes or when it is given up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::measure::Times;

/// The source of all markers, a channel's first part.
pub(super) const SOURCE: &str = "loadtest";
/// Their medium.
pub(super) const MEDIUM: &str = "marker";
/// The largest number of markers that are waited for; beyond it the oldest count as lost.
pub(super) const MOST_WAITING: usize = 100_000;

/// What is waited for, and what came.
#[derive(Default)]
pub(super) struct Shared {
    /// Distinguishes the campaigns of this run.
    pub(super) run: String,
    /// The start of the run.
    pub(super) begin: Option<Instant>,
    /// The intended time of each marker whose cell has not come, by its number, ascending.
    pub(super) waiting: BTreeMap<u64, Instant>,
    /// The intended time of each counted marker that `/metrics` has not shown, in their order.
    pub(super) counted: VecDeque<Instant>,
    /// Counted markers that it has shown.
    pub(super) shown: u64,
    /// Markers that were sent.
    pub(super) sent: u64,
    /// From markers to their cells.
    pub(super) to_cell: Times,
    /// From counted markers to `/metrics`.
    pub(super) to_metrics: Times,
    /// Markers that were given up.
    pub(super) unseen: u64,
}

impl Shared {
    /// Notes that the cell of a marker has come now.
    pub(super) fn seen(&mut self, number: u64) {
        let (Some(due), Some(begin)) = (self.waiting.remove(&number), self.begin) else {
            return;
        };
        let after = due.saturating_duration_since(begin);
        self.to_cell.record(after, due.elapsed());
    }

    /// Whether everything has come. Where `/metrics` has shown no marker at all, none is waited for.
    pub(super) fn is_complete(&self) -> bool {
        self.waiting.is_empty() && (self.shown == 0 || self.counted.is_empty())
    }

    /// Gives up a marker.
    pub(super) fn give_up(&mut self, number: u64) {
        self.unseen += u64::from(self.waiting.contains_key(&number));
        self.seen(number);
    }

    /// Notes that `/metrics` shows a number of counted markers now.
    pub(super) fn shows(&mut self, count: u64) {
        let Some(begin) = self.begin else { return };
        while self.shown < count {
            let Some(due) = self.counted.pop_front() else {
                return;
            };
            self.shown += 1;
            let after = due.saturating_duration_since(begin);
            self.to_metrics.record(after, due.elapsed());
        }
    }
}

/// Locks what is shared. A panic of another thread does not matter.
pub(super) fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The campaign whose clicks are counted.
pub(super) fn counted_campaign(run: &str) -> String {
    format!("counted-{run}")
}
