//! Scan: finds the last commit of the active segment.
//!
//! A commit is synced before any byte of the next one is written, so that a
//! crash can tear only the last group. Invalid data there is truncated, even if
//! its commit block has reached the disk before one of its data blocks. A
//! commit beyond the next one proves that the next one was synced: the file is
//! then corrupt, and truncating it would lose acknowledged records.

use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use crate::block::SegmentId;
use crate::counts::{CountsByBrand, add};
use crate::error::LedgerError;
use crate::frames::{Frame, FrameError, Frames, later_commit};
use crate::position::Position;

/// Content of the active segment.
pub(crate) struct Scan {
    /// Length in bytes up to the last commit.
    pub committed: u64,
    /// Length of the file in bytes.
    pub length: u64,
    /// Ordinal of the last commit, in this segment or before it.
    pub commits: u64,
    /// Position of the last commit in this segment.
    pub position: Option<Position>,
    /// Committed entries, by brand number.
    pub counts: CountsByBrand,
    /// Number of committed data blocks.
    pub blocks: u64,
    /// Checksum of everything up to the last commit.
    pub whole: Xxh3,
}

/// Reads the active segment. `commits` is the ordinal of the last commit before
/// it.
///
/// # Errors
///
/// [`LedgerError::Corrupt`] if a commit is missing, or if damage precedes a
/// later commit; any error of [`Frames::open`].
pub(crate) fn scan(path: &Path, id: SegmentId, commits: u64) -> Result<Scan, LedgerError> {
    let mut frames = Frames::open(path, id, None)?;
    let mut scan = Scan {
        committed: frames.offset(),
        length: frames.end(),
        commits,
        position: None,
        counts: CountsByBrand::new(),
        blocks: 0,
        whole: frames.checksum().clone(),
    };
    let (mut group, mut blocks) = (CountsByBrand::new(), 0);
    loop {
        match frames.next() {
            Ok(None) => return Ok(scan),
            Ok(Some(Frame::Data(data))) => {
                *group.entry(data.header.brand).or_default() += data.header.entries;
                blocks += 1;
            }
            Ok(Some(Frame::Commit(commit))) if commit.ordinal == scan.commits + 1 => {
                scan.commits = commit.ordinal;
                scan.committed = frames.offset();
                scan.position = Some(commit.position);
                scan.whole = frames.checksum().clone();
                add(&mut scan.counts, &std::mem::take(&mut group));
                scan.blocks += std::mem::take(&mut blocks);
            }
            Ok(Some(Frame::Commit(commit))) => {
                let what = "a commit is missing before this one";
                return Err(LedgerError::corrupt(path, commit.offset, what));
            }
            Err(FrameError::Bad(offset, what)) => {
                let behind = scan.committed..scan.length;
                return match later_commit(path, id, behind, scan.commits + 2)? {
                    Some(_) => Err(LedgerError::corrupt(path, offset, what)),
                    None => Ok(scan),
                };
            }
            Err(FrameError::Io(error)) => return Err(error),
        }
    }
}
