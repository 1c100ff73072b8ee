//! The durable form of the objection list.

use std::path::{Path, PathBuf};

use rustc_hash::FxHashSet;

use super::record::{Change, Record, SIZE, verify_checksum, with_checksum};
use super::set::SuppressionSet;
use crate::disk::{self, AppendFile};
use crate::error::{FileError, Kind, Position};
use crate::head::{HashChain, Head, LedgerWatermark};
use crate::hex::{Hash, Hex};
use crate::keys::{BrandKeys, BrandTag, KeyLevel};

const MAGIC: &[u8; 8] = b"TRIBSUPP";
const VERSION: u32 = 3;

/// The file of one process, open for appending and locked.
#[derive(Debug)]
pub struct SuppressionFile {
    file: AppendFile,
    /// The brands and levels whose key the file names.
    keyed: FxHashSet<(BrandTag, KeyLevel)>,
    head: Head,
}

/// An opened objection list.
#[derive(Debug)]
pub struct OpenedList {
    /// The file.
    pub file: SuppressionFile,
    /// What it says.
    pub set: SuppressionSet,
    /// The number of bytes of an unfinished record that were truncated.
    pub cut_bytes: u64,
}

/// What an objection list holds.
#[derive(Debug)]
pub struct ObjectionListContents {
    /// Its records.
    pub entries: HashChain,
    /// The ledger beside which it lies, as far as it says; none before its beginning was written.
    pub ledger: Option<LedgerWatermark>,
    set: SuppressionSet,
    keyed: FxHashSet<(BrandTag, KeyLevel)>,
    torn_bytes: u64,
}

/// Reads a list without changing it; none where there is no file.
///
/// # Errors
/// As [`SuppressionFile::open`].
pub fn read(path: &Path, brands: &[BrandKeys]) -> Result<Option<ObjectionListContents>, FileError> {
    let bytes = disk::read(path)?;
    bytes
        .map(|bytes| ObjectionListContents::read(path, &bytes, brands))
        .transpose()
}

/// Writes a list anew that is broken, beside this ledger, with every record of it that can be read; what it was is kept
/// beside it, under the name that is returned. None where it is not broken.
///
/// # Errors
/// Any of the disk, and what is wrong with it but that.
pub fn repair(
    path: &Path,
    brands: &[BrandKeys],
    ledger: [u8; 16],
) -> Result<Option<PathBuf>, FileError> {
    match read(path, brands) {
        Err(error) if matches!(error.kind(), Kind::Broken(_)) => {}
        read => return read.map(|_| None),
    }
    let bytes = disk::read(path)?.unwrap_or_default();
    let mut written = header(ledger).to_vec();
    let mut rest = bytes.as_slice();
    // Bytes may be missing: a record may begin anywhere, and its checksum tells it.
    while let Some((record, behind)) = rest.split_first_chunk::<SIZE>() {
        if Record::from_bytes(record).is_some() {
            written.extend_from_slice(record);
            rest = behind;
        } else {
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    disk::replace_and_keep_copy(path, &written).map(Some)
}

impl ObjectionListContents {
    /// Who is kept out.
    pub fn set(&self) -> &SuppressionSet {
        &self.set
    }

    fn read(
        path: &Path,
        bytes: &[u8],
        brands: &[BrandKeys],
    ) -> Result<ObjectionListContents, FileError> {
        let (chunks, torn) = bytes.as_chunks::<SIZE>();
        let mut list = ObjectionListContents {
            entries: HashChain::new(Hash::NONE),
            ledger: None,
            set: SuppressionSet::default(),
            keyed: FxHashSet::default(),
            torn_bytes: torn.len() as u64,
        };
        let broken = |place: usize| {
            let what = "is not the record that was written";
            FileError::broken(path, Position::Byte((place * SIZE) as u64), what)
        };
        let Some((first, records)) = chunks.split_first() else {
            return match begins_header(torn) {
                true => Ok(list),
                false => Err(broken(0)),
            };
        };
        list.ledger = Some(LedgerWatermark::new(read_header(path, first)?, 0, 0));
        list.entries = HashChain::new(hash(Hash::NONE, first));
        for (place, bytes) in records.iter().enumerate() {
            let record = Record::from_bytes(bytes).ok_or_else(|| broken(place + 1))?;
            match record.change {
                Change::Key => {
                    check_key(path, &record, brands)?;
                    list.keyed.insert((record.brand, record.level));
                }
                Change::Ledger => list.ledger = record.watermark(),
                Change::Objected | Change::Withdrawn => {
                    list.set.apply(&record);
                }
            }
            let before = list.entries.head().hash;
            list.entries.push(hash(before, bytes));
        }
        Ok(list)
    }
}

impl SuppressionFile {
    /// Opens the list of a process, or begins one, beside the ledger of this id. `brands` are the keys of the
    /// configured brands; records of others stay, and apply to nobody.
    ///
    /// # Errors
    ///
    /// Any [`FileError`]; the file is then as it was.
    pub fn open(
        path: &Path,
        brands: &[BrandKeys],
        ledger: [u8; 16],
    ) -> Result<OpenedList, FileError> {
        let (mut file, bytes) = AppendFile::open(path)?;
        let mut list = ObjectionListContents::read(path, &bytes, brands)?;
        if list.torn_bytes > 0 {
            file.truncate(bytes.len() as u64 - list.torn_bytes)?;
        }
        if list.ledger.is_none() {
            let header = header(ledger);
            file.append(&header)?;
            list.entries = HashChain::new(hash(Hash::NONE, &header));
        }
        Ok(OpenedList {
            file: SuppressionFile {
                file,
                keyed: list.keyed,
                head: list.entries.head(),
            },
            set: list.set,
            cut_bytes: list.torn_bytes,
        })
    }

    /// Appends records of one brand, with one write and one sync; durable when this returns. `keys` must be those that
    /// made them. The set is the caller's to change ([`SuppressionSet::apply`]).
    ///
    /// # Errors
    ///
    /// A [`FileError`]; none of them is there then. After [`FileError::Sync`] nobody knows, and the file takes nothing
    /// more until it is opened again.
    pub fn append(&mut self, keys: &BrandKeys, records: &[Record]) -> Result<(), FileError> {
        let mut all = Vec::with_capacity(records.len() + 1);
        let mut fresh = FxHashSet::default();
        for record in records {
            let place = (record.brand, record.level);
            if !self.keyed.contains(&place)
                && fresh.insert(place)
                && let Some(key) = Record::key(keys, record.level)
            {
                all.push(key);
            }
            all.push(*record);
        }
        self.write(&all)?;
        self.keyed.extend(fresh);
        Ok(())
    }

    /// Notes how far the ledger is; durable when this returns.
    ///
    /// # Errors
    ///
    /// As [`SuppressionFile::append`].
    pub fn record_watermark(&mut self, mark: &LedgerWatermark) -> Result<(), FileError> {
        self.write(&[Record::ledger(mark)])
    }

    fn write(&mut self, records: &[Record]) -> Result<(), FileError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(records.len() * SIZE);
        let mut head = self.head;
        for record in records {
            let record = record.to_bytes();
            bytes.extend_from_slice(&record);
            head = Head {
                seq: head.seq + 1,
                hash: hash(head.hash, &record),
            };
        }
        self.file.append(&bytes)?;
        self.head = head;
        Ok(())
    }

    /// Where it ends.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

/// The hash of all records up to one, by that of those before it.
fn hash(before: Hash, record: &[u8; SIZE]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before.as_bytes()).update(record);
    Hash(Hex(*hasher.finalize().as_bytes()))
}

fn header(ledger: [u8; 16]) -> [u8; SIZE] {
    let mut header = [0; SIZE - 8];
    let parts = MAGIC.iter().copied().chain(VERSION.to_le_bytes());
    header
        .iter_mut()
        .zip(parts.chain(ledger))
        .for_each(|(to, from)| *to = from);
    with_checksum(&header)
}

/// Whether bytes are what a kill may leave of a header.
fn begins_header(bytes: &[u8]) -> bool {
    let fixed: Vec<u8> = header([0; 16]).into_iter().take(12).collect();
    bytes.starts_with(&fixed) || fixed.starts_with(bytes)
}

/// The ledger that a header names.
fn read_header(path: &Path, bytes: &[u8; SIZE]) -> Result<[u8; 16], FileError> {
    let rest = verify_checksum(bytes).and_then(|content| content.strip_prefix(MAGIC));
    let found = rest.and_then(|rest| rest.split_first_chunk());
    let found = found.and_then(|(version, rest)| {
        let (ledger, _) = rest.split_first_chunk::<16>()?;
        Some((u32::from_le_bytes(*version), *ledger))
    });
    match found {
        Some((VERSION, ledger)) if *bytes == header(ledger) => Ok(ledger),
        Some((found, _)) if found > VERSION => Err(FileError::Newer {
            file: path.to_owned(),
            found,
        }),
        _ => {
            let what = "is not an objection list of this version";
            Err(FileError::broken(path, Position::Byte(0), what))
        }
    }
}

fn check_key(path: &Path, record: &Record, brands: &[BrandKeys]) -> Result<(), FileError> {
    let brand = brands.iter().find(|keys| keys.tag() == record.brand);
    match brand {
        Some(keys) if keys.suppression_check(record.level) != Some(record.entry) => {
            Err(FileError::WrongKey {
                file: path.to_owned(),
                brand: keys.name().to_owned(),
            })
        }
        _ => Ok(()),
    }
}
