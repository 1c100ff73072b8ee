//! Opening of a ledger: everything is verified before anything is changed.
//!
//! A crash may leave five things. A group of blocks without its commit is
//! truncated. A manifest under its temporary name is removed. So is a file of
//! salts that the manifest does not name. A segment that
//! the manifest does not list belongs to an unfinished roll or rewrite, or was
//! replaced by a rewrite; it is overwritten and removed, unless it contains a
//! commit newer than everything the manifest knows. In that case the manifest
//! is outdated, and opening fails.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use crate::active::ActiveSegment;
use crate::block::{FORMAT, SEGMENT_HEADER, SegmentId};
use crate::brands;
use crate::disk;
use crate::error::LedgerError;
use crate::frames::{later_commit, read_header};
use crate::heads::FileHeads;
use crate::keyring::Keyring;
use crate::known_labels::KnownLabels;
use crate::ledger::{Ledger, Options};
use crate::manifest::{Manifest, ManifestSalts, Paths, SealedSegment};
use crate::recover::{Recovery, SegmentSet};
use crate::rotate::move_salts;
use crate::salts;
use crate::scan::scan;
use crate::seal::{open_counts, verify_any_seal, verify_seals};
use crate::wire::Hex;

/// The longest wait for a lock that another holder is about to release.
const LOCK_WAIT: Duration = Duration::from_millis(500);

impl Ledger {
    /// Opens the ledger of a directory, or creates one. The returned [`Recovery`]
    /// must be read to its end before the first commit, because blocks are verified
    /// as they are read.
    ///
    /// Entries sealed before a key rotation are returned with the pseudonyms of the
    /// newest secret; [`Ledger::entries_under_old_keys`] counts them, and a rewrite
    /// moves them.
    ///
    /// # Errors
    ///
    /// Any [`LedgerError`]. A refusal never changes committed data; after
    /// [`LedgerError::Newer`] the directory is unchanged to the byte.
    pub fn open(
        options: Options,
        keyring: Arc<Keyring>,
    ) -> Result<(Ledger, Recovery), LedgerError> {
        let paths = Paths(options.directory.clone());
        if paths.0.exists() && !paths.0.is_dir() {
            return Err(LedgerError::NoDirectory { file: paths.0 });
        }
        // Before the lock, because even an empty lock file would be a change.
        refuse_newer(&paths)?;
        disk::create_directory(&paths.0)?;
        if let Some(parent) = paths.0.parent().filter(|parent| parent.is_dir()) {
            // The data directory's own name must last, too; where its parent is not ours, it is there for long.
            let _ = disk::sync_directory(parent);
        }
        let lock = lock(&paths)?;
        let mut manifest = match paths.read()? {
            Some(manifest) => manifest,
            None => begin(&paths, &options)?,
        };
        let share = (options.process, options.processes);
        if (manifest.process, manifest.processes) != share {
            return Err(LedgerError::OtherShare {
                file: paths.manifest(),
                found: (manifest.process, manifest.processes),
                asked: share,
            });
        }
        let before = manifest.commits;
        let scan = scan(&paths, &manifest, Some(&keyring))?;
        for segment in &manifest.segments {
            check_length(&paths, segment)?;
        }
        let file = paths.manifest();
        let read = manifest.clone();
        let mut numbers = brands::assign_numbers(&mut manifest, &scan.counts, &keyring, &file)?;
        // Of a brand without entries the secret may be another one by now.
        verify_seals(&read, &manifest.brands, &keyring, &file)?;
        verify_any_seal(&read, &keyring, &file)?;
        open_counts(&mut manifest, &keyring, &file)?;
        let mut salts = salts::read(&paths, &manifest, &keyring)?;
        let moved = move_salts(&mut manifest, &mut numbers, &mut salts, &keyring, &file)?;
        brands::prune_unused(&mut manifest, &scan.counts, &numbers);
        let orphans = orphans(&paths, &manifest, scan.commits)?;
        let orphaned_salts = salts::orphans(&paths, &read)?;

        // From here on, what a crash has left is put in order.
        let position = scan.position.or(manifest.position);
        let cut_bytes = scan.length - scan.committed;
        let draft = paths.draft();
        let segments = orphans.iter().map(|number| paths.segment(*number));
        let salts_files = orphaned_salts.iter().map(|number| paths.salts(*number));
        let mut not_overwritten = 0;
        for left in segments.chain(salts_files).chain([draft]) {
            not_overwritten += usize::from(!disk::remove(&left)?);
        }
        let active = ActiveSegment::resume(&paths, scan, before)?;
        let last = manifest.segments.iter().map(|s| s.number).max();
        let next = last.unwrap_or(0).max(manifest.active) + 1;
        let known = KnownLabels::default();
        let mut ledger = Ledger {
            paths,
            lock,
            opening_keyring: keyring.clone(),
            keyring,
            active,
            numbers,
            known: known.clone(),
            position,
            segment_bytes: options.segment_bytes,
            next_segment: Arc::new(AtomicU64::new(next)),
            pending: Vec::new(),
            not_overwritten,
            sync_failed: false,
            manifest,
        };
        // A segment of an older format is sealed: from here on, commits have codes, and
        // the salts a file of their own.
        if ledger.manifest.format < FORMAT {
            ledger.roll_with(Some(&salts))?;
        } else if moved {
            ledger.replace_salts(ledger.manifest.clone(), &salts)?;
        }
        let sources =
            SegmentSet::with_active(&ledger.paths, &ledger.manifest, ledger.active.committed)
                .with_older_names(&ledger.keyring)?;
        let recovered = Recovery {
            position,
            salts: ledger.named_salts(&salts),
            cut_bytes,
            stats: ledger.stats(),
            blocks: sources.blocks(known),
        };
        Ok((ledger, recovered))
    }
}

/// Refuses files of a newer format version before anything is touched. All
/// other errors are left to later checks.
///
/// # Errors
///
/// [`LedgerError::Newer`], and a directory that cannot be read.
pub(crate) fn refuse_newer(paths: &Paths) -> Result<(), LedgerError> {
    // Everything else that is wrong is said in its turn.
    if let Err(error @ LedgerError::Newer { .. }) = paths.read() {
        return Err(error);
    }
    for number in paths.segment_files()? {
        let path = paths.segment(number);
        let header = read_header(&path).ok().flatten().unwrap_or_default();
        if let Some(found) = SegmentId::newer(&header) {
            return Err(LedgerError::Newer {
                file: path,
                found,
                known: FORMAT,
            });
        }
    }
    Ok(())
}

/// Creates and locks the lock file, and waits up to [`LOCK_WAIT`] for its holder.
/// A holder that closes the file does not always release it at once: a lock
/// belongs to the open file, and a process that is being started shares all open
/// files between `fork(2)` and `execve(2)`.
///
/// # Errors
///
/// [`LedgerError::Locked`] if another process has the ledger open.
pub(crate) fn lock(paths: &Paths) -> Result<File, LedgerError> {
    let file = paths.lock();
    let lock = disk::create(&file)?;
    let begin = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if begin.elapsed() < LOCK_WAIT => {
                std::thread::sleep(LOCK_WAIT / 50);
            }
            Err(TryLockError::WouldBlock) => return Err(LedgerError::Locked { file }),
            Err(TryLockError::Error(error)) => return Err(LedgerError::io(&file, error)),
        }
    }
}

/// Creates a ledger: its first segment is durable before the manifest lists it.
///
/// # Errors
///
/// [`LedgerError::Missing`] if there are segments with content but no manifest.
fn begin(paths: &Paths, options: &Options) -> Result<Manifest, LedgerError> {
    for number in paths.segment_files()? {
        let path = paths.segment(number);
        let length = std::fs::metadata(&path).map_err(|error| LedgerError::io(&path, error))?;
        // A segment that is no longer than its header was left by a beginning that was not finished.
        if length.len() > SEGMENT_HEADER as u64 {
            return Err(LedgerError::Missing {
                file: paths.manifest(),
                what: "there are segments but no manifest",
            });
        }
        disk::remove(&path)?;
    }
    let manifest = Manifest {
        format: FORMAT,
        ledger: Hex(rand::random::<[u8; 16]>().to_vec()),
        generation: 1,
        heads: FileHeads::new(),
        process: options.process,
        processes: options.processes,
        commits: 0,
        position: None,
        active: 1,
        brands: Vec::new(),
        segments: Vec::new(),
        salts: ManifestSalts::File(None),
        counts: BTreeMap::new(),
        seals: BTreeMap::new(),
    };
    disk::create_directory(&paths.segments())?;
    ActiveSegment::create(paths, manifest.segment(1), 0)?;
    paths.write(&manifest)?;
    Ok(manifest)
}

/// Verifies the length of a sealed segment.
///
/// # Errors
///
/// [`LedgerError::Missing`], or [`LedgerError::Corrupt`] for another length.
pub(crate) fn check_length(paths: &Paths, segment: &SealedSegment) -> Result<(), LedgerError> {
    let path = paths.segment(segment.number);
    match std::fs::metadata(&path) {
        Ok(found) if found.len() == segment.bytes => Ok(()),
        Ok(found) => {
            let what = "the length of a sealed segment differs from the manifest";
            let offset = found.len().min(segment.bytes);
            Err(LedgerError::corrupt(&path, offset, what))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(LedgerError::Missing {
            file: path,
            what: "the manifest names this segment, but it is not there",
        }),
        Err(error) => Err(LedgerError::io(&path, error)),
    }
}

/// Numbers of the segments that the manifest does not list. `commits` is the
/// last commit that the manifest and the active segment know.
///
/// # Errors
///
/// [`LedgerError::Corrupt`] for a segment of another ledger, or one with a
/// later commit.
fn orphans(paths: &Paths, manifest: &Manifest, commits: u64) -> Result<Vec<u64>, LedgerError> {
    let named = |number: u64| {
        number == manifest.active || manifest.segments.iter().any(|s| s.number == number)
    };
    let mut orphans = Vec::new();
    for number in paths.segment_files()?.into_iter().filter(|n| !named(*n)) {
        let path = paths.segment(number);
        let header = read_header(&path)?.unwrap_or_default();
        // What has no whole header was not finished when it was written.
        if let Ok(id) = SegmentId::read(&header, &path) {
            if id.ledger != manifest.id() {
                let what = "this is a segment of another ledger; move it away";
                return Err(LedgerError::corrupt(&path, 0, what));
            }
            let behind = SEGMENT_HEADER as u64..u64::MAX;
            if let Some(commit) = later_commit(&path, id, behind, commits + 1)? {
                let what = "this segment holds commits that the manifest does not know, as if an old manifest had been put back";
                return Err(LedgerError::corrupt(&path, commit.offset, what));
            }
        }
        orphans.push(number);
    }
    Ok(orphans)
}
