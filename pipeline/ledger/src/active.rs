//! The active segment: the one that commits append to.
//!
//! The length up to the last commit, not the length of the file, is
//! authoritative. A failed write leaves bytes after it; they are truncated at
//! once, or before the next write at the latest.

use std::fs::File;
use std::path::PathBuf;

use crate::block::{Code, CommitBlock, SegmentId};
use crate::checksum::FileChecksum;
use crate::counts::{CountsByBrand, SegmentEntries, add};
use crate::disk;
use crate::error::LedgerError;
use crate::frames::running_checksum;
use crate::keyring::BrandKey;
use crate::manifest::{Paths, SealedSegment};
use crate::position::Position;
use crate::scan::Scan;
use crate::wire::Hex;

/// The open file of the active segment, and what its commits contain.
pub(crate) struct ActiveSegment {
    /// Handle for positioned reads and writes.
    file: File,
    /// Path of the file, for error messages.
    path: PathBuf,
    /// The ledger and the number of this segment.
    id: SegmentId,
    /// Length in bytes up to the last commit.
    pub committed: u64,
    /// Ordinal of the last commit before this segment.
    before: u64,
    /// Ordinal of the last commit of the ledger.
    pub commits: u64,
    /// Entries in this segment, by brand number.
    pub counts: CountsByBrand,
    /// Checksum of everything up to the last commit; the manifest stores it when the
    /// segment is sealed.
    whole: FileChecksum,
    /// Code of the last commit, or zeros.
    code: Code,
    /// Whether a failed write may have left bytes after the last commit.
    dirty: bool,
}

/// The data blocks of one commit, sealed for their place in the segment.
pub(crate) struct SealedGroup {
    /// The blocks, one after the other.
    pub bytes: Vec<u8>,
    /// Their number.
    pub blocks: u64,
    /// Their entries, by brand number.
    pub counts: CountsByBrand,
}

impl ActiveSegment {
    /// Creates a segment with nothing but its header. It is durable before anything
    /// names it.
    ///
    /// `commits` is the ordinal of the last commit before it.
    ///
    /// # Errors
    ///
    /// Any error of the disk; the file is removed again if possible.
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
        let mut whole = FileChecksum::new(id.format);
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
            code: [0; 32],
            dirty: false,
        })
    }

    /// Continues the segment that `scan` has read, and truncates everything after
    /// its last commit. `before` is the ordinal of the last commit before the
    /// segment.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn resume(paths: &Paths, scan: Scan, before: u64) -> Result<ActiveSegment, LedgerError> {
        let id = scan.id;
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
            code: scan.code,
            dirty: false,
        })
    }

    /// The identity that seals and checksums are bound to.
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// Path of the segment file.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Whether the segment contains no commit.
    pub fn is_empty(&self) -> bool {
        self.commits == self.before
    }

    /// Appends a group of blocks and their commit, with a code under the key of the
    /// brand with this number; durable when this returns. Returns the number of bytes
    /// written.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Sync`] is final. After any other error the group was not
    /// committed, and the same call may be repeated.
    pub fn commit(
        &mut self,
        group: &mut SealedGroup,
        position: Position,
        (brand, key): (u16, &BrandKey),
    ) -> Result<u64, LedgerError> {
        if self.dirty {
            disk::truncate(&self.file, &self.path, self.committed)?;
            self.dirty = false;
        }
        let seed = self.id.seed();
        let data = group.bytes.len();
        let mut commit = CommitBlock {
            ordinal: self.commits + 1,
            offset: self.committed + data as u64,
            blocks: group.blocks,
            entries: group.counts.values().map(|entries| entries.total()).sum(),
            position,
            running: running_checksum(&group.bytes, seed),
            code: None,
        };
        let blocks = (&blake3::hash(&group.bytes), &self.code);
        let code = commit.code(&self.id, key, blocks);
        commit.code = Some((brand, code));
        commit.write(&mut group.bytes, &self.id, seed);
        if let Err(error) = disk::write(&self.file, &self.path, &group.bytes, self.committed) {
            self.dirty = disk::truncate(&self.file, &self.path, self.committed).is_err();
            return Err(error);
        }
        disk::sync(&self.file, &self.path)?;
        self.whole.update(&group.bytes);
        self.committed += group.bytes.len() as u64;
        self.commits = commit.ordinal;
        self.code = code;
        add(&mut self.counts, &group.counts);
        // Its number stays in the manifest as long as the code has to be verified.
        self.counts.entry(brand).or_default();
        Ok(group.bytes.len() as u64)
    }

    /// The manifest entry of this segment once it is sealed. Bytes of a failed
    /// write are truncated first, because the length of a sealed segment is
    /// checked.
    ///
    /// # Errors
    ///
    /// Any error of the disk; the segment is then still active.
    pub fn seal_summary(&mut self) -> Result<SealedSegment, LedgerError> {
        if self.dirty {
            disk::truncate(&self.file, &self.path, self.committed)?;
            disk::sync(&self.file, &self.path)?;
            self.dirty = false;
        }
        Ok(SealedSegment {
            number: self.id.number,
            bytes: self.committed,
            checksum: Hex(self.whole.digest()),
            commits: (self.before + 1, self.commits),
            entries: SegmentEntries::new(&self.counts),
        })
    }
}
