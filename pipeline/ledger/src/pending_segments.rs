//! Segment files that are written and not listed in the manifest yet.

use std::path::PathBuf;

use crate::disk;

/// Paths of new segment files. Dropping the value removes the files, unless it
/// was disarmed.
#[derive(Default)]
pub(crate) struct PendingSegments(Vec<PathBuf>);

impl PendingSegments {
    /// Adds a file.
    pub fn add(&mut self, path: PathBuf) {
        self.0.push(path);
    }

    /// Keeps the files: the manifest lists them, or may list them after a failed
    /// sync.
    pub fn disarm(&mut self) {
        self.0.clear();
    }
}

impl Drop for PendingSegments {
    fn drop(&mut self) {
        for path in &self.0 {
            // What cannot be removed now is removed at the next opening.
            let _ = disk::remove(path);
        }
    }
}
