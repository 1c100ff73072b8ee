//! The durable form of the objection list.

use std::path::Path;

use rustc_hash::FxHashSet;

use super::SuppressionSet;
use super::record::{Change, Record, SIZE, checked, content};
use crate::disk::Growing;
use crate::error::{FileError, Place};
use crate::keys::{BrandKeys, BrandTag, Level};

const MAGIC: &[u8; 8] = b"TRIBSUPP";
const VERSION: u32 = 2;

/// The file of one process, open for appending and locked.
#[derive(Debug)]
pub struct SuppressionFile {
    file: Growing,
    /// The brands and levels whose key the file names.
    keyed: FxHashSet<(BrandTag, Level)>,
}

/// An opened objection list.
#[derive(Debug)]
pub struct Opened {
    /// The file.
    pub file: SuppressionFile,
    /// What it says.
    pub set: SuppressionSet,
    /// How many bytes of an unfinished record a kill had left; they are gone.
    pub cut_bytes: u64,
}

impl SuppressionFile {
    /// Opens the list of a process, or begins one. `brands` are the keys of the configured brands; records of others
    /// stay, and apply to nobody.
    ///
    /// # Errors
    ///
    /// Any [`FileError`]; the file is then as it was.
    pub fn open(path: &Path, brands: &[BrandKeys]) -> Result<Opened, FileError> {
        let (mut file, bytes) = Growing::open(path)?;
        let (chunks, torn) = bytes.as_chunks::<SIZE>();
        let mut set = SuppressionSet::default();
        let mut keyed = FxHashSet::default();
        let mut broken = None;
        if let Some((first, records)) = chunks.split_first() {
            check_header(path, first)?;
            for (place, bytes) in records.iter().enumerate() {
                match Record::from_bytes(bytes) {
                    Some(record) if record.change == Change::Key => {
                        check_key(path, &record, brands)?;
                        keyed.insert((record.brand, record.level));
                    }
                    Some(record) => {
                        set.apply(&record);
                    }
                    None => {
                        broken.get_or_insert((place + 1) * SIZE);
                    }
                }
            }
        } else if !header().starts_with(torn) {
            broken = Some(0);
        }
        if let Some(byte) = broken {
            let what = "is not the record that was written";
            return Err(FileError::broken(path, Place::Byte(byte as u64), what));
        }
        if !torn.is_empty() {
            file.cut((chunks.len() * SIZE) as u64)?;
        }
        if chunks.is_empty() {
            file.append(&header())?;
        }
        Ok(Opened {
            file: SuppressionFile { file, keyed },
            set,
            cut_bytes: torn.len() as u64,
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
        if records.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity((records.len() + 1) * SIZE);
        let mut fresh = FxHashSet::default();
        for record in records {
            let place = (record.brand, record.level);
            if !self.keyed.contains(&place)
                && fresh.insert(place)
                && let Some(key) = Record::key(keys, record.level)
            {
                bytes.extend_from_slice(&key.to_bytes());
            }
            bytes.extend_from_slice(&record.to_bytes());
        }
        self.file.append(&bytes)?;
        self.keyed.extend(fresh);
        Ok(())
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

fn header() -> [u8; SIZE] {
    let mut header = [0; SIZE - 8];
    let parts = MAGIC.iter().copied().chain(VERSION.to_le_bytes());
    header
        .iter_mut()
        .zip(parts)
        .for_each(|(to, from)| *to = from);
    checked(&header)
}

fn check_header(path: &Path, bytes: &[u8; SIZE]) -> Result<(), FileError> {
    if *bytes == header() {
        return Ok(());
    }
    let found = content(bytes)
        .and_then(|content| content.strip_prefix(MAGIC))
        .and_then(|rest| rest.first_chunk())
        .map(|version| u32::from_le_bytes(*version));
    Err(match found {
        Some(found) if found > VERSION => FileError::Newer {
            file: path.to_owned(),
            found,
        },
        _ => FileError::broken(path, Place::Byte(0), "is no objection list"),
    })
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
