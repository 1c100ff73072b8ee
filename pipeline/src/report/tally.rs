//! What a process has counted, over all its threads: for summaries and metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tributary_connectors::dead_letter::{DeadLetter, Reason};
use tributary_operators::engine::Epoch;

use crate::report::counts::Counts;

/// Counts of all threads.
#[derive(Debug, Default)]
pub struct Tally {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    threads: BTreeMap<usize, (Epoch, Counts)>,
    dead: BTreeMap<(Option<String>, Option<String>, Reason), u64>,
    unreadable: Option<String>,
}

impl Tally {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what a thread has counted since it started.
    pub fn finished(&self, thread: usize, before: Epoch, counts: Counts) {
        self.inner().threads.insert(thread, (before, counts));
    }

    /// Notes that what was known before a restart cannot be read.
    pub fn set_unreadable(&self, why: String) {
        self.inner().unreadable.get_or_insert(why);
    }

    /// Why what was known before a restart cannot be read, where it cannot.
    pub fn unreadable(&self) -> Option<String> {
        self.inner().unreadable.clone()
    }

    /// Counts refused lines.
    pub fn dead(&self, letters: &[DeadLetter]) {
        let mut inner = self.inner();
        for letter in letters {
            let key = (letter.brand.clone(), letter.kind.clone(), letter.reason);
            *inner.dead.entry(key).or_default() += 1;
        }
    }

    /// The sum over all threads.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for (_, counts) in self.inner().threads.values() {
            sum.add(counts);
        }
        sum
    }

    /// The first epoch that some thread has not finished; 0 before the first report of every thread.
    pub fn finished_before(&self, threads: usize) -> Epoch {
        let inner = self.inner();
        if inner.threads.len() < threads {
            return 0;
        }
        inner
            .threads
            .values()
            .map(|(before, _)| *before)
            .min()
            .unwrap_or(0)
    }

    /// Refused lines by brand, kind and reason, where known.
    pub fn dead_letters(&self) -> BTreeMap<(Option<String>, Option<String>, Reason), u64> {
        self.inner().dead.clone()
    }

    /// Refused lines by reason.
    pub fn dead_by_reason(&self) -> BTreeMap<&'static str, u64> {
        let mut sums = BTreeMap::new();
        for ((_, _, reason), count) in &self.inner().dead {
            *sums.entry(reason.name()).or_default() += count;
        }
        sums
    }
}
