//! Counts of a process over all its threads, for summaries and metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tributary_connectors::dead_letter::{DeadLetter, Reason};
use tributary_operators::engine::Epoch;

use crate::report::counts::Counts;
use crate::report::worker_profile::{WorkerProfile, WorkerProfiles};

/// Counts of all threads, shared by the threads and their readers.
#[derive(Debug, Default)]
pub struct Tally {
    inner: Mutex<Inner>,
    /// Wakes the feed when a thread has finished an epoch.
    more: Notify,
}

/// The counts.
#[derive(Debug, Default)]
struct Inner {
    /// For each thread, the first epoch that is not finished, and its counts.
    threads: BTreeMap<usize, (Epoch, Counts)>,
    /// Number of dead letters by brand, kind and reason, as far as the line names
    /// them.
    dead: BTreeMap<(Option<String>, Option<String>, Reason), u64>,
    /// The last profile of each thread.
    profiles: WorkerProfiles,
    /// Why the state of before a restart cannot be read.
    unreadable: Option<String>,
}

impl Tally {
    /// Locks the counts. A poisoned lock is used as it is.
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the counts of a thread by those since its start. All epochs below
    /// `before` are finished.
    pub fn finished(&self, thread: usize, before: Epoch, counts: Counts) {
        self.inner().threads.insert(thread, (before, counts));
        self.more.notify_one();
    }

    /// Waits until a thread has finished an epoch since the last call. Only one task
    /// may wait.
    pub async fn finished_more(&self) {
        self.more.notified().await;
    }

    /// Records why the state of before a restart cannot be read. The first reason
    /// is kept.
    pub fn set_unreadable(&self, why: String) {
        self.inner().unreadable.get_or_insert(why);
    }

    /// Why the state of before a restart cannot be read; `None` if it can.
    pub fn unreadable(&self) -> Option<String> {
        self.inner().unreadable.clone()
    }

    /// Counts dead letters.
    pub fn dead(&self, letters: &[DeadLetter]) {
        let mut inner = self.inner();
        for letter in letters {
            let key = (letter.brand.clone(), letter.kind.clone(), letter.reason);
            *inner.dead.entry(key).or_default() += 1;
        }
    }

    /// Replaces the profile of a thread.
    pub fn profile(&self, thread: usize, profile: WorkerProfile) {
        self.inner().profiles.insert(thread, profile);
    }

    /// The profiles of the threads that have reported one.
    pub fn profiles(&self) -> WorkerProfiles {
        self.inner().profiles.clone()
    }

    /// Sum over all threads.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for (_, counts) in self.inner().threads.values() {
            sum.add(counts);
        }
        sum
    }

    /// The first epoch that some thread has not finished; 0 before the first report
    /// of every thread.
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

    /// Number of dead letters by brand, kind and reason.
    pub fn dead_letters(&self) -> BTreeMap<(Option<String>, Option<String>, Reason), u64> {
        self.inner().dead.clone()
    }

    /// Number of dead letters by reason.
    pub fn dead_by_reason(&self) -> BTreeMap<&'static str, u64> {
        let mut sums = BTreeMap::new();
        for ((_, _, reason), count) in &self.inner().dead {
            *sums.entry(reason.name()).or_default() += count;
        }
        sums
    }
}
