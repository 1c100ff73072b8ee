//! Segment files that are written and that no manifest names yet.

use std::path::PathBuf;

use crate::disk;

/// Segment files that nothing names yet. Dropped, they are removed.
#[derive(Default)]
pub(crate) struct PendingSegments(Vec<PathBuf>);

impl PendingSegments {
    pub fn add(&mut self, path: PathBuf) {
        self.0.push(path);
    }

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
