//! Compaction: what was superseded, and what is to be forgotten, leaves the ledger.
//!
//! Duplicates and corrected records stand in the ledger beside what replaced them. When they are many, a thread of its
//! own writes the segments anew without them, while commits go on; then the new segments take the place of the old. No
//! number depends on when that happens, or on whether it does.
//!
//! An erasure is the same work, begun at once and for as many erasures as have come: whoever asked hears of it when the
//! old segments are overwritten and gone (invariant I3). Where the process ends before, it was not done, and is asked
//! for again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::{JoinError, JoinHandle};
use tributary_ledger::{Forget, Ledger, LedgerError, Rewrite, Rewritten};

use crate::commits::Erasure;
use crate::tally::Tally;

/// Fewer superseded entries are not worth the work.
const LEAST: u64 = 100_000;

/// How long an erasure that failed waits before it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Compaction begins when one entry of so many is superseded.
const SHARE: u64 = 4;

/// Watches how much of the ledger is superseded, and compacts it.
pub struct Compaction {
    tally: Arc<Tally>,
    /// What had been superseded when the last compaction began.
    seen: u64,
    /// What is to be forgotten by the next rewrite.
    waiting: Vec<Erasure>,
    /// What is being forgotten by the one under way.
    erasing: Vec<Erasure>,
    under_way: Option<JoinHandle<Result<Rewritten, LedgerError>>>,
    written: Option<Result<Result<Rewritten, LedgerError>, JoinError>>,
}

impl Compaction {
    /// Nothing is under way.
    pub fn new(tally: Arc<Tally>) -> Compaction {
        Compaction {
            tally,
            seen: 0,
            waiting: Vec::new(),
            erasing: Vec::new(),
            under_way: None,
            written: None,
        }
    }

    /// Whether a compaction should begin in a ledger of so many entries.
    pub fn is_due(&self, entries: u64) -> bool {
        let fresh = self.superseded().saturating_sub(self.seen);
        self.is_idle() && fresh >= LEAST.max(entries / SHARE)
    }

    fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.written.is_none()
    }

    /// Takes an erasure, for the next rewrite.
    pub fn erase(&mut self, erasure: Erasure) {
        self.waiting.push(erasure);
    }

    /// Whether a rewrite is to begin because something is to be forgotten.
    pub fn has_erasures(&self) -> bool {
        self.is_idle() && !self.waiting.is_empty()
    }

    /// Everything that waits to be forgotten.
    pub fn forget(&self) -> Forget {
        let mut forget = Forget::default();
        for erasure in &self.waiting {
            forget.extend(erasure.forget.clone());
        }
        forget
    }

    /// Begins to write the segments anew, with everything forgotten that waits.
    pub fn begin(&mut self, rewrite: Rewrite) {
        self.seen = self.superseded();
        self.erasing.append(&mut self.waiting);
        let work = move || rewrite.run(&mut |_, _| {});
        self.under_way = Some(tokio::task::spawn_blocking(work));
    }

    /// Comes back when the new segments are written; never where nothing is under way.
    pub async fn written(&mut self) {
        let Some(work) = &mut self.under_way else {
            return std::future::pending().await;
        };
        self.written = Some(work.await);
        self.under_way = None;
    }

    /// The new segments, once they are written.
    pub async fn finished(&mut self) -> anyhow::Result<Option<Rewritten>> {
        if self.under_way.as_ref().is_some_and(JoinHandle::is_finished) {
            self.written().await;
        }
        let Some(written) = self.written.take() else {
            return Ok(None);
        };
        match written? {
            Ok(rewritten) => Ok(Some(rewritten)),
            Err(error) => {
                tracing::warn!(error = %error, "the ledger could not be compacted, which is tried again later");
                // What is to be forgotten is asked for again at once otherwise.
                if !self.erasing.is_empty() {
                    tokio::time::sleep(PAUSE).await;
                }
                self.waiting.append(&mut self.erasing);
                Ok(None)
            }
        }
    }

    /// The new segments have taken the place of the old ones, so many entries less.
    pub fn installed(&mut self, forgotten: u64) {
        for erasure in self.erasing.drain(..) {
            let _ = erasure.done.send(forgotten);
        }
    }

    /// The new segments found no room: what was to be forgotten waits for the next rewrite.
    pub fn refused(&mut self) {
        self.waiting.append(&mut self.erasing);
    }

    fn superseded(&self) -> u64 {
        let stages = self.tally.counts().stages;
        stages.duplicates + stages.corrections + stages.superseded
    }
}

/// Puts the new segments in the place of the old ones, which are overwritten and removed.
pub fn install(ledger: &mut Ledger, done: Rewritten) -> anyhow::Result<()> {
    let (superseded, forgotten) = (done.superseded, done.forgotten.total());
    let files = ledger
        .install(done)?
        .run()
        .context("the replaced segments")?;
    tracing::info!(
        superseded,
        forgotten,
        files,
        bytes = ledger.stats().bytes,
        "compacted the ledger"
    );
    Ok(())
}
