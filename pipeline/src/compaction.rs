//! Compaction: what was superseded leaves the ledger.
//!
//! Duplicates and corrected records stand in the ledger beside what replaced them. When they are many, a thread of its
//! own writes the segments anew without them, while commits go on; then the new segments take the place of the old. No
//! number depends on when that happens, or on whether it does.

use std::sync::Arc;

use anyhow::Context;
use tokio::task::JoinHandle;
use tributary_ledger::{Ledger, LedgerError, Rewrite, Rewritten};

use crate::tally::Tally;

/// Fewer superseded entries are not worth the work.
const LEAST: u64 = 100_000;

/// Compaction begins when one entry of so many is superseded.
const SHARE: u64 = 4;

/// Watches how much of the ledger is superseded, and compacts it.
pub struct Compaction {
    tally: Arc<Tally>,
    /// What had been superseded when the last compaction began.
    seen: u64,
    under_way: Option<JoinHandle<Result<Rewritten, LedgerError>>>,
}

impl Compaction {
    /// Nothing is under way.
    pub fn new(tally: Arc<Tally>) -> Compaction {
        Compaction {
            tally,
            seen: 0,
            under_way: None,
        }
    }

    /// Whether a compaction should begin in a ledger of so many entries.
    pub fn is_due(&self, entries: u64) -> bool {
        let fresh = self.superseded().saturating_sub(self.seen);
        self.under_way.is_none() && fresh >= LEAST.max(entries / SHARE)
    }

    /// Begins to write the segments anew.
    pub fn begin(&mut self, rewrite: Rewrite) {
        self.seen = self.superseded();
        let work = move || rewrite.run(&mut |_, _| {});
        self.under_way = Some(tokio::task::spawn_blocking(work));
    }

    /// The new segments, once they are written.
    pub async fn finished(&mut self) -> anyhow::Result<Option<Rewritten>> {
        let Some(work) = self.under_way.take_if(|work| work.is_finished()) else {
            return Ok(None);
        };
        match work.await? {
            Ok(rewritten) => Ok(Some(rewritten)),
            Err(error) => {
                tracing::warn!(error = %error, "the ledger could not be compacted, which is tried again later");
                Ok(None)
            }
        }
    }

    fn superseded(&self) -> u64 {
        let stages = self.tally.counts().stages;
        stages.duplicates + stages.corrections + stages.superseded
    }
}

/// Puts the new segments in the place of the old ones, which are overwritten and removed.
pub fn install(ledger: &mut Ledger, done: Rewritten) -> anyhow::Result<()> {
    let superseded = done.superseded;
    let files = ledger
        .install(done)?
        .run()
        .context("the replaced segments")?;
    tracing::info!(
        superseded,
        files,
        bytes = ledger.stats().bytes,
        "compacted the ledger"
    );
    Ok(())
}
