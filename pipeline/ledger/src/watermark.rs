//! Watermarks: how far the ledger and the files beside it have advanced.
//!
//! A ledger, the objection list, the audit logs and the receipts at the broker belong together: an older copy of one of
//! them would bring back what another one states was erased. Each therefore references the others. The manifest records
//! the head of every file beside the ledger ([`Ledger::record_heads`]), and those files record the ledger's
//! [`Watermark`].
//!
//! A watermark only grows: by the manifest's generation with every replacement, and by the commits with every commit.
//! Both are durable before they are published, so no crash makes a watermark smaller than one that was recorded.

use std::path::Path;

use crate::error::LedgerError;
use crate::heads::FileHeads;
use crate::ledger::Ledger;
use crate::manifest::Paths;

/// How far a ledger is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    /// The ledger's id.
    pub ledger: [u8; 16],
    /// How often its manifest was written.
    pub manifest: u64,
    /// The ordinal of its last commit.
    pub commits: u64,
}

impl Ledger {
    /// Whether there is a ledger in a directory, or anything that opening it would refuse.
    pub fn exists_in(directory: &Path) -> bool {
        let paths = Paths(directory.to_owned());
        let is_empty = || {
            paths
                .segment_files()
                .is_ok_and(|segments| segments.is_empty())
        };
        paths.manifest().exists() || directory.exists() && !(directory.is_dir() && is_empty())
    }

    /// How far it is.
    pub fn watermark(&self) -> Watermark {
        Watermark {
            ledger: self.manifest.id(),
            manifest: self.manifest.generation,
            commits: self.active.commits,
        }
    }

    /// The heads that it names.
    pub fn heads(&self) -> &FileHeads {
        &self.manifest.heads
    }

    /// Names heads of files beside the ledger; those of other files stay as they are. Durable when this returns.
    ///
    /// # Errors
    /// Any of the disk; it then names what it named, and this may be called again unless it was a sync.
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
