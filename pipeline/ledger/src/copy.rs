//! A copy of a ledger that another process keeps up to date while the ledger is
//! in use.
//!
//! What a ledger consists of at one instant is its manifest, the sealed segments
//! and the file of salts that the manifest lists, and the active segment up to
//! its last commit ([`Extent`]). Sealed segments and salts never change, and the
//! active segment only grows, so that a copy fetches what it lacks, in any
//! order, and then takes over the manifest.
//!
//! A commit may need the manifest of its time: pings are linked by a salt that the
//! manifest of the first of them lists. So the active segment grows in place only
//! under the manifest that the copy has. Its end arrives beside the copy if the
//! manifest arrives with it.
//!
//! The invariant: *at every instant a copy that was complete once is what its
//! original was at some instant*, as after a crash of the original. Whole files
//! therefore arrive in a directory beside the copy and get their names when all
//! of them are durable. Between the first of these renames and the last removal
//! the copy is neither the old state nor the new one; the caller records that,
//! and does not open such a copy.
//!
//! The copy holds the lock of its directory, so that nobody opens it meanwhile.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

use crate::checksum::{self, FileChecksum};
use crate::disk::{self, Removed};
use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::manifest::{Manifest, ManifestSalts, Paths};
use crate::open::lock;

/// How far the active segment of an open ledger is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The number of the active segment.
    pub segment: u64,
    /// Its length up to the last commit, bytes.
    pub bytes: u64,
}

impl Ledger {
    /// How far the active segment is durable.
    pub fn extent(&self) -> Extent {
        Extent {
            segment: self.active.id().number,
            bytes: self.active.committed,
        }
    }
}

/// A file of a ledger that a copy needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerFile {
    /// Its path below the directory of the ledger.
    pub name: String,
    /// Its length, bytes; `None` for the salts, whose length the manifest does not
    /// give.
    pub bytes: Option<u64>,
    /// The checksum of the whole file; `None` for the active segment, whose commits
    /// are verified when it is opened.
    checksum: Option<Vec<u8>>,
    /// The format version, which says how the checksum is computed.
    format: u32,
}

impl LedgerFile {
    /// The checksum that the manifest lists, hexadecimal; `None` for the active
    /// segment.
    pub fn checksum(&self) -> Option<String> {
        let checksum = self.checksum.as_ref()?;
        Some(data_encoding::HEXLOWER.encode(checksum))
    }

    /// Opens the file below the directory of its ledger, to be read once from `from`
    /// to its length.
    ///
    /// # Errors
    ///
    /// A file that cannot be opened.
    pub fn open(&self, directory: &Path, from: u64) -> std::io::Result<CheckedFile> {
        let mut file = File::open(directory.join(&self.name))?;
        file.seek(SeekFrom::Start(from))?;
        let left = self
            .bytes
            .map_or(u64::MAX, |bytes| bytes.saturating_sub(from));
        Ok(CheckedFile {
            file: file.take(left),
            read: 0,
            checksum: FileChecksum::new(self.format),
        })
    }
}

/// A file of a ledger that is being read, and may be overwritten meanwhile.
pub struct CheckedFile {
    file: Take<File>,
    /// How much was read, bytes.
    read: u64,
    /// The checksum of that.
    checksum: FileChecksum,
}

impl std::fmt::Debug for CheckedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckedFile").finish_non_exhaustive()
    }
}

impl Read for CheckedFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.checksum.update(buffer.get(..read).unwrap_or_default());
        self.read += read as u64;
        Ok(read)
    }
}

impl CheckedFile {
    /// Whether what was read is the file that the manifest lists. Of the active
    /// segment it says whether it was long enough.
    pub fn is(&self, listed: &LedgerFile) -> bool {
        match (&listed.checksum, listed.bytes) {
            (Some(checksum), _) => self.checksum.digest() == *checksum,
            (None, Some(_)) => self.file.limit() == 0,
            (None, None) => true,
        }
    }
}

/// A manifest, as a copy reads it.
#[derive(Clone, Debug)]
pub struct CopiedManifest {
    /// Its bytes.
    bytes: Vec<u8>,
    manifest: Manifest,
}

impl CopiedManifest {
    /// Reads the manifest in the directory of a ledger; `None` without one.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is no manifest of a known version.
    pub fn read(directory: &Path) -> Result<Option<CopiedManifest>, LedgerError> {
        let path = Paths(directory.to_owned()).manifest();
        match std::fs::read(&path) {
            Ok(bytes) => CopiedManifest::parse(bytes).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LedgerError::io(&path, error)),
        }
    }

    /// Parses the bytes of a manifest.
    ///
    /// # Errors
    ///
    /// Bytes that are no manifest of a known version.
    pub fn parse(bytes: Vec<u8>) -> Result<CopiedManifest, LedgerError> {
        let manifest = Manifest::parse(&bytes, Path::new("MANIFEST"))?;
        Ok(CopiedManifest { bytes, manifest })
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The ID of the ledger.
    pub fn ledger(&self) -> [u8; 16] {
        self.manifest.id()
    }

    /// The number of the active segment.
    pub fn active(&self) -> u64 {
        self.manifest.active
    }

    /// The name of the active segment.
    pub fn active_name(&self) -> String {
        segment_name(self.manifest.active)
    }

    /// The files that the manifest lists, with the active segment up to `active`
    /// bytes.
    pub fn files(&self, active: u64) -> Vec<LedgerFile> {
        let format = self.manifest.format;
        let segment = |number: u64, bytes, checksum| LedgerFile {
            name: segment_name(number),
            bytes: Some(bytes),
            checksum,
            format,
        };
        let sealed = self.manifest.segments.iter();
        let sealed = sealed.map(|sealed| {
            let checksum = Some(sealed.checksum.0.clone());
            segment(sealed.number, sealed.bytes, checksum)
        });
        let mut files: Vec<LedgerFile> = sealed.collect();
        files.push(segment(self.manifest.active, active, None));
        if let ManifestSalts::File(Some(salts)) = &self.manifest.salts {
            files.push(LedgerFile {
                name: salts_name(salts.number),
                bytes: None,
                checksum: Some(salts.checksum.0.clone()),
                format,
            });
        }
        files
    }
}

/// The path of a segment below the directory of its ledger.
fn segment_name(number: u64) -> String {
    format!("segments/{number:010}.seg")
}

/// The path of a file of salts below the directory of its ledger.
fn salts_name(number: u64) -> String {
    format!("SALTS.{number}")
}

/// Whether a name is that of a file which [`CopiedManifest::files`] may list: no
/// other file may be asked for.
pub fn is_ledger_file(name: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    let segment = || {
        let digits = name.strip_prefix("segments/")?.strip_suffix(".seg")?;
        number(digits).map(segment_name)
    };
    let salts = || number(name.strip_prefix("SALTS.")?).map(salts_name);
    [segment(), salts()]
        .into_iter()
        .flatten()
        .any(|of| of == name)
}

/// A copy of a ledger, locked.
#[derive(Debug)]
pub struct LedgerCopy {
    paths: Paths,
    /// Where whole files arrive.
    incoming: PathBuf,
    /// Held until the copy is dropped.
    _lock: File,
}

impl LedgerCopy {
    /// Locks the copy in `directory`, which may be empty. Whole files arrive in
    /// `incoming`, on the same file system; what an earlier run has left there is
    /// removed; returns what has become of that, too.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Locked`] if another process has the directory open, or an error
    /// of the disk.
    pub fn open(directory: &Path, incoming: &Path) -> Result<(LedgerCopy, Removed), LedgerError> {
        let paths = Paths(directory.to_owned());
        disk::create_directory(&paths.0)?;
        let lock = lock(&paths)?;
        disk::create_directory(&paths.segments())?;
        let copy = LedgerCopy {
            paths,
            incoming: incoming.to_owned(),
            _lock: lock,
        };
        let removed = copy.clear_incoming()?;
        Ok((copy, removed))
    }

    /// Overwrites and removes everything that has arrived and is not installed. Returns
    /// what has become of it.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn clear_incoming(&self) -> Result<Removed, LedgerError> {
        let incoming = Paths(self.incoming.clone());
        disk::create_directory(&incoming.0)?;
        disk::create_directory(&incoming.segments())?;
        let mut removed = Removed::default();
        for number in incoming.segment_files()? {
            removed.remove(&incoming.segment(number))?;
        }
        for number in incoming.salts_files()? {
            removed.remove(&incoming.salts(number))?;
        }
        removed.remove(&self.end())?;
        Ok(removed)
    }

    /// Where the end of a segment arrives.
    fn end(&self) -> PathBuf {
        self.incoming.join("END")
    }

    /// The length of a file of the copy; `None` if it is missing.
    pub fn length(&self, file: &LedgerFile) -> Option<u64> {
        let metadata = std::fs::metadata(self.paths.0.join(&file.name));
        metadata.ok().map(|metadata| metadata.len())
    }

    /// Whether the copy has a sealed segment or a file of salts, byte for byte.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn has(&self, file: &LedgerFile) -> Result<bool, LedgerError> {
        matches(&self.paths.0.join(&file.name), file)
    }

    /// Appends to a segment of the copy at `offset`, its length; durable when this
    /// returns.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn append(&self, file: &LedgerFile, offset: u64, bytes: &[u8]) -> Result<(), LedgerError> {
        let path = self.paths.0.join(&file.name);
        let open = disk::open(&path)?;
        disk::write(&open, &path, bytes, offset)?;
        disk::sync(&open, &path)
    }

    /// Writes a part of a whole file that arrives, beginning with offset 0.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn receive(&self, file: &LedgerFile, offset: u64, bytes: &[u8]) -> Result<(), LedgerError> {
        let path = self.incoming.join(&file.name);
        let open = match offset {
            0 => disk::create(&path)?,
            _ => disk::open(&path)?,
        };
        disk::write(&open, &path, bytes, offset)
    }

    /// Writes a part of the end of a segment that arrives, beginning with offset 0,
    /// which is the first byte that the segment of the copy lacks.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn receive_end(&self, offset: u64, bytes: &[u8]) -> Result<(), LedgerError> {
        let path = self.end();
        let open = match offset {
            0 => disk::create(&path)?,
            _ => disk::open(&path)?,
        };
        disk::write(&open, &path, bytes, offset)
    }

    /// Makes a file that has arrived durable. Returns whether it is the one that
    /// the manifest lists.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn complete(&self, file: &LedgerFile) -> Result<bool, LedgerError> {
        let path = self.incoming.join(&file.name);
        let open = disk::open(&path)?;
        disk::sync(&open, &path)?;
        matches(&path, file)
    }

    /// Appends the end that has arrived to a segment at `offset`, its length. What has
    /// arrived is then overwritten and removed, which is added to `removed`.
    fn append_end(
        &self,
        file: &LedgerFile,
        mut offset: u64,
        removed: &mut Removed,
    ) -> Result<(), LedgerError> {
        let (from, to) = (self.end(), self.paths.0.join(&file.name));
        let failed = |error| LedgerError::io(&from, error);
        let mut end = File::open(&from).map_err(failed)?;
        let open = disk::open(&to)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = end.read(&mut buffer).map_err(failed)?;
            if read == 0 {
                break;
            }
            let part = buffer.get(..read).unwrap_or_default();
            disk::write(&open, &to, part, offset)?;
            offset += read as u64;
        }
        disk::sync(&open, &to)?;
        removed.remove(&from)
    }

    /// Makes the copy what this manifest lists: gives the files that have arrived
    /// their names, appends to `grows` at the offset beside it the end that has
    /// arrived, replaces the manifest, and overwrites and removes all other files.
    /// Returns what has become of these.
    ///
    /// # Errors
    ///
    /// Any error of the disk. The copy is then incomplete.
    pub fn install(
        &self,
        manifest: &CopiedManifest,
        grows: Option<(&LedgerFile, u64)>,
    ) -> Result<Removed, LedgerError> {
        let incoming = Paths(self.incoming.clone());
        let mut removed = Removed::default();
        if let Some((file, offset)) = grows {
            self.append_end(file, offset, &mut removed)?;
        }
        for number in incoming.segment_files()? {
            // The copy is marked as incomplete meanwhile, so that the file is not missed.
            removed.remove(&self.paths.segment(number))?;
            disk::rename(&incoming.segment(number), &self.paths.segment(number))?;
        }
        for number in incoming.salts_files()? {
            removed.remove(&self.paths.salts(number))?;
            disk::rename(&incoming.salts(number), &self.paths.salts(number))?;
        }
        disk::sync_directory(&self.paths.segments())?;
        let is_overwritten = self.paths.replace(&manifest.bytes)?;
        let files = manifest.files(0);
        let listed: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        for number in self.paths.segment_files()? {
            if !listed.contains(segment_name(number).as_str()) {
                removed.remove(&self.paths.segment(number))?;
            }
        }
        for number in self.paths.salts_files()? {
            if !listed.contains(salts_name(number).as_str()) {
                removed.remove(&self.paths.salts(number))?;
            }
        }
        removed.not_overwritten += usize::from(!is_overwritten);
        disk::sync_directory(&self.paths.segments())?;
        disk::sync_directory(&self.paths.0)?;
        Ok(removed)
    }
}

/// Whether a file is there and has the length and the checksum of the manifest.
fn matches(path: &Path, file: &LedgerFile) -> Result<bool, LedgerError> {
    checksum::matches(path, file.bytes, file.checksum.as_deref(), file.format)
}
