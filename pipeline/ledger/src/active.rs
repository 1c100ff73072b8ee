//! The active segment: the one that commits append to.
//!
//! The length of the last commit is authoritative. A failed write is truncated at once, or before the next write at the
//! latest.

use std::fs::File;
use std::path::PathBuf;

use xxhash_rust::xxh3::Xxh3;

use crate::block::{CommitBlock, SegmentId};
use crate::counts::{CountsByBrand, add};
use crate::disk;
use crate::error::LedgerError;
use crate::frames::running_checksum;
use crate::manifest::{Paths, SealedSegment};
use crate::position::Position;
use crate::scan::Scan;
use crate::wire::Hex;

/// The active segment of a ledger that is open.
pub(crate) struct ActiveSegment {
    file: File,
    path: PathBuf,
    id: SegmentId,
    /// The length up to the last commit.
    pub committed: u64,
    /// The ordinal of the last commit before this segment, and of the last one in all.
    before: u64,
    pub commits: u64,
    pub counts: CountsByBrand,
    whole: Xxh3,
    /// Whether a failed write may have left bytes behind the last commit.
    dirty: bool,
}

/// The data blocks of a commit, sealed for their place.
pub(crate) struct SealedGroup {
    pub bytes: Vec<u8>,
    pub blocks: u64,
    pub counts: CountsByBrand,
}

impl ActiveSegment {
    /// Creates the segment, durable before anything names it.
    pub fn create(
        paths: &Paths,
        id: SegmentId,
        commits: u64,
    ) -> Result<ActiveSegment, LedgerError> {
        let path = paths.segment(id.number);
        let header = id.header();
        let made = disk::create(&path).and_then(|file| {
            disk::write(&file, &path, &header, 0)?;
            disk::sync(&file, &path)?;
            disk::sync_directory(&paths.segments())?;
            Ok(file)
        });
        let file = made.inspect_err(|_| {
            // The manifest does not name it: if it cannot be removed now, the next opening does it.
            let _ = disk::remove(&path);
        })?;
        let mut whole = Xxh3::new();
        whole.update(&header);
        Ok(ActiveSegment {
            file,
            path,
            id,
            committed: header.len() as u64,
            before: commits,
            commits,
            counts: CountsByBrand::new(),
            whole,
            dirty: false,
        })
    }

    /// Goes on with the segment that was scanned, and cuts what is behind its last commit. `before` is the ordinal
    /// of the last commit before it.
    pub fn resume(
        paths: &Paths,
        id: SegmentId,
        scan: Scan,
        before: u64,
    ) -> Result<ActiveSegment, LedgerError> {
        let path = paths.segment(id.number);
        let file = disk::open(&path)?;
        if scan.length > scan.committed {
            disk::truncate(&file, &path, scan.committed)?;
            disk::sync(&file, &path)?;
        }
        Ok(ActiveSegment {
            file,
            path,
            id,
            committed: scan.committed,
            before,
            commits: scan.commits,
            counts: scan.counts,
            whole: scan.whole,
            dirty: false,
        })
    }

    pub fn id(&self) -> SegmentId {
        self.id
    }

    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Whether there is no commit in it yet.
    pub fn is_empty(&self) -> bool {
        self.commits == self.before
    }

    /// Appends a group and its commit, durable when this returns. Returns the bytes written.
    pub fn commit(
        &mut self,
        group: &mut SealedGroup,
        position: Position,
    ) -> Result<u64, LedgerError> {
        if self.dirty {
            disk::truncate(&self.file, &self.path, self.committed)?;
            self.dirty = false;
        }
        let seed = self.id.seed();
        let data = group.bytes.len();
        let commit = CommitBlock {
            ordinal: self.commits + 1,
            offset: self.committed + data as u64,
            blocks: group.blocks,
            entries: group.counts.values().map(|entries| entries.total()).sum(),
            position,
            running: running_checksum(&group.bytes, seed),
        };
        commit.write(&mut group.bytes, seed);
        if let Err(error) = disk::write(&self.file, &self.path, &group.bytes, self.committed) {
            self.dirty = disk::truncate(&self.file, &self.path, self.committed).is_err();
            return Err(error);
        }
        disk::sync(&self.file, &self.path)?;
        self.whole.update(&group.bytes);
        self.committed += group.bytes.len() as u64;
        self.commits = commit.ordinal;
        add(&mut self.counts, &group.counts);
        Ok(group.bytes.len() as u64)
    }

    /// What the manifest says of it once it is sealed. A failed write leaves nothing behind in a sealed segment.
    pub fn seal_summary(&mut self) -> Result<SealedSegment, LedgerError> {
        if self.dirty {
            disk::truncate(&self.file, &self.path, self.committed)?;
            disk::sync(&self.file, &self.path)?;
            self.dirty = false;
        }
        Ok(SealedSegment {
            number: self.id.number,
            bytes: self.committed,
            checksum: Hex(self.whole.digest128().to_be_bytes().to_vec()),
            commits: (self.before + 1, self.commits),
            entries: self.counts.clone(),
        })
    }
}
