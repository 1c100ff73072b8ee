//! One record of the objection list, 48 bytes.

use xxhash_rust::xxh3::xxh3_64;

use crate::head::LedgerWatermark;
use crate::keys::{BrandKeys, BrandTag, KeyLevel};

/// The bytes of a record.
pub(super) const SIZE: usize = 48;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Who owns the pseudonym objected.
    Objected,
    /// The objection is withdrawn.
    Withdrawn,
    /// Under which key the brand's records of a level are.
    Key,
    /// How far the ledger beside the list was.
    Ledger,
}

/// A record of the objection list. It holds a keyed hash, so it may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub(super) entry: [u8; 16],
    pub(super) at: i64,
    pub(super) brand: BrandTag,
    pub(super) change: Change,
    pub(super) level: KeyLevel,
}

impl Record {
    /// Who owns this pseudonym of the brand objected. `at` is Unix milliseconds. None where the brand has no such
    /// level.
    pub fn objected(keys: &BrandKeys, level: KeyLevel, pseudonym: u128, at: i64) -> Option<Record> {
        let entry = keys.suppression(level, pseudonym)?;
        Some(Record::of(keys, level, entry, at, Change::Objected))
    }

    /// The objection is withdrawn, which was entered for this level. `at` is Unix milliseconds. None where the brand
    /// has no such level.
    pub fn withdrawn(
        keys: &BrandKeys,
        level: KeyLevel,
        pseudonym: u128,
        at: i64,
    ) -> Option<Record> {
        let entry = keys.suppression(level, pseudonym)?;
        Some(Record::of(keys, level, entry, at, Change::Withdrawn))
    }

    pub(super) fn key(keys: &BrandKeys, level: KeyLevel) -> Option<Record> {
        let check = keys.suppression_check(level)?;
        Some(Record::of(keys, level, check, 0, Change::Key))
    }

    fn of(keys: &BrandKeys, level: KeyLevel, entry: [u8; 16], at: i64, change: Change) -> Record {
        Record {
            entry,
            at,
            brand: keys.tag(),
            change,
            level,
        }
    }

    pub(super) fn ledger(mark: &LedgerWatermark) -> Record {
        Record {
            entry: mark.id(),
            at: i64::try_from(mark.manifest).unwrap_or(i64::MAX),
            brand: BrandTag(mark.commits.to_le_bytes()),
            change: Change::Ledger,
            level: KeyLevel::OLDEST,
        }
    }

    /// How far the ledger was, where that is what it says.
    pub(super) fn watermark(&self) -> Option<LedgerWatermark> {
        let manifest = u64::try_from(self.at).ok()?;
        let commits = u64::from_le_bytes(self.brand.0);
        (self.change == Change::Ledger).then(|| LedgerWatermark::new(self.entry, manifest, commits))
    }

    /// What it says.
    pub fn change(&self) -> Change {
        self.change
    }

    /// When that was, Unix milliseconds; 0 in a [`Change::Key`].
    pub fn at(&self) -> i64 {
        self.at
    }

    /// Its bytes, as in the file.
    pub fn to_bytes(&self) -> [u8; SIZE] {
        let kind: u32 = match self.change {
            Change::Objected => 1,
            Change::Withdrawn => 2,
            Change::Key => 3,
            Change::Ledger => 4,
        };
        let mut content = [0; SIZE - 8];
        let parts = self.entry.into_iter().chain(self.at.to_le_bytes());
        let parts = parts.chain(self.brand.0).chain(kind.to_le_bytes());
        let parts = parts.chain(self.level.0.to_le_bytes());
        content
            .iter_mut()
            .zip(parts)
            .for_each(|(to, from)| *to = from);
        with_checksum(&content)
    }

    /// Reads the bytes of a record; none where they are not as they were written.
    pub fn from_bytes(bytes: &[u8; SIZE]) -> Option<Record> {
        let rest = verify_checksum(bytes)?;
        let (entry, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (brand, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let level = rest.first_chunk()?;
        Some(Record {
            entry: *entry,
            at: i64::from_le_bytes(*at),
            brand: BrandTag(*brand),
            change: match u32::from_le_bytes(*kind) {
                1 => Change::Objected,
                2 => Change::Withdrawn,
                3 => Change::Key,
                4 => Change::Ledger,
                _ => return None,
            },
            level: KeyLevel(u32::from_le_bytes(*level)),
        })
    }
}

/// Bytes followed by their checksum.
pub(super) fn with_checksum(content: &[u8; SIZE - 8]) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    let parts = content
        .iter()
        .copied()
        .chain(xxh3_64(content).to_le_bytes());
    bytes
        .iter_mut()
        .zip(parts)
        .for_each(|(to, from)| *to = from);
    bytes
}

/// The bytes before the checksum, where it is theirs.
pub(super) fn verify_checksum(bytes: &[u8; SIZE]) -> Option<&[u8; SIZE - 8]> {
    let (content, sum) = bytes.split_first_chunk::<{ SIZE - 8 }>()?;
    (sum == xxh3_64(content).to_le_bytes()).then_some(content)
}
