//! Finding the last commit of the active segment.
//!
//! A commit is synced before anything of the next one is written. So a crash can tear the last group only: whatever
//! is wrong with it, even where its commit block has reached the disk and a block before it has not, is cut.
//! But a commit beyond the next one proves that the next one was synced: then the file is corrupt, and
//! cutting it would lose what was acknowledged.

use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use crate::block::SegmentId;
use crate::counts::{CountsByBrand, add};
use crate::error::LedgerError;
use crate::frames::{Frame, FrameError, Frames, later_commit};
use crate::position::Position;

/// What the active segment holds.
pub(crate) struct Scan {
    /// The length up to its last commit.
    pub committed: u64,
    /// The length of the file.
    pub length: u64,
    /// The ordinal of the last commit, of this segment or of those before it.
    pub commits: u64,
    /// The position of its last commit.
    pub position: Option<Position>,
    /// What the commits hold.
    pub counts: CountsByBrand,
    /// Data blocks in the commits.
    pub blocks: u64,
    /// The checksum up to the last commit.
    pub whole: Xxh3,
}

/// Reads the active segment; `commits` is the ordinal of the last commit before it.
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
