//! A bounded queue between a part of the process and the export, and what became
//! of its entries.
//!
//! Whoever adds an entry never waits and never fails: if the queue is full, the
//! entry is dropped and counted. Every entry ends up either sent or dropped, so
//! that the two counts say what a collector has missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::mpsc;

/// Maximum number of entries that wait for the export, of each signal.
const QUEUED: usize = 8_192;

/// A signal of OpenTelemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log lines.
    Logs,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Signal; 2] = [Signal::Traces, Signal::Logs];

    /// Its name, which is also that of its path below the endpoint.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
        }
    }
}

/// Number of entries that the collector has taken, and that were dropped.
#[derive(Debug, Default)]
pub struct Outcomes {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Outcomes {
    /// Counts entries that the collector has taken.
    pub(super) fn add_sent(&self, entries: u64) {
        self.sent.fetch_add(entries, Relaxed);
    }

    /// Counts entries that were dropped.
    pub(super) fn add_dropped(&self, entries: u64) {
        self.dropped.fetch_add(entries, Relaxed);
    }

    /// Number of entries that the collector has taken.
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// Number of entries that were dropped: the queue was full, or the collector did
    /// not take them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

/// The end of a queue that takes entries.
pub(super) struct Queue<T> {
    entries: mpsc::Sender<T>,
    outcomes: Arc<Outcomes>,
}

impl<T> Queue<T> {
    /// A queue, and the end that the export reads.
    pub(super) fn new() -> (Queue<T>, mpsc::Receiver<T>) {
        let (entries, receiver) = mpsc::channel(QUEUED);
        let outcomes = Arc::default();
        (Queue { entries, outcomes }, receiver)
    }

    /// Whether anybody reads the queue.
    pub(super) fn is_read(&self) -> bool {
        !self.entries.is_closed()
    }

    /// Adds an entry, or drops and counts it.
    pub(super) fn push(&self, entry: T) {
        if self.entries.try_send(entry).is_err() {
            self.outcomes.add_dropped(1);
        }
    }

    /// What became of the entries.
    pub(super) fn outcomes(&self) -> Arc<Outcomes> {
        self.outcomes.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let (queue, mut receiver) = Queue::new();
        for entry in 0..QUEUED + 3 {
            queue.push(entry);
        }
        assert_eq!(queue.outcomes().dropped(), 3);
        assert_eq!(receiver.try_recv(), Ok(0));
        queue.push(9);
        assert_eq!(queue.outcomes().dropped(), 3);
        assert!(queue.is_read());
        drop(receiver);
        assert!(!queue.is_read());
    }
}
