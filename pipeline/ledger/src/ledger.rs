//! The open ledger: its state, and the operations on the manifest.
//!
//! All changes go through one value on one thread. Only a rewrite runs
//! elsewhere; it reads sealed segments, which never change, and its result
//! counts when it is installed here.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tributary_operators::record::{BrandId, Day};
use tributary_operators::salt::Salt;
use zeroize::Zeroizing;

use crate::active::ActiveSegment;
use crate::block::FORMAT;
use crate::brands::{BrandKeyRef, Numbers, find_key};
use crate::counts::LedgerStats;
use crate::error::LedgerError;
use crate::keyring::Keyring;
use crate::known_labels::KnownLabels;
use crate::manifest::{Manifest, ManifestSalt, Paths};
use crate::position::Position;
use crate::seal::seal;
use crate::wire::Hex;
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
                .flat_map(|segment| segment.entries.values())
                .chain(self.active.counts.values())
                .copied()
                .sum(),
            bytes: sealed.iter().map(|s| s.bytes).sum::<u64>() + self.active.committed,
            segments: sealed.len() + 1,
            commits: self.active.commits,
        }
    }

    /// Destroys the salts of a brand's days before `before`. The manifest is
    /// rewritten without them, and the previous one is overwritten as far as the
    /// file system permits.
    ///
    /// # Errors
    ///
    /// Any error of the disk. The salts then still exist, and the call may be
    /// repeated.
    pub fn destroy_salts(&mut self, brand: BrandId, before: Day) -> Result<(), LedgerError> {
        let Some(number) = self.numbers.get(&brand).copied() else {
            return Ok(());
        };
        let mut manifest = self.manifest.clone();
        let stays = |salt: &ManifestSalt| salt.brand != number || salt.day >= before;
        manifest.salts.retain(stays);
        if manifest.salts.len() == self.manifest.salts.len() {
            return Ok(());
        }
        self.replace_manifest(manifest)
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
        self.replace_manifest_under(manifest, &keyring)
    }

    /// As [`Ledger::replace_manifest`], sealed with these keys.
    ///
    /// # Errors
    ///
    /// Those of [`Ledger::replace_manifest`].
    pub(crate) fn replace_manifest_under(
        &mut self,
        mut manifest: Manifest,
        keyring: &Keyring,
    ) -> Result<(), LedgerError> {
        self.check_usable()?;
        manifest.generation = self.manifest.generation + 1;
        seal(&mut manifest, keyring);
        let written = self.paths.write(&manifest);
        self.record_sync_failure(written)?;
        self.manifest = manifest;
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
        if let Err(error) = self.replace_manifest(manifest) {
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

    /// The salts in the manifest, decrypted.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Corrupt`] for a salt that does not decrypt.
    pub(crate) fn salts(&self) -> Result<Vec<(BrandId, Day, Salt)>, LedgerError> {
        let path = self.paths.manifest();
        let open = |line| open_salt(&self.manifest, &self.keyring, line, &path);
        let salts = self.manifest.salts.iter().map(open);
        salts
            .map(|opened| opened.map(|(found, day, salt)| (found.id, day, salt)))
            .collect()
    }
}

/// Decrypts a salt under the key that sealed it, and returns that key with the
/// salt.
///
/// # Errors
///
/// [`LedgerError::Corrupt`] if the salt does not decrypt; the errors of
/// [`find_key`].
pub(crate) fn open_salt<'a>(
    manifest: &Manifest,
    keyring: &'a Keyring,
    line: &ManifestSalt,
    path: &Path,
) -> Result<(BrandKeyRef<'a>, Day, Salt), LedgerError> {
    let corrupt = || LedgerError::corrupt(path, 0, "a salt does not open");
    let brand = manifest.brand(line.brand).ok_or_else(corrupt)?;
    let found = find_key(brand, &manifest.id(), keyring, path)?;
    let open = || {
        let nonce = line.nonce.0.as_slice().try_into().ok()?;
        let place = salt_place(manifest, line.brand, line.day);
        let plain = Zeroizing::new(found.key.open(&place, nonce, &line.sealed.0)?);
        Some(Salt::from_bytes(plain.as_slice().try_into().ok()?))
    };
    let salt = open().ok_or_else(corrupt)?;
    Ok((found, line.day, salt))
}

/// Encrypts a salt for the manifest; `None` if the cipher fails.
pub(crate) fn seal_salt(
    manifest: &Manifest,
    (brand, key): (u16, &crate::keyring::BrandKey),
    day: Day,
    salt: &Salt,
) -> Option<ManifestSalt> {
    let (nonce, sealed) = key.seal(&salt_place(manifest, brand, day), salt.bytes())?;
    Some(ManifestSalt {
        brand,
        day,
        nonce: Hex(nonce.to_vec()),
        sealed: Hex(sealed),
    })
}

/// Associated data of a salt: ledger, brand number and day (FORMAT.md, section
/// *MANIFEST*).
fn salt_place(manifest: &Manifest, brand: u16, day: Day) -> Vec<u8> {
    let mut place = b"tributary ledger salt\0\0\0".to_vec();
    place.extend_from_slice(&manifest.id());
    place.extend_from_slice(&brand.to_le_bytes());
    place.extend_from_slice(&day.to_le_bytes());
    place
}
