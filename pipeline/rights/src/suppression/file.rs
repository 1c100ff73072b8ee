//! The objection list on disk: one append-only file per process. The layout is
//! in the documentation of this module's parent.

use std::path::{Path, PathBuf};

use rustc_hash::{FxHashMap, FxHashSet};

use super::record::{Change, Record, SIZE, verify_checksum, with_checksum};
use super::set::SuppressionSet;
use crate::disk::{self, AppendFile};
use crate::error::{FileError, Kind, Position};
use crate::head::{HashChain, Head, LedgerWatermark};
use crate::hex::{Hash, Hex};
use crate::keys::{BrandKeys, BrandTag, KeyLevel};

/// First bytes of the file.
const MAGIC: &[u8; 8] = b"TRIBSUPP";
/// Version of the format. A higher one is refused.
const VERSION: u32 = 4;

/// The file of one process, open for appending and locked.
#[derive(Debug)]
pub struct SuppressionFile {
    /// The file.
    file: AppendFile,
    /// Keys of the configured brands.
    brands: Vec<BrandKeys>,
    /// Brands and levels whose key the file states.
    keyed: FxHashSet<(BrandTag, KeyLevel)>,
    /// Head over header and records.
    head: Head,
}

/// Result of [`SuppressionFile::open`].
#[derive(Debug)]
pub struct OpenedList {
    /// The file, for appending.
    pub file: SuppressionFile,
    /// The objections in it.
    pub set: SuppressionSet,
    /// The number of bytes of an unfinished append that were truncated.
    pub cut_bytes: u64,
}

/// Content of an objection list.
#[derive(Debug)]
pub struct ObjectionListContents {
    /// Hashes of header and records.
    pub entries: HashChain,
    /// Watermark of the ledger that the list belongs to; `None` for an empty file.
    pub ledger: Option<LedgerWatermark>,
    /// The objections.
    set: SuppressionSet,
    /// Brands and levels whose key the list states.
    keyed: FxHashSet<(BrandTag, KeyLevel)>,
    /// Length in bytes of an unfinished append at the end.
    torn_bytes: u64,
}

/// Reads a list without changing it; `None` if there is no file.
///
/// # Errors
///
/// Those of [`SuppressionFile::open`].
pub fn read(path: &Path, brands: &[BrandKeys]) -> Result<Option<ObjectionListContents>, FileError> {
    let bytes = disk::read(path)?;
    bytes
        .map(|bytes| ObjectionListContents::read(path, &bytes, brands))
        .transpose()
}

/// Rewrites a damaged list for this ledger with every readable objection. The
/// damaged file is kept beside it under the returned name; `None` if the list
/// is not damaged.
///
/// Withdrawals are left out: nothing proves them any more, and somebody who may
/// have objected stays out.
///
/// # Errors
///
/// Any error of the disk, and any error of the list other than damage.
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
    let mut head = Head {
        seq: 0,
        hash: hash(Hash::NONE, &header(ledger)),
    };
    let mut rest = bytes.as_slice();
    // Bytes may be missing: a record may begin anywhere, and its checksum tells it.
    while let Some((record, behind)) = rest.split_first_chunk::<SIZE>() {
        let Some(read) = Record::from_bytes(record) else {
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        if matches!(read.change, Change::Objected | Change::Key) {
            written.extend_from_slice(record);
            head = after(head, record);
        }
        rest = behind;
    }
    for seal in seals(brands, &mut head) {
        written.extend_from_slice(&seal);
    }
    disk::replace_and_keep_copy(path, &written).map(Some)
}

impl ObjectionListContents {
    /// The objections in the list.
    pub fn set(&self) -> &SuppressionSet {
        &self.set
    }

    /// Parses a list. What no seal follows is ignored, and its length is in
    /// `torn_bytes`.
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
        let parsed = records
            .iter()
            .enumerate()
            .map(|(place, bytes)| Record::from_bytes(bytes).ok_or_else(|| broken(place + 1)));
        let mut parsed: Vec<Record> = parsed.collect::<Result<_, _>>()?;
        let sealed = parsed
            .iter()
            .rposition(|record| record.change == Change::Seal);
        let sealed = sealed.map_or(0, |last| last + 1);
        list.torn_bytes += ((parsed.len() - sealed) * SIZE) as u64;
        parsed.truncate(sealed);
        // The first record of each brand that no seal of it has followed so far.
        let mut open: FxHashMap<BrandTag, usize> = FxHashMap::default();
        let mut levels: FxHashMap<BrandTag, KeyLevel> = FxHashMap::default();
        // Of a brand that is not configured nothing can be verified.
        let known = |tag: &BrandTag| brands.iter().any(|keys| keys.tag() == *tag);
        // The watermark that no seal of a configured brand has followed so far: anybody could have added it.
        let mut marked = None;
        for (place, (record, bytes)) in parsed.iter().zip(records).enumerate() {
            match record.change {
                Change::Key => {
                    check_key(path, record, brands)?;
                    list.keyed.insert((record.brand, record.level));
                }
                Change::Ledger => marked = record.watermark(),
                Change::Objected | Change::Withdrawn => {
                    list.set.apply(record);
                    open.entry(record.brand).or_insert(place);
                }
                Change::Seal => {
                    let before = list.entries.head();
                    let last = levels.insert(record.brand, record.level);
                    check_seal(path, record, brands, before, last)?
                        .then_some(())
                        .ok_or_else(|| unsealed(path, place))?;
                    open.remove(&record.brand);
                    if known(&record.brand) {
                        list.ledger = marked.take().or(list.ledger);
                    }
                }
            }
            let before = list.entries.head().hash;
            list.entries.push(hash(before, bytes));
        }
        let open = open.into_iter().filter(|(tag, _)| known(tag));
        match open.map(|(_, place)| place).min() {
            Some(place) => Err(unsealed(path, place)),
            None => Ok(list),
        }
    }
}

impl SuppressionFile {
    /// Opens the list of a process, or creates one for the ledger with this ID.
    /// `brands` are the keys of the configured brands; records of other brands are
    /// kept and apply to nobody.
    ///
    /// # Errors
    ///
    /// Any [`FileError`]; the file is then unchanged.
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
                brands: brands.to_vec(),
                keyed: list.keyed,
                head: list.entries.head(),
            },
            set: list.set,
            cut_bytes: list.torn_bytes,
        })
    }

    /// Appends records of one brand with one write and one sync; durable when this
    /// returns. `keys` must be those that made them. The caller updates the set
    /// with [`SuppressionSet::apply`].
    ///
    /// # Errors
    ///
    /// A [`FileError`]; none of the records is then in the file. After
    /// [`FileError::Sync`] the content of the disk is unknown, and the file refuses
    /// further records until it is opened again.
    pub fn append(&mut self, keys: &BrandKeys, records: &[Record]) -> Result<(), FileError> {
        let mut all = Vec::with_capacity(records.len() + 1);
        let mut fresh = FxHashSet::default();
        for record in records {
            let place = (record.brand, record.under());
            if !self.keyed.contains(&place)
                && fresh.insert(place)
                && let Some(key) = Record::key(keys, record.under())
            {
                all.push(key);
            }
            all.push(*record);
        }
        self.write(&all, std::slice::from_ref(keys))?;
        self.keyed.extend(fresh);
        Ok(())
    }

    /// Records how far the ledger has advanced; durable when this returns.
    ///
    /// # Errors
    ///
    /// Those of [`SuppressionFile::append`].
    pub fn record_watermark(&mut self, mark: &LedgerWatermark) -> Result<(), FileError> {
        let brands = self.brands.clone();
        self.write(&[Record::ledger(mark)], &brands)
    }

    /// Appends records and the seals of brands, and advances the head.
    fn write(&mut self, records: &[Record], sealers: &[BrandKeys]) -> Result<(), FileError> {
        if records.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(records.len() * SIZE);
        let mut head = self.head;
        for record in records {
            let record = record.to_bytes();
            bytes.extend_from_slice(&record);
            head = after(head, &record);
        }
        for seal in seals(sealers, &mut head) {
            bytes.extend_from_slice(&seal);
        }
        self.file.append(&bytes)?;
        self.head = head;
        Ok(())
    }

    /// Head over header and records.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

/// The head after one more record.
fn after(before: Head, record: &[u8; SIZE]) -> Head {
    Head {
        seq: before.seq + 1,
        hash: hash(before.hash, record),
    }
}

/// The seals of brands over all records up to `head`, which advances.
fn seals(brands: &[BrandKeys], head: &mut Head) -> Vec<[u8; SIZE]> {
    let sealed = brands.iter().filter_map(|keys| {
        let seal = Record::seal(keys, keys.newest(), *head)?.to_bytes();
        *head = after(*head, &seal);
        Some(seal)
    });
    sealed.collect()
}

/// Hash over all records up to this one. `before` is the hash over those before
/// it.
fn hash(before: Hash, record: &[u8; SIZE]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before.as_bytes()).update(record);
    Hash(Hex(*hasher.finalize().as_bytes()))
}

/// The header of a list for the ledger with this ID.
fn header(ledger: [u8; 16]) -> [u8; SIZE] {
    let mut header = [0; SIZE - 8];
    let parts = MAGIC.iter().copied().chain(VERSION.to_le_bytes());
    header
        .iter_mut()
        .zip(parts.chain(ledger))
        .for_each(|(to, from)| *to = from);
    with_checksum(&header)
}

/// Whether bytes may be the beginning of a header that a kill interrupted.
fn begins_header(bytes: &[u8]) -> bool {
    let fixed: Vec<u8> = header([0; 16]).into_iter().take(12).collect();
    bytes.starts_with(&fixed) || fixed.starts_with(bytes)
}

/// The ID of the ledger in a header.
///
/// # Errors
///
/// [`FileError::Newer`] for a higher version, otherwise [`FileError::Broken`].
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

/// Whether a seal is that of its brand over the records up to `before`. `last` is
/// the level of the brand's seal before it. The seal of a brand that is not
/// configured cannot be verified.
///
/// # Errors
///
/// [`FileError::WrongKey`] for a level that the brand does not have.
fn check_seal(
    path: &Path,
    seal: &Record,
    brands: &[BrandKeys],
    before: Head,
    last: Option<KeyLevel>,
) -> Result<bool, FileError> {
    let Some(keys) = brands.iter().find(|keys| keys.tag() == seal.brand) else {
        return Ok(true);
    };
    let made = Record::seal(keys, seal.level, before);
    let made = made.ok_or_else(|| FileError::WrongKey {
        file: path.to_owned(),
        brand: keys.name().to_owned(),
    })?;
    Ok(made == *seal && last.is_none_or(|last| last <= seal.level))
}

/// The error for records that a seal does not fit. `place` counts from the first
/// record.
fn unsealed(path: &Path, place: usize) -> FileError {
    let what = "is not sealed under the key of its brand: the list was changed";
    FileError::broken(path, Position::Byte(((place + 1) * SIZE) as u64), what)
}

/// Compares the key that a record states with the configured one.
///
/// # Errors
///
/// [`FileError::WrongKey`] if they differ.
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

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn an_older_secret_does_not_continue_a_list() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("objections");
        let secret = |letter: &str| SecretString::from(letter.repeat(40));
        let old = BrandKeys::new("acme", &secret("o"));
        let new = [old.clone().with_newer_secret(&secret("n"))];
        let enter = |keys: &BrandKeys| {
            let brands = std::slice::from_ref(keys);
            let mut file = SuppressionFile::open(&path, brands, [7; 16]).unwrap().file;
            let record = Record::objected(keys, keys.newest(), 1, 5).unwrap();
            file.append(keys, &[record]).unwrap();
            file.head()
        };
        enter(&old);
        let mut head = enter(&new[0]);
        // The thief of the old secret takes the first objection back.
        let withdrawn = Record::withdrawn(&old, KeyLevel::OLDEST, 1, 6).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let mut forged = withdrawn.to_bytes().to_vec();
        head = after(head, &withdrawn.to_bytes());
        forged.extend(seals(&[old], &mut head).concat());
        bytes.extend(forged);
        std::fs::write(&path, bytes).unwrap();
        let error = read(&path, &new).unwrap_err();
        assert!(matches!(error.kind(), Kind::Broken(_)), "{error}");
    }
}
