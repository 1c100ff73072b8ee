//! The delivery of one signal: its queue is emptied in batches, each of which is
//! repeated for a while and then dropped.
//!
//! A batch waits a second for company. While one is repeated, entries wait in the
//! queue, which is bounded: a collector that is away for a few seconds misses
//! nothing, and one that stays away costs no memory. Once the export is to end,
//! nothing waits any more: what is in the queue is sent at once, batch after batch.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::client::Client;
use super::queue::{Outcomes, Signal};

/// Maximum number of entries in a batch.
const BATCH: usize = 512;

/// How long a batch collects entries from its first one on.
const WAIT: Duration = Duration::from_secs(1);

/// Number of attempts for a batch.
const ATTEMPTS: u32 = 5;

/// The pause after the first attempt that fails, unless the collector asks for another; it doubles with each further one.
const PAUSE: Duration = Duration::from_secs(1);

/// Writes a batch as a message.
pub(super) type Encode<T> = Box<dyn Fn(&[T]) -> Bytes + Send>;

/// The delivery of a signal.
pub(super) struct Delivery<T> {
    pub(super) signal: Signal,
    /// The end of the queue.
    pub(super) entries: mpsc::Receiver<T>,
    pub(super) outcomes: Arc<Outcomes>,
    pub(super) client: Arc<Client>,
    /// Writes a batch.
    pub(super) encode: Encode<T>,
    /// Number of entries that an answer rejects.
    pub(super) rejected: fn(&[u8]) -> u64,
    /// Becomes true when the export is to end.
    pub(super) stop: watch::Receiver<bool>,
}

impl<T> Delivery<T> {
    /// Delivers what is added to the queue, until the end of the export and then until
    /// the queue is empty.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::new();
        let mut is_taken = true;
        loop {
            self.gather(&mut batch).await;
            if batch.is_empty() {
                return;
            }
            is_taken = self.deliver(&batch, is_taken).await;
            batch.clear();
        }
    }

    /// Collects a batch. It stays empty at the end alone.
    async fn gather(&mut self, batch: &mut Vec<T>) {
        let mut until = None;
        while batch.len() < BATCH {
            let wait = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                count = self.entries.recv_many(batch, BATCH - batch.len()) => {
                    if count == 0 {
                        return;
                    }
                    until.get_or_insert_with(|| Instant::now() + WAIT);
                }
                () = stopped(&mut self.stop) => return,
                () = wait => return,
            }
        }
    }

    /// Sends a batch, and counts what becomes of it. Returns whether the collector
    /// has taken it; `was_taken` is the same of the batch before. The log names a
    /// failure once, and its end.
    async fn deliver(&mut self, batch: &[T], was_taken: bool) -> bool {
        let (signal, entries) = (self.signal.name(), batch.len() as u64);
        let body = (self.encode)(batch);
        let mut is_known = !was_taken;
        for attempt in 0..ATTEMPTS {
            let error = match self.client.post(self.signal, body.clone()).await {
                Ok(answer) => {
                    let rejected = (self.rejected)(&answer).min(entries);
                    self.outcomes.add_sent(entries - rejected);
                    self.outcomes.add_dropped(rejected);
                    if is_known {
                        tracing::info!(signal, "the collector takes telemetry again");
                    }
                    return true;
                }
                Err(error) => error,
            };
            if !is_known {
                tracing::warn!(signal, %error, "the collector does not take telemetry; what it misses is dropped and counted");
                is_known = true;
            }
            if error.is_final() || attempt + 1 == ATTEMPTS {
                break;
            }
            let pause = error.retry_after();
            tokio::select! {
                () = sleep(pause.unwrap_or(PAUSE * 2_u32.pow(attempt))) => {}
                () = stopped(&mut self.stop) => {}
            }
        }
        self.outcomes.add_dropped(entries);
        false
    }
}

/// Returns when the export is to end.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever ends it may be gone.
    let _ = stop.wait_for(|stop| *stop).await;
}
