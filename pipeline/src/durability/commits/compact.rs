//! Compaction and key rotation of the ledger, as steps of the commit loop.
//!
//! Both rewrite sealed segments on a blocking thread while commits continue.
//! The commit loop only begins a rewrite, installs its result, and records the
//! outcome. Lack of disk space postpones a rewrite and never stops commits,
//! because commits need less space than a rewrite.

use std::sync::Arc;

use tributary_ledger::Kind;

use super::Commits;
use super::ledger_task::{kind, unless_full};
use crate::durability::command::{KeyRotation, Progress};
use crate::durability::compaction::install;

/// Number of commit rounds between two checks whether the ledger holds enough
/// superseded entries for a compaction.
const ASK: u64 = 64;

impl Commits {
    /// Installs a finished rewrite, then begins the next one if a request waits or
    /// enough entries are superseded.
    ///
    /// # Errors
    ///
    /// Any error of the ledger other than a full disk, after which the rewrite is
    /// retried later.
    pub(super) async fn compact(&mut self) -> anyhow::Result<()> {
        if let Some(done) = self.compaction.finished().await? {
            let installed = self.with_ledger(move |ledger| install(ledger, done)).await;
            match unless_full(installed)? {
                Ok(installed) => {
                    let files = installed.not_overwritten;
                    self.telemetry.metrics.not_overwritten(files);
                    self.compaction.installed(installed);
                }
                Err(full) => self.compaction.refused(&full),
            }
        }
        for rotation in self.compaction.rotations() {
            self.rotate(rotation).await?;
        }
        if self.compaction.is_wanted() {
            let forget = self.compaction.forget();
            let rewrite = self
                .with_ledger(move |ledger| Ok(ledger.erase(forget)?))
                .await;
            match unless_full(rewrite)? {
                Ok(rewrite) => self.compaction.begin(rewrite),
                Err(full) => self.compaction.postpone(&full),
            }
        }
        self.commits += 1;
        let entries = self
            .ledger
            .as_ref()
            .map_or(0, |l| l.stats().entries.total());
        if self.commits.is_multiple_of(ASK) && self.compaction.is_due(entries) {
            let rewrite = self
                .with_ledger(|ledger| Ok(ledger.rewrite(Arc::new(|_, _| true))?))
                .await;
            match unless_full(rewrite)? {
                Ok(rewrite) => self.compaction.begin(rewrite),
                Err(full) => self.compaction.postpone(&full),
            }
        }
        Ok(())
    }

    /// Gives the ledger a newer secret and requests the rewrite that moves its
    /// entries. If the ledger refuses the secret, nothing has changed and the
    /// requester receives the reason.
    ///
    /// # Errors
    ///
    /// Only a failed `fsync`, which must end the process.
    async fn rotate(&mut self, rotation: KeyRotation) -> anyhow::Result<()> {
        let keyring = rotation.keyring.clone();
        let taken = self
            .with_ledger(move |ledger| {
                ledger.rotate(keyring)?;
                Ok(ledger.entries_under_old_keys())
            })
            .await;
        match taken {
            Ok(0) => {
                let nothing = Progress::Done { moved: 0, files: 0 };
                rotation.progress.send_replace(nothing);
            }
            Ok(under_old_key) => {
                tracing::info!(
                    entries = under_old_key,
                    "switched to newer secrets; rotating older entries"
                );
                self.compaction.move_up(rotation);
            }
            Err(error) if kind(&error) == Some(Kind::Sync) => return Err(error),
            Err(error) => {
                let why = format!("{error:#}");
                tracing::warn!(error = why, "cannot rotate the ledger to newer secrets");
                rotation.progress.send_replace(Progress::Refused { why });
            }
        }
        Ok(())
    }
}
