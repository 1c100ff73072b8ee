//! The open ledger: its state, and the operations on the manifest.
//!
//! All changes go through one value on one thread. Only a rewrite runs
//! elsewhere; it reads sealed segments, which never change, and its result
//! counts when it is installed here.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tributary_operators::record::{BrandId, Day};
use tributary_operators::salt::Salt;

use crate::active::ActiveSegment;
use crate::block::FORMAT;
use crate::brands::{Numbers, enter_first};
use crate::counts::LedgerStats;
use crate::error::LedgerError;
use crate::keyring::Keyring;
use crate::known_labels::KnownLabels;
use crate::manifest::{Manifest, Paths};
use crate::position::Position;
use crate::salts::{self, Salts};
use crate::seal::seal;
use crate::write_batch::WriteBatch;

/// Location and owner of a ledger.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory. It is created if it does not exist.
    pub directory: PathBuf,
    /// Index of this process in the cluster, from 0.
    pub process: usize,
    /// The number of processes of the cluster.
    pub processes: usize,
    /// Size in bytes at which a segment is sealed and the next one begins.
    pub segment_bytes: u64,
}

impl Options {
    /// The default of [`Options::segment_bytes`]: 64 MiB.
    pub const SEGMENT_BYTES: u64 = 64 << 20;

    /// The ledger of the only process, with segments of the default size.
    pub fn new(directory: impl Into<PathBuf>) -> Options {
        Options {
            directory: directory.into(),
            process: 0,
            processes: 1,
            segment_bytes: Options::SEGMENT_BYTES,
        }
    }
}

/// The durable set of current records of this process, open and locked.
pub struct Ledger {
    /// Paths of its files.
    pub(crate) paths: Paths,
    /// The locked lock file.
    pub(crate) lock: File,
    /// Keys that seal everything from now on.
    pub(crate) keyring: Arc<Keyring>,
    /// Keys that the process started with. It makes its pseudonyms under their
    /// newest secret until it ends.
    pub(crate) opening_keyring: Arc<Keyring>,
    /// The manifest as it was last written.
    pub(crate) manifest: Manifest,
    /// The active segment.
    pub(crate) active: ActiveSegment,
    /// Brand numbers under the newest secrets.
    pub(crate) numbers: Numbers,
    /// Label names that the ledger stores.
    pub(crate) known: KnownLabels,
    /// Position of the last commit.
    pub(crate) position: Option<Position>,
    /// Size at which the active segment is sealed.
    pub(crate) segment_bytes: u64,
    /// Number of the next segment; shared with a rewrite on another thread.
    pub(crate) next_segment: Arc<AtomicU64>,
    /// Batches appended since the last commit.
    pub(crate) pending: Vec<WriteBatch>,
    /// Replaced files that could not be overwritten, since they were last taken.
    pub(crate) not_overwritten: usize,
    /// Whether an `fsync` has failed. Every later change is then refused.
    pub(crate) sync_failed: bool,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("directory", &self.paths.0)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Position of the last commit; `None` before the first.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Size of the ledger as of the last commit.
    pub fn stats(&self) -> LedgerStats {
        let sealed = &self.manifest.segments;
        LedgerStats {
            entries: sealed
                .iter()
                .flat_map(|segment| segment.entries.counts().values())
                .chain(self.active.counts.values())
                .copied()
                .sum(),
            bytes: sealed.iter().map(|s| s.bytes).sum::<u64>() + self.active.committed,
            segments: sealed.len() + 1,
            commits: self.active.commits,
        }
    }

    /// The number of replaced files since the last call that could not be overwritten:
    /// their sealed bytes are in free blocks of the disk.
    pub fn take_not_overwritten(&mut self) -> usize {
        std::mem::take(&mut self.not_overwritten)
    }

    /// Destroys the salts of a brand's days before `before`. The others are written
    /// anew under another day key, and the previous file is overwritten, as far as the
    /// file system permits, and removed.
    ///
    /// # Errors
    ///
    /// Any error of the disk. The salts may then still exist, and the call is to be
    /// repeated.
    pub fn destroy_salts(&mut self, brand: BrandId, before: Day) -> Result<(), LedgerError> {
        self.check_usable()?;
        if let Some(number) = self.numbers.get(&brand)
            && self.manifest.has_salts(*number)
        {
            let mut salts = salts::read(&self.paths, &self.manifest, &self.keyring)?;
            let days = salts.0.entry(*number).or_default();
            let count = days.len();
            days.retain(|day, _| *day >= before);
            if days.len() < count {
                self.write_salts(self.manifest.clone(), &salts)?;
            }
        }
        // Also what could not be removed before.
        let removed = salts::remove_orphans(&self.paths, &self.manifest);
        let removed = self.record_sync_failure(removed)?;
        self.not_overwritten += removed.not_overwritten;
        Ok(())
    }

    /// Closes the ledger and unlocks it. Batches that were appended and not
    /// committed are discarded.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Sync`] if an `fsync` has failed before.
    pub fn close(self) -> Result<(), LedgerError> {
        self.check_usable()?;
        let unlocked = self.lock.unlock();
        unlocked.map_err(|error| LedgerError::io(&self.paths.lock(), error))
    }

    /// Refuses a change after a failed `fsync`.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Sync`].
    pub(crate) fn check_usable(&self) -> Result<(), LedgerError> {
        if self.sync_failed {
            return Err(LedgerError::Sync {
                file: self.active.path().to_owned(),
                error: std::io::Error::other("an earlier fsync failed"),
            });
        }
        Ok(())
    }

    /// Writes a manifest with the next generation and adopts it.
    ///
    /// # Errors
    ///
    /// Any error of the disk; the previous manifest is then adopted still, except
    /// after [`LedgerError::Sync`], when either may be on the disk.
    pub(crate) fn replace_manifest(&mut self, manifest: Manifest) -> Result<(), LedgerError> {
        let keyring = self.keyring.clone();
        self.replace_under(manifest, None, &keyring)
    }

    /// Writes a manifest with these salts, each under a new day key. The previous file
    /// of salts is overwritten and removed; where that fails, it is tried again after
    /// the next change of the salts, and at the next opening.
    ///
    /// # Errors
    ///
    /// Those of [`Ledger::replace_manifest`].
    pub(crate) fn replace_salts(
        &mut self,
        manifest: Manifest,
        salts: &Salts,
    ) -> Result<(), LedgerError> {
        self.write_salts(manifest, salts)?;
        self.remove_replaced_salts()
    }

    /// Overwrites and removes the files of salts that the manifest no longer names.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Sync`]. After any other error the files stay until the next
    /// change of the salts, or the next opening.
    pub(crate) fn remove_replaced_salts(&mut self) -> Result<(), LedgerError> {
        match salts::remove_orphans(&self.paths, &self.manifest) {
            Err(error @ LedgerError::Sync { .. }) => self.record_sync_failure(Err(error)),
            Err(_) => Ok(()),
            Ok(removed) => {
                self.not_overwritten += removed.not_overwritten;
                Ok(())
            }
        }
    }

    /// As [`Ledger::replace_salts`], without the removal of the previous file.
    ///
    /// # Errors
    ///
    /// Those of [`Ledger::replace_manifest`].
    fn write_salts(&mut self, manifest: Manifest, salts: &Salts) -> Result<(), LedgerError> {
        let keyring = self.keyring.clone();
        self.replace_under(manifest, Some(salts), &keyring)
    }

    /// Writes a manifest, sealed with these keys, and the salts first if there are
    /// new ones. Files of salts that it does not name are left to the caller.
    ///
    /// # Errors
    ///
    /// Those of [`Ledger::replace_manifest`].
    pub(crate) fn replace_under(
        &mut self,
        mut manifest: Manifest,
        salts: Option<&Salts>,
        keyring: &Keyring,
    ) -> Result<(), LedgerError> {
        self.check_usable()?;
        manifest.generation = self.manifest.generation + 1;
        let mut numbers = self.numbers.clone();
        enter_first(&mut manifest, &mut numbers, keyring);
        if let Some(salts) = salts {
            let written = salts::write(&self.paths, &mut manifest, salts, keyring);
            self.record_sync_failure(written)?;
        }
        let path = self.paths.manifest();
        let written = seal(&mut manifest, keyring, &path);
        let written = written.and_then(|()| self.paths.write(&manifest));
        let written = self.record_sync_failure(written);
        if let Err(error) = written {
            // After a failed sync nobody knows which manifest counts, and so its salts stay.
            if salts.is_some() && !self.sync_failed {
                let _ = crate::disk::remove(&self.paths.salts(manifest.generation));
            }
            return Err(error);
        }
        self.not_overwritten += usize::from(written.is_ok_and(|overwritten| !overwritten));
        self.manifest = manifest;
        self.numbers = numbers;
        Ok(())
    }

    /// Passes a result through, and remembers a failed `fsync`.
    pub(crate) fn record_sync_failure<T>(
        &mut self,
        result: Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        self.sync_failed |= matches!(result, Err(LedgerError::Sync { .. }));
        result
    }

    /// Seals the active segment if it contains a commit or is of an older format, and
    /// begins the next one.
    /// The new segment is durable before the manifest lists both.
    ///
    /// # Errors
    ///
    /// Any error of the disk; the active segment then stays the same.
    pub(crate) fn roll(&mut self) -> Result<(), LedgerError> {
        self.roll_with(None)
    }

    /// As [`Ledger::roll`]; the manifest names these salts, if there are new ones.
    ///
    /// # Errors
    ///
    /// Those of [`Ledger::roll`].
    pub(crate) fn roll_with(&mut self, salts: Option<&Salts>) -> Result<(), LedgerError> {
        self.check_usable()?;
        let is_current = self.active.id().format == FORMAT;
        if self.active.is_empty() && is_current {
            return Ok(());
        }
        let sealed = match self.active.is_empty() {
            true => None,
            false => {
                let sealed = self.active.seal_summary();
                Some(self.record_sync_failure(sealed)?)
            }
        };
        let number = self.next_segment.fetch_add(1, Ordering::Relaxed);
        let commits = self.active.commits;
        let made = ActiveSegment::create(&self.paths, self.manifest.segment(number), commits);
        let active = self.record_sync_failure(made)?;
        let mut manifest = self.manifest.clone();
        manifest.format = FORMAT;
        let is_listed = sealed.is_some();
        manifest.segments.extend(sealed);
        manifest.active = number;
        manifest.commits = commits;
        manifest.position = self.position;
        let keyring = self.keyring.clone();
        if let Err(error) = self.replace_under(manifest, salts, &keyring) {
            // After a failed sync nobody knows which manifest counts, and so the segment stays.
            if !self.sync_failed {
                let _ = crate::disk::remove(active.path());
            }
            return Err(error);
        }
        if !is_listed {
            // Empty, and of an older format. What is left of it is removed at the next opening.
            let _ = crate::disk::remove(self.active.path());
        }
        self.active = active;
        Ok(())
    }

    /// These salts, by the IDs of their brands.
    pub(crate) fn named_salts(&self, salts: &Salts) -> Vec<(BrandId, Day, Salt)> {
        let named = salts.iter().filter_map(|(number, day, salt)| {
            let line = self.manifest.brand(number)?;
            Some((BrandId::of(&line.name), day, salt.clone()))
        });
        named.collect()
    }
}
