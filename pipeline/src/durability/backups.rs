//! The backup of this process, as those know it whose work it must not outlive.
//!
//! An erasure is complete when no copy of the backup can be read that holds the
//! person. [`Backup::renew`] precedes the report that it is, as
//! [`Standbys::secure`](super::standbys::Standbys::secure) does for standbys. The task
//! that writes the backup ([`crate::backup`]) answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

/// The longest time for which a request that is no erasure waits for the backup.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who waits for a renewal.
#[derive(Debug)]
pub struct Waiting {
    /// Receives the number of keys that could not be destroyed.
    pub done: oneshot::Sender<u64>,
    /// Whether the key is destroyed if the backup cannot be renewed.
    pub is_erasure: bool,
}

/// The backup of this process; clones share it.
#[derive(Clone, Debug)]
pub struct Backup(Option<Shared>);

#[derive(Clone, Debug)]
struct Shared {
    requests: mpsc::UnboundedSender<Waiting>,
    /// When it was last brought up to date, or the process began.
    renewed: Arc<Mutex<Instant>>,
}

impl Backup {
    /// None: `ledger.backup` is not set.
    pub fn none() -> Backup {
        Backup(None)
    }

    /// The backup of this process, and where the requests to renew it arrive.
    pub fn new() -> (Backup, mpsc::UnboundedReceiver<Waiting>) {
        let (requests, received) = mpsc::unbounded_channel();
        let renewed = Arc::new(Mutex::new(Instant::now()));
        (Backup(Some(Shared { requests, renewed })), received)
    }

    /// Returns when nothing can be read in any copy of the backup that the ledger and
    /// the files beside it did not hold at the time of this call. The number of keys that
    /// could not be destroyed is 0, or 1 if the directory holds the backup of another
    /// ledger. Never returns if the process ends.
    pub async fn renew(&self) -> u64 {
        self.ask(true).await
    }

    /// Returns when the backup has what the ledger and the files beside it held at the time
    /// of this call, or after [`PATIENCE`]: a disk that is away or slow holds up no request.
    pub async fn follow(&self) {
        if tokio::time::timeout(PATIENCE, self.ask(false))
            .await
            .is_err()
        {
            tracing::warn!("the backup does not have yet what was just answered");
        }
    }

    /// Asks for a renewal.
    async fn ask(&self, is_erasure: bool) -> u64 {
        let Some(shared) = &self.0 else { return 0 };
        let (done, renewed) = oneshot::channel();
        // Whoever does not answer has ended, with the process.
        let _ = shared.requests.send(Waiting { done, is_erasure });
        match renewed.await {
            Ok(left) => left,
            Err(_) => std::future::pending().await,
        }
    }

    /// Records that the backup is up to date with an earlier instant.
    pub fn set_renewed(&self, at: Instant) {
        if let Some(shared) = &self.0 {
            *shared
                .renewed
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = at;
        }
    }

    /// The time since the state that the backup has; zero without a backup.
    pub fn age(&self) -> Duration {
        let shared = self.0.as_ref();
        shared.map_or(Duration::ZERO, |shared| {
            let renewed = shared.renewed.lock();
            renewed.unwrap_or_else(PoisonError::into_inner).elapsed()
        })
    }
}
