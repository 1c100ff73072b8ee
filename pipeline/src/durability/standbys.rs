//! The standbys of this process, as the process that leads knows them: which
//! state of the ledger each has copied.
//!
//! A standby copies the ledger a moment after it has changed. For records that
//! is harmless, because it reads the input again from the position of its copy.
//! A step that *deletes* what a standby would read again must not be followed by
//! a takeover with an older copy, and neither must a step that tells somebody
//! outside that something is done. [`Standbys::secure`] precedes each of these:
//!
//! 1. It waits until the standbys have a newer state, so that one of them can
//!    take over at any moment. A standby that is slow is not waited for longer
//!    than [`PATIENCE`].
//! 2. It states at the broker, in the lease, that nobody may take over with a
//!    state that was copied before ([`Fence::raise_barrier`]). This is what is
//!    relied upon, also for a standby that is cut off.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tributary_connectors::nats::{Fence, TERM};

/// Maximum time to wait for standbys.
const PATIENCE: Duration = Duration::from_secs(30);

/// Interval between two looks at what they have.
const LOOK: Duration = Duration::from_millis(50);

/// Maximum number of standbys that are remembered.
const MOST: usize = 64;

/// What a standby has.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// When it sent its last request.
    seen: Instant,
    /// The number of the state that it has; 0 for none.
    state: u64,
}

/// The standbys of this process; clones share them.
#[derive(Clone, Debug)]
pub struct Standbys(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    fence: Fence,
    /// The number of the last state that was read for a standby.
    states: AtomicU64,
    /// By the ID of its copy.
    held: Mutex<BTreeMap<String, Held>>,
}

impl Standbys {
    /// None, and nothing to wait for: `workers.standby` is off.
    pub fn none() -> Standbys {
        Standbys(None)
    }

    /// Those of the process that holds this lease.
    pub fn of(fence: Fence) -> Standbys {
        Standbys(Some(Arc::new(Shared {
            fence,
            states: AtomicU64::new(0),
            held: Mutex::default(),
        })))
    }

    /// The number of the state that is read next. It must be taken before anything
    /// of the state is read.
    pub fn next_state(&self) -> u64 {
        let states = self.0.as_ref().map(|shared| &shared.states);
        states.map_or(0, |states| states.fetch_add(1, SeqCst) + 1)
    }

    /// Records that a standby has a state; 0 for none.
    pub fn has(&self, copy: &str, state: u64) {
        let Some(shared) = &self.0 else {
            return;
        };
        let mut held = shared.held.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = Instant::now();
        held.retain(|_, held| held.seen.elapsed() < TERM);
        if held.len() < MOST || held.contains_key(copy) {
            held.insert(copy.to_owned(), Held { seen, state });
        }
    }

    /// The number of standbys that have a state and sent a request lately.
    pub fn count(&self) -> usize {
        self.lately(|held| held.state > 0)
    }

    /// The number of standbys that sent a request lately and of which `is` holds.
    fn lately(&self, is: impl Fn(&Held) -> bool) -> usize {
        let Some(shared) = &self.0 else {
            return 0;
        };
        let held = shared.held.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = held.values().filter(|held| held.seen.elapsed() < TERM);
        lately.filter(|held| is(held)).count()
    }

    /// Returns when no standby can take over with a state from before this call,
    /// and those that are connected have a newer one. Never returns if the lease is
    /// lost: the process ends, and what follows is no longer its to do.
    pub async fn secure(&self) {
        let Some(shared) = &self.0 else {
            return;
        };
        let next = shared.states.load(SeqCst) + 1;
        let begun = Instant::now();
        while self.lately(|held| held.state > 0 && held.state < next) > 0 {
            if begun.elapsed() > PATIENCE {
                tracing::warn!(
                    "a standby is slow to copy the ledger: until it has, it cannot take over"
                );
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        if !shared.fence.raise_barrier(next).await {
            std::future::pending::<()>().await;
        }
    }
}
