//! What the ledger of a running process and the files beside it consist of at one
//! instant, for whoever copies them: a standby, or the backup.
//!
//! A snapshot is taken without stopping anything, in an order that makes it one
//! that a crash could have left: the files of the rights directory first and,
//! unchanged, last; between them the manifest, before and, unchanged, after how
//! far the active segment is durable. A list or log names no later commit than
//! the ledger has, the manifest names no later head than the files have, a commit
//! has its salts, and every ping of a salt that the manifest no longer lists is
//! in the ledger. Files that are replaced after that are overwritten: whoever
//! reads one looks whether it still was what the snapshot lists.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use tokio::sync::watch;
use tributary_ledger::{CopiedManifest, Extent};

use super::moves;
use super::rights_copy::{self, RightsFile};

/// How often a snapshot is tried of files that change meanwhile.
const TRIES: usize = 50;

/// The pause between two of these.
const PAUSE: Duration = Duration::from_millis(20);

/// The files at one instant.
#[derive(Debug)]
pub struct Snapshot {
    /// The manifest of the ledger.
    pub manifest: CopiedManifest,
    /// How far its active segment is durable.
    pub extent: Extent,
    /// The files of the rights directory.
    pub rights: Vec<RightsFile>,
    /// The file that says which brands were moved, a text; empty if there is none.
    pub moves: String,
}

impl Snapshot {
    /// Takes a snapshot of the ledger and the rights directory of this process.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, or change all the time.
    pub async fn take(
        ledger: &Path,
        rights: &Path,
        extent: &watch::Receiver<Extent>,
    ) -> anyhow::Result<Snapshot> {
        for _ in 0..TRIES {
            let before = rights_copy::list(rights)?;
            // One that is replaced while it is read is overwritten.
            let manifest = || CopiedManifest::read(ledger).ok().flatten();
            let earlier = manifest();
            let extent = *extent.borrow();
            let later = manifest();
            let after = rights_copy::list(rights)?;
            if let (Some(earlier), Some(manifest)) = (earlier, later)
                && earlier.bytes() == manifest.bytes()
                && manifest.active() == extent.segment
                && before == after
            {
                return Ok(Snapshot {
                    manifest,
                    extent,
                    rights: after,
                    moves: moves::read_text(ledger)?,
                });
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("the files of the ledger change all the time");
    }
}
