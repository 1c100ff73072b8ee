//! Compaction: superseded and erased entries leave the ledger.
//!
//! Duplicates and corrected records are stored in the ledger beside their
//! replacements. When there are many, a blocking thread rewrites the segments
//! without them while commits continue; the new segments then replace the old
//! ones. No result depends on when that happens, or whether it does.
//!
//! The same rewrite serves other requests. An erasure begins at once, for all
//! erasures that wait, and each caller is answered when the old segments are
//! overwritten and removed (invariant I3). A key rotation is followed by a
//! rewrite after which no entry opens under an older secret. Pings of settled
//! salt days leave in a rewrite that nobody waits for. If the process ends
//! first, erasure and rotation were not done and are requested again. Keys
//! rotate between two rewrites: a rewrite that has begun still seals with the
//! previous keys.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tributary_ledger::{ErasureFilter, Ledger, LedgerError, Removed, Rewrite, RewriteResult};
use tributary_operators::record::{BrandId, Day};

use crate::durability::command::{Erasure, ErasureOutcome};
use crate::durability::command::{KeyRotation, Progress};
use crate::otlp::record::Count;
use crate::otlp::spans::{Traces, Work};
use crate::report::tally::Tally;

/// Minimum number of superseded entries for a compaction.
const LEAST: u64 = 100_000;

/// Delay before a failed rewrite is repeated: it doubles with each failure, to
/// [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);

/// The longest delay between two attempts of a rewrite.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A compaction begins when one in this many entries is superseded.
const SHARE: u64 = 4;

/// Decides when to rewrite the ledger, and keeps the requests that a rewrite
/// serves.
pub struct Compaction {
    /// Counts of the threads, which include superseded records.
    tally: Arc<Tally>,
    /// Reports each rewrite.
    traces: Traces,
    /// When the last rewrite began.
    begun: Instant,
    /// Number of superseded records when the last rewrite began.
    seen: u64,
    /// Rotations whose secrets the ledger does not have yet.
    rotations: Vec<KeyRotation>,
    /// For each brand, the first salt day whose sightings a rewrite has not erased.
    erased: BTreeMap<BrandId, Day>,
    /// Requests for the next rewrite.
    waiting: Purpose,
    /// Requests that the current rewrite serves.
    purpose: Purpose,
    /// The current rewrite.
    under_way: Option<JoinHandle<Result<RewriteResult, LedgerError>>>,
    /// Its result, until it is installed.
    written: Option<Result<Result<RewriteResult, LedgerError>, JoinError>>,
    /// The failures since the last success.
    backoff: Backoff,
}

/// When a failed rewrite is repeated.
#[derive(Default)]
struct Backoff {
    /// Failures in a row.
    failures: u32,
    /// No rewrite begins before.
    until: Option<Instant>,
}

impl Backoff {
    /// Delay after a number of failures in a row.
    fn pause(failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1));
        doubled.map_or(LONGEST_PAUSE, |by| {
            PAUSE.saturating_mul(by).min(LONGEST_PAUSE)
        })
    }

    /// Counts a failure.
    fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.until = Some(Instant::now() + Backoff::pause(self.failures));
    }

    /// Whether the delay is not over.
    fn is_on(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }
}

/// Requests that a rewrite serves.
#[derive(Default)]
struct Purpose {
    /// Entries to erase.
    erasures: Vec<Erasure>,
    /// Secrets that the ledger has, under which everything must be sealed.
    rotations: Vec<KeyRotation>,
    /// For each brand, the first salt day whose pings stay. The caller of an
    /// erasure receives the number of erased entries, so that these go in a rewrite
    /// of their own.
    settled: BTreeMap<BrandId, Day>,
    /// The same for sightings, and for the visits of their days.
    sightings: BTreeMap<BrandId, Day>,
}

impl Purpose {
    /// Adds the requests of another rewrite, which failed.
    fn append(&mut self, other: &mut Purpose) {
        self.erasures.append(&mut other.erasures);
        self.rotations.append(&mut other.rotations);
        for (brand, before) in std::mem::take(&mut other.settled) {
            self.drop_pings(brand, before);
        }
        for (brand, before) in std::mem::take(&mut other.sightings) {
            self.drop_sightings(brand, before);
        }
    }

    /// Requests that the pings of a brand's salt days before `before` are dropped.
    fn drop_pings(&mut self, brand: BrandId, before: Day) {
        let mine = self.settled.entry(brand).or_insert(before);
        *mine = (*mine).max(before);
    }

    /// Requests that the sightings of a brand's salt days before `before` are dropped.
    fn drop_sightings(&mut self, brand: BrandId, before: Day) {
        let mine = self.sightings.entry(brand).or_insert(before);
        *mine = (*mine).max(before);
    }

    /// Whether there is no request.
    fn is_empty(&self) -> bool {
        !self.is_waited_for() && self.settled.is_empty() && self.sightings.is_empty()
    }

    /// Whether somebody waits for the rewrite.
    fn is_waited_for(&self) -> bool {
        !self.erasures.is_empty() || !self.rotations.is_empty()
    }

    /// Takes the requests for the next rewrite; the rest stays.
    fn next(&mut self) -> Purpose {
        let mut next = std::mem::take(self);
        if next.is_waited_for() {
            self.settled = std::mem::take(&mut next.settled);
            self.sightings = std::mem::take(&mut next.sightings);
        }
        next
    }

    /// The entries to erase.
    fn forget(&self) -> ErasureFilter {
        let mut forget = ErasureFilter::default();
        for erasure in &self.erasures {
            forget.extend(erasure.forget.clone());
        }
        if !self.is_waited_for() {
            forget.pings_before.extend(self.settled.clone());
            forget.sightings_before.extend(self.sightings.clone());
        }
        forget
    }
}

impl Compaction {
    /// The state without any request.
    pub fn new(tally: Arc<Tally>, traces: Traces) -> Compaction {
        Compaction {
            tally,
            traces,
            begun: Instant::now(),
            seen: 0,
            rotations: Vec::new(),
            erased: BTreeMap::new(),
            waiting: Purpose::default(),
            purpose: Purpose::default(),
            under_way: None,
            written: None,
            backoff: Backoff::default(),
        }
    }

    /// Whether a ledger of `entries` entries contains enough superseded ones for a
    /// rewrite.
    pub fn is_due(&self, entries: u64) -> bool {
        let fresh = self.superseded().saturating_sub(self.seen);
        self.is_idle() && !self.backoff.is_on() && fresh >= LEAST.max(entries / SHARE)
    }

    /// Whether no rewrite is in progress.
    fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.written.is_none()
    }

    /// Requests an erasure, for the next rewrite.
    pub fn erase(&mut self, erasure: Erasure) {
        let erased = erasure.forget.sightings_before.iter();
        self.erased
            .extend(erased.map(|(brand, before)| (*brand, *before)));
        self.waiting.erasures.push(erasure);
    }

    /// Requests that the ledger switches to newer secrets when no rewrite is in
    /// progress.
    pub fn rotate(&mut self, rotation: KeyRotation) {
        self.rotations.push(rotation);
    }

    /// The rotations to begin now.
    pub fn rotations(&mut self) -> Vec<KeyRotation> {
        match self.is_idle() {
            true => std::mem::take(&mut self.rotations),
            false => Vec::new(),
        }
    }

    /// Records that the ledger has the secrets of a rotation: the next rewrite
    /// moves older entries.
    pub fn move_up(&mut self, rotation: KeyRotation) {
        self.waiting.rotations.push(rotation);
    }

    /// Whether a rewrite should begin for a request.
    pub fn is_wanted(&self) -> bool {
        self.is_idle() && !self.backoff.is_on() && !self.waiting.is_empty()
    }

    /// Postpones the next rewrite after a failure, which is logged once until a
    /// rewrite succeeds.
    pub fn postpone(&mut self, error: &dyn std::fmt::Display) {
        self.backoff.fail();
        match self.backoff.failures {
            1 => tracing::warn!(
                %error,
                "cannot compact the ledger; retrying, at least once a minute, until it succeeds"
            ),
            failures => tracing::debug!(%error, failures, "still cannot compact the ledger"),
        }
    }

    /// Requests that the pings of a brand's salt days before `before` are dropped.
    pub fn drop_pings(&mut self, brand: BrandId, before: Day) {
        self.waiting.drop_pings(brand, before);
    }

    /// Requests that the sightings of a brand's salt days before `before` are dropped,
    /// unless a rewrite has done so.
    pub fn drop_sightings(&mut self, brand: BrandId, before: Day) {
        if self
            .erased
            .get(&brand)
            .is_none_or(|erased| *erased < before)
        {
            self.waiting.drop_sightings(brand, before);
        }
    }

    /// The entries that the next rewrite erases.
    pub fn forget(&self) -> ErasureFilter {
        self.waiting.forget()
    }

    /// Begins a rewrite on a blocking thread, for all requests that wait.
    pub fn begin(&mut self, rewrite: Rewrite) {
        self.seen = self.superseded();
        self.begun = Instant::now();
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

    /// Returns when the rewrite is finished, or when a failed one that requests wait
    /// for is to be repeated; never if there is none.
    pub async fn written(&mut self) {
        let Some(work) = &mut self.under_way else {
            match self.backoff.until.filter(|_| !self.waiting.is_empty()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
            self.backoff.until = None;
            return;
        };
        self.written = Some(work.await);
        self.under_way = None;
    }

    /// The new segments, if a rewrite has finished. The requests of a failed
    /// rewrite wait for the next one.
    ///
    /// # Errors
    ///
    /// A panic of the rewrite.
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
                self.refused(&error);
                Ok(None)
            }
        }
    }

    /// Answers the callers: the new segments have replaced the old ones.
    pub fn installed(&mut self, done: Installed) {
        self.backoff = Backoff::default();
        let Installed {
            forgotten,
            not_overwritten,
            moved,
            files,
        } = done;
        let counts = [
            ("erased", forgotten),
            ("moved", moved),
            ("files", files as u64),
        ];
        self.trace(false, &counts);
        let Purpose {
            erasures,
            rotations,
            settled: _,
            sightings: _,
        } = std::mem::take(&mut self.purpose);
        for erasure in erasures {
            let _ = erasure.done.send(ErasureOutcome {
                entries: forgotten,
                not_overwritten,
            });
        }
        for rotation in rotations {
            rotation
                .progress
                .send_replace(Progress::Done { moved, files });
        }
    }

    /// Keeps the requests for the next rewrite: the new segments could not be
    /// written or installed.
    pub fn refused(&mut self, error: &dyn std::fmt::Display) {
        self.trace(true, &[]);
        self.waiting.append(&mut self.purpose);
        self.postpone(error);
    }

    /// Traces the rewrite that has ended.
    fn trace(&self, has_failed: bool, counts: &[Count]) {
        let begun = self.begun.into_std();
        self.traces
            .work(Work::Compaction, begun, has_failed, counts);
    }

    /// Number of records since the start that are superseded in the ledger.
    fn superseded(&self) -> u64 {
        let stages = self.tally.counts().stages;
        stages.duplicates + stages.corrections + stages.superseded + stages.repeated_statements
    }
}

/// Effect of a rewrite.
pub struct Installed {
    /// Number of erased entries.
    pub forgotten: u64,
    /// Number of entries that were sealed under an older secret.
    pub moved: u64,
    /// Number of files that were removed.
    pub files: usize,
    /// How many of them could not be overwritten before.
    pub not_overwritten: u64,
}

/// Replaces the old segments by those of a rewrite, then overwrites and removes
/// them.
///
/// # Errors
///
/// Any error of the ledger.
pub fn install(ledger: &mut Ledger, done: RewriteResult) -> anyhow::Result<Installed> {
    let (superseded, forgotten, moved) = (done.superseded, done.erased.total(), done.rekeyed);
    let Removed {
        files,
        not_overwritten,
    } = ledger
        .install(done)?
        .run()
        .context("the replaced segments")?;
    if not_overwritten > 0 {
        tracing::error!(
            files = not_overwritten,
            "could not overwrite replaced segments before they were removed: their sealed bytes stay on the disk until it \
             uses the space again"
        );
    }
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
        not_overwritten: not_overwritten as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_attempts_doubles_to_a_minute() {
        let pauses = [1, 2, 3, 4, 5, 6, 7, 8, 40, u32::MAX].map(Backoff::pause);
        let seconds = pauses.map(|pause| pause.as_secs());
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    }

    #[tokio::test]
    async fn what_fails_is_repeated_after_a_pause_and_not_at_once() {
        let mut compaction = Compaction::new(Arc::default(), Traces::default());
        compaction.drop_pings(BrandId::of("acme"), 20_387);
        assert!(compaction.is_wanted());
        compaction.postpone(&"no space");
        assert!(!compaction.is_wanted());
        // The task that waits for a rewrite wakes for the next attempt.
        compaction.written().await;
        assert!(compaction.is_wanted());
    }
}
