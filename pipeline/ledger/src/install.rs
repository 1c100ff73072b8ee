//! Installation of a rewrite: the manifest lists the new segments, then the old
//! ones are removed.
//!
//! This order makes a crash harmless. Before the manifest is replaced, the new
//! segments are unknown and the next opening removes them; afterwards it
//! removes the old ones.

use std::path::PathBuf;

use crate::brands;
use crate::disk::{self, Removed};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::rewrite::RewriteResult;

/// Files that a rewrite has replaced. An erasure is complete when
/// [`Removal::run`] has returned. If the value is dropped instead, the next
/// opening of the ledger removes the files.
#[derive(Debug)]
#[must_use = "the old files are still there"]
pub struct Removal {
    /// Paths of the replaced segments.
    files: Vec<PathBuf>,
    /// Their directory, which is synced after the removal.
    directory: PathBuf,
}

impl Removal {
    /// Overwrites and removes the files, on any thread. A file that cannot be
    /// overwritten is tried again after the others are removed, because a file system
    /// that copies on writing needs room for it, and is then removed all the same.
    ///
    /// # Errors
    ///
    /// A file that cannot be removed, or a removal that cannot be made durable.
    pub fn run(self) -> Result<Removed, LedgerError> {
        let mut again = Vec::new();
        for file in &self.files {
            match disk::overwrite(file) {
                true => disk::unlink(file)?,
                false => again.push(file),
            }
        }
        let mut not_overwritten = 0;
        for file in again {
            not_overwritten += usize::from(!disk::overwrite(file));
            disk::unlink(file)?;
        }
        if !self.files.is_empty() {
            disk::sync_directory(&self.directory)?;
        }
        Ok(Removed {
            files: self.files.len(),
            not_overwritten,
        })
    }
}

impl Ledger {
    /// Installs a rewrite, and overwrites and removes the files that it replaced, on
    /// this thread. Those that the ledger could not overwrite before are counted too.
    ///
    /// # Errors
    ///
    /// Those of [`Ledger::install`] and [`Removal::run`].
    pub fn install_and_remove(&mut self, done: RewriteResult) -> Result<Removed, LedgerError> {
        let mut removed = self.install(done)?.run()?;
        removed.not_overwritten += self.take_not_overwritten();
        Ok(removed)
    }

    /// Replaces segments by those of a rewrite.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Stale`] if another rewrite was installed or a secret was
    /// rotated in the meantime. After any error other than [`LedgerError::Sync`]
    /// the ledger is unchanged, the new segments are removed, and the rewrite may
    /// be repeated.
    pub fn install(&mut self, done: RewriteResult) -> Result<Removal, LedgerError> {
        self.check_usable()?;
        let RewriteResult {
            sources,
            outputs,
            brands: written,
            words,
            mut drafts,
            ..
        } = done;
        let mut manifest = self.manifest.clone();
        let before = manifest.segments.len();
        manifest
            .segments
            .retain(|segment| !sources.contains(segment));
        // Another exchange of a secret in the meantime may have forgotten the one that was written under.
        let known = written.iter().all(|line| manifest.brands.contains(line));
        if manifest.segments.len() + sources.len() != before || !known {
            return Err(LedgerError::Stale {
                file: self.paths.manifest(),
            });
        }
        manifest.segments.extend(outputs);
        manifest.segments.sort_by_key(|s| (s.commits, s.number));
        // The key check of an old secret is removed with the last entry under it.
        let pruned = brands::prune_unused(&mut manifest, &self.active.counts, &self.numbers);
        if !sources.is_empty() || pruned {
            let replaced = self.replace_manifest(manifest);
            if replaced.is_ok() || self.sync_failed {
                // After a failed sync the new manifest may be the one that counts.
                drafts.disarm();
            }
            replaced?;
        }
        self.known.with(|known| {
            words.iter().for_each(|word| {
                known.remove(word);
            })
        });
        let files = sources
            .iter()
            .map(|segment| self.paths.segment(segment.number));
        Ok(Removal {
            files: files.collect(),
            directory: self.paths.segments(),
        })
    }
}
