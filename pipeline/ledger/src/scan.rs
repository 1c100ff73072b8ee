//! Scan: finds the last commit of the active segment.
//!
//! A commit is synced before any byte of the next one is written, so that a
//! crash can tear only the last group. Invalid data there is truncated, even if
//! its commit block has reached the disk before one of its data blocks. A
//! commit beyond the next one proves that the next one was synced: the file is
//! then corrupt, and truncating it would lose acknowledged records.
//!
//! With the keys, the code of each commit is verified as well, and the entries are
//! counted by kind.

use std::path::Path;

use crate::block::{Code, CommitBlock, SegmentId};
use crate::brands::find_key;
use crate::checksum::FileChecksum;
use crate::counts::{CountsByBrand, EntryCounts, add};
use crate::error::LedgerError;
use crate::frames::{DataFrame, Frame, FrameError, Frames, later_commit};
use crate::keyring::Keyring;
use crate::manifest::{Manifest, Paths};
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
    /// Committed entries, by brand number; without keys, only the brand numbers.
    pub counts: CountsByBrand,
    /// Number of committed data blocks.
    pub blocks: u64,
    /// Checksum of everything up to the last commit.
    pub whole: FileChecksum,
    /// Identity of the segment, with its format.
    pub id: SegmentId,
    /// Code of the last commit in this segment, or zeros.
    pub code: Code,
}

/// Reads the active segment of a manifest. The codes of commits are verified if
/// there is a keyring.
///
/// # Errors
///
/// [`LedgerError::Corrupt`] if a commit is missing, has the wrong code, or if
/// damage precedes a later commit; the errors of [`find_key`] for the brand of a
/// code; any error of [`Frames::open`].
pub(crate) fn scan(
    paths: &Paths,
    manifest: &Manifest,
    keyring: Option<&Keyring>,
) -> Result<Scan, LedgerError> {
    let expected = manifest.segment(manifest.active);
    let path = &paths.segment(expected.number);
    let mut frames = Frames::open(path, expected, None)?;
    let id = frames.id();
    if id.format != manifest.format {
        let what = "the format of the active segment is not that of the manifest";
        return Err(LedgerError::corrupt(path, 0, what));
    }
    frames.hash_groups();
    let commits = manifest.commits;
    let mut scan = Scan {
        id,
        code: [0; 32],
        committed: frames.offset(),
        length: frames.end(),
        commits,
        position: None,
        counts: CountsByBrand::new(),
        blocks: 0,
        whole: frames.checksum().clone(),
    };
    let (mut group, mut blocks, mut group_brand) = (CountsByBrand::new(), 0, None);
    loop {
        match frames.next() {
            Ok(None) => return Ok(scan),
            Ok(Some(Frame::Data(data))) => {
                let of_brand: &mut EntryCounts = group.entry(data.header.brand).or_default();
                if let Some(keyring) = keyring {
                    *of_brand += entries_of(&data, id, (manifest, keyring, paths))?;
                }
                blocks += 1;
            }
            Ok(Some(Frame::Commit(commit))) if commit.ordinal == scan.commits + 1 => {
                if let (Some((brand, code)), Some(group)) = (commit.code, frames.group_hash()) {
                    if let Some(keyring) = keyring {
                        let file = paths.manifest();
                        let of = (&commit, group, &scan.code);
                        if !has_right_code(of, id, (manifest, keyring, &file))? {
                            let what =
                                "a commit does not have the code of its brand: it was changed";
                            return Err(LedgerError::corrupt(path, commit.offset, what));
                        }
                    }
                    // The number stays in the manifest as long as its key is needed.
                    group_brand = Some(brand);
                    scan.code = code;
                }
                scan.commits = commit.ordinal;
                scan.committed = frames.offset();
                scan.position = Some(commit.position);
                scan.whole = frames.checksum().clone();
                add(&mut scan.counts, &std::mem::take(&mut group));
                if let Some(brand) = group_brand.take() {
                    scan.counts.entry(brand).or_default();
                }
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

/// The entries of a block by kind.
///
/// # Errors
///
/// [`LedgerError::Corrupt`] for a block of a brand that the manifest does not name,
/// or whose counts are not those of any block; the errors of [`find_key`].
fn entries_of(
    data: &DataFrame,
    segment: SegmentId,
    (manifest, keyring, paths): (&Manifest, &Keyring, &Paths),
) -> Result<EntryCounts, LedgerError> {
    let path = paths.segment(segment.number);
    let corrupt = |what| LedgerError::corrupt(&path, data.offset, what);
    let line = manifest.brand(data.header.brand);
    let line =
        line.ok_or_else(|| corrupt("a block is of a brand that the manifest does not name"))?;
    let key = find_key(line, &manifest.id(), keyring, &paths.manifest())?.key;
    let entries = data.header.entries(segment.format, &data.nonce, key);
    entries.ok_or_else(|| corrupt("the counts of a block do not open"))
}

/// Whether a commit has the code of its brand. It is compared in constant time.
///
/// # Errors
///
/// Those of [`find_key`].
fn has_right_code(
    (commit, group, before): (&CommitBlock, &blake3::Hash, &Code),
    segment: SegmentId,
    (manifest, keyring, file): (&Manifest, &Keyring, &Path),
) -> Result<bool, LedgerError> {
    let Some((brand, code)) = commit.code else {
        return Ok(false);
    };
    let Some(line) = manifest.brand(brand) else {
        return Ok(false);
    };
    let key = find_key(line, &manifest.id(), keyring, file)?.key;
    let expected = commit.code(&segment, key, (group, before));
    Ok(blake3::Hash::from(expected) == blake3::Hash::from(code))
}
