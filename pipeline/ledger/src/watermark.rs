//! Watermarks: how far the ledger and the files beside it have advanced.
//!
//! A ledger, the objection list, the audit logs and the receipts at the broker
//! belong together: an outdated copy of one of them would bring back what
//! another one states was erased. Each therefore references the others. The
//! manifest records the head of every file beside the ledger
//! ([`Ledger::record_heads`]), and those files record the ledger's
//! [`Watermark`].
//!
//! A watermark only grows: by the manifest's generation with every replacement,
//! and by the commits with every commit. Both are durable before they are
//! published, so that no crash makes a watermark smaller than one that was
//! recorded.

use std::path::Path;

use crate::error::LedgerError;
use crate::heads::FileHeads;
use crate::ledger::Ledger;
use crate::manifest::Paths;

/// State of a ledger, as other files record it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    /// ID of the ledger.
    pub ledger: [u8; 16],
    /// Generation of its manifest.
    pub manifest: u64,
    /// Ordinal of its last commit.
    pub commits: u64,
}

impl Ledger {
    /// Whether a directory contains a ledger, or anything that opening a ledger
    /// there would refuse.
    pub fn exists_in(directory: &Path) -> bool {
        let paths = Paths(directory.to_owned());
        let is_empty = || {
            paths
                .segment_files()
                .is_ok_and(|segments| segments.is_empty())
        };
        paths.manifest().exists() || directory.exists() && !(directory.is_dir() && is_empty())
    }

    /// Whether a directory contains a ledger that can be inspected. One whose beginning was
    /// interrupted, by a full disk or a kill, cannot, and [`Ledger::open`] begins it anew.
    pub fn is_begun_in(directory: &Path) -> bool {
        Paths(directory.to_owned()).manifest().exists()
    }

    /// The current watermark.
    pub fn watermark(&self) -> Watermark {
        Watermark {
            ledger: self.manifest.id(),
            manifest: self.manifest.generation,
            commits: self.active.commits,
        }
    }

    /// The file heads that the manifest records.
    pub fn heads(&self) -> &FileHeads {
        &self.manifest.heads
    }

    /// Records heads of files beside the ledger; heads of other files are kept.
    /// Durable when this returns.
    ///
    /// # Errors
    ///
    /// Any error of the disk; the recorded heads are then unchanged, and the call
    /// may be repeated unless it was [`LedgerError::Sync`].
    pub fn record_heads(&mut self, heads: &FileHeads) -> Result<Watermark, LedgerError> {
        let mut manifest = self.manifest.clone();
        let named = heads.iter();
        manifest
            .heads
            .extend(named.map(|(file, head)| (file.clone(), head.clone())));
        if manifest.heads != self.manifest.heads {
            self.replace_manifest(manifest)?;
        }
        Ok(self.watermark())
    }
}
