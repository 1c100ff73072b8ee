//! Compaction: superseded entries, and entries to be erased, leave the ledger.
//!
//! Duplicates and corrected records stand in the ledger beside their replacements. When they are many, a thread of its own
//! rewrites the segments without them while commits go on; then the new segments replace the old ones. No number depends on
//! when that happens, or on whether it does.
//!
//! An erasure is the same work, begun at once and for all erasures that wait: each caller is answered when the old segments
//! are overwritten and removed (invariant I3). If the process ends first, the erasure was not done, and is requested again. So
//! is the second half of a key rotation, after which no entry opens under an older secret. Pings of settled salt days leave in
//! the same way, in a rewrite that nobody waits for. Keys rotate between two rewrites: a rewrite that has begun still seals
//! with the keys of before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::{JoinError, JoinHandle};
use tributary_ledger::{ErasureFilter, Ledger, LedgerError, Rewrite, RewriteResult};
use tributary_operators::record::{BrandId, Day};

use crate::durability::command::Erasure;
use crate::durability::command::{KeyRotation, Progress};
use crate::report::tally::Tally;

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
    /// Secrets that the ledger has not taken yet.
    rotations: Vec<KeyRotation>,
    /// What the next rewrite is for.
    waiting: Purpose,
    /// What the one under way is for.
    purpose: Purpose,
    under_way: Option<JoinHandle<Result<RewriteResult, LedgerError>>>,
    written: Option<Result<Result<RewriteResult, LedgerError>, JoinError>>,
}

/// What a rewrite is for, and who waits for it.
#[derive(Default)]
struct Purpose {
    /// What is to be forgotten.
    erasures: Vec<Erasure>,
    /// Secrets that the ledger has taken, and that everything is to be sealed under.
    rotations: Vec<KeyRotation>,
    /// For each brand the first salt day whose pings stay. The caller of an erasure learns
    /// how much it erased, so these go in a rewrite of their own.
    settled: BTreeMap<BrandId, Day>,
}

impl Purpose {
    fn append(&mut self, other: &mut Purpose) {
        self.erasures.append(&mut other.erasures);
        self.rotations.append(&mut other.rotations);
        for (brand, before) in std::mem::take(&mut other.settled) {
            self.drop_pings(brand, before);
        }
    }

    fn drop_pings(&mut self, brand: BrandId, before: Day) {
        let mine = self.settled.entry(brand).or_insert(before);
        *mine = (*mine).max(before);
    }

    fn is_empty(&self) -> bool {
        self.erasures.is_empty() && self.rotations.is_empty() && self.settled.is_empty()
    }

    fn is_waited_for(&self) -> bool {
        !self.erasures.is_empty() || !self.rotations.is_empty()
    }

    /// What the next rewrite is for; the rest stays here.
    fn next(&mut self) -> Purpose {
        let mut next = std::mem::take(self);
        if next.is_waited_for() {
            self.settled = std::mem::take(&mut next.settled);
        }
        next
    }

    /// What is to be forgotten.
    fn forget(&self) -> ErasureFilter {
        let mut forget = ErasureFilter::default();
        for erasure in &self.erasures {
            forget.extend(erasure.forget.clone());
        }
        if !self.is_waited_for() {
            forget.pings_before.extend(self.settled.clone());
        }
        forget
    }
}

impl Compaction {
    /// Nothing is under way.
    pub fn new(tally: Arc<Tally>) -> Compaction {
        Compaction {
            tally,
            seen: 0,
            rotations: Vec::new(),
            waiting: Purpose::default(),
            purpose: Purpose::default(),
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
        self.waiting.erasures.push(erasure);
    }

    /// Takes secrets that the ledger is to take, as soon as no rewrite is under way.
    pub fn rotate(&mut self, rotation: KeyRotation) {
        self.rotations.push(rotation);
    }

    /// The secrets that the ledger is to take now.
    pub fn rotations(&mut self) -> Vec<KeyRotation> {
        match self.is_idle() {
            true => std::mem::take(&mut self.rotations),
            false => Vec::new(),
        }
    }

    /// The ledger has taken these secrets: the next rewrite moves what is behind.
    pub fn move_up(&mut self, rotation: KeyRotation) {
        self.waiting.rotations.push(rotation);
    }

    /// Whether a rewrite is to begin because somebody waits for it.
    pub fn is_wanted(&self) -> bool {
        self.is_idle() && !self.waiting.is_empty()
    }

    /// The pings of a brand's salt days before one are to go.
    pub fn drop_pings(&mut self, brand: BrandId, before: Day) {
        self.waiting.drop_pings(brand, before);
    }

    /// What the next rewrite is to forget.
    pub fn forget(&self) -> ErasureFilter {
        self.waiting.forget()
    }

    /// Begins to write the segments anew, for everybody who waits.
    pub fn begin(&mut self, rewrite: Rewrite) {
        self.seen = self.superseded();
        self.purpose = self.waiting.next();
        let rotations = self.purpose.rotations.iter();
        let watchers: Vec<_> = rotations
            .map(|rotation| rotation.progress.clone())
            .collect();
        let work = move || {
            rewrite.run(&mut |read, total| {
                for progress in &watchers {
                    progress.send_replace(Progress::Moving { read, total });
                }
            })
        };
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
    pub async fn finished(&mut self) -> anyhow::Result<Option<RewriteResult>> {
        if self.under_way.as_ref().is_some_and(JoinHandle::is_finished) {
            self.written().await;
        }
        let Some(written) = self.written.take() else {
            return Ok(None);
        };
        match written? {
            Ok(rewritten) => Ok(Some(rewritten)),
            Err(error) => {
                tracing::warn!(error = %error, "cannot compact the ledger; retrying later");
                // What is to be forgotten is asked for again at once otherwise.
                if !self.purpose.is_empty() {
                    tokio::time::sleep(PAUSE).await;
                }
                self.waiting.append(&mut self.purpose);
                Ok(None)
            }
        }
    }

    /// The new segments have taken the place of the old ones.
    pub fn installed(&mut self, done: Installed) {
        let Installed {
            forgotten,
            moved,
            files,
        } = done;
        let Purpose {
            erasures,
            rotations,
            settled: _,
        } = std::mem::take(&mut self.purpose);
        for erasure in erasures {
            let _ = erasure.done.send(forgotten);
        }
        for rotation in rotations {
            rotation
                .progress
                .send_replace(Progress::Done { moved, files });
        }
    }

    /// The new segments found no room: who waits for them waits for the next rewrite.
    pub fn refused(&mut self) {
        self.waiting.append(&mut self.purpose);
    }

    fn superseded(&self) -> u64 {
        let stages = self.tally.counts().stages;
        stages.duplicates + stages.corrections + stages.superseded + stages.repeated_statements
    }
}

/// What a rewrite has done.
pub struct Installed {
    /// Entries that were to be forgotten.
    pub forgotten: u64,
    /// Entries that were sealed under a secret that was exchanged.
    pub moved: u64,
    /// Files that were overwritten and removed.
    pub files: usize,
}

/// Puts the new segments in the place of the old ones, which are overwritten and removed.
pub fn install(ledger: &mut Ledger, done: RewriteResult) -> anyhow::Result<Installed> {
    let (superseded, forgotten, moved) = (done.superseded, done.erased.total(), done.rekeyed);
    let files = ledger
        .install(done)?
        .run()
        .context("the replaced segments")?;
    tracing::info!(
        superseded,
        forgotten,
        moved,
        files,
        bytes = ledger.stats().bytes,
        "compacted the ledger"
    );
    Ok(Installed {
        forgotten,
        moved,
        files,
    })
}
