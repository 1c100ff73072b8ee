//! A record of the objection list, 48 bytes.

use xxhash_rust::xxh3::xxh3_64;

use crate::head::{Head, LedgerWatermark};
use crate::keys::{BrandKeys, BrandTag, KeyLevel};

/// Length of a record in bytes.
pub(super) const SIZE: usize = 48;

/// What a record states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The owner of the pseudonym has objected.
    Objected,
    /// The objection was withdrawn.
    Withdrawn,
    /// The key under which the brand's records of a level are made.
    Key,
    /// The watermark of the ledger.
    Ledger,
    /// The records before it, under the brand's key.
    Seal,
}

/// A record of the objection list. It contains only keyed hashes, so that it
/// may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Keyed hash of the pseudonym or of the records before, check value of a key,
    /// or ID of the ledger.
    pub(super) entry: [u8; 16],
    /// Time in Unix milliseconds, generation of the ledger's manifest, or number of
    /// the records before.
    pub(super) at: i64,
    /// Hash of the brand's name, or the number of the ledger's commits.
    pub(super) brand: BrandTag,
    /// What the record states.
    pub(super) change: Change,
    /// Level of the pseudonym or key.
    pub(super) level: KeyLevel,
    /// Number of links that the entry of a pseudonym has passed.
    pub(super) links: u16,
}

impl Record {
    /// States that the owner of a pseudonym of this level has objected at `at`, Unix
    /// milliseconds. The entry is linked up to the newest secret. `None` if the brand
    /// has no such level.
    pub fn objected(keys: &BrandKeys, level: KeyLevel, pseudonym: u128, at: i64) -> Option<Record> {
        Record::of_pseudonym(keys, level, pseudonym, at, Change::Objected)
    }

    /// States that an objection was withdrawn at `at`, Unix milliseconds. `None` if
    /// the brand has no such level.
    pub fn withdrawn(
        keys: &BrandKeys,
        level: KeyLevel,
        pseudonym: u128,
        at: i64,
    ) -> Option<Record> {
        Record::of_pseudonym(keys, level, pseudonym, at, Change::Withdrawn)
    }

    /// A record of the owner of a pseudonym.
    fn of_pseudonym(
        keys: &BrandKeys,
        level: KeyLevel,
        pseudonym: u128,
        at: i64,
        change: Change,
    ) -> Option<Record> {
        let (under, entry) = keys.suppressions(level, pseudonym).last()?;
        Some(Record {
            links: u16::try_from(under.0.checked_sub(level.0)?).ok()?,
            ..Record::of(keys, level, entry, at, change)
        })
    }

    /// The newest level whose key the entry depends on.
    pub(super) fn under(&self) -> KeyLevel {
        KeyLevel(self.level.0.saturating_add(self.links.into()))
    }

    /// States the key of a level; `None` if the brand has no such level.
    pub(super) fn key(keys: &BrandKeys, level: KeyLevel) -> Option<Record> {
        let check = keys.suppression_check(level)?;
        Some(Record::of(keys, level, check, 0, Change::Key))
    }

    /// Seals the records up to a head under the key of a level; `None` if the brand
    /// has no such level.
    pub(super) fn seal(keys: &BrandKeys, level: KeyLevel, before: Head) -> Option<Record> {
        let mut bytes = [0; 40];
        let parts = before.hash.as_bytes().iter().copied();
        let parts = parts.chain(before.seq.to_le_bytes());
        bytes
            .iter_mut()
            .zip(parts)
            .for_each(|(to, from)| *to = from);
        let seal = keys.seal(level, &bytes)?;
        let entry = seal.as_bytes().first_chunk().copied().unwrap_or_default();
        let count = i64::try_from(before.seq).unwrap_or(i64::MAX);
        Some(Record::of(keys, level, entry, count, Change::Seal))
    }

    /// A record of a brand.
    fn of(keys: &BrandKeys, level: KeyLevel, entry: [u8; 16], at: i64, change: Change) -> Record {
        Record {
            entry,
            at,
            brand: keys.tag(),
            change,
            level,
            links: 0,
        }
    }

    /// States the watermark of the ledger.
    pub(super) fn ledger(mark: &LedgerWatermark) -> Record {
        Record {
            entry: mark.id(),
            at: i64::try_from(mark.manifest).unwrap_or(i64::MAX),
            brand: BrandTag(mark.commits.to_le_bytes()),
            change: Change::Ledger,
            level: KeyLevel::OLDEST,
            links: 0,
        }
    }

    /// The watermark that the record states; `None` for another record.
    pub(super) fn watermark(&self) -> Option<LedgerWatermark> {
        let manifest = u64::try_from(self.at).ok()?;
        let commits = u64::from_le_bytes(self.brand.0);
        (self.change == Change::Ledger).then(|| LedgerWatermark::new(self.entry, manifest, commits))
    }

    /// What the record states.
    pub fn change(&self) -> Change {
        self.change
    }

    /// The time of the statement, Unix milliseconds; 0 in a [`Change::Key`].
    pub fn at(&self) -> i64 {
        self.at
    }

    /// The record as it is in the file.
    pub fn to_bytes(&self) -> [u8; SIZE] {
        let kind: u32 = match self.change {
            Change::Objected => 1,
            Change::Withdrawn => 2,
            Change::Key => 3,
            Change::Ledger => 4,
            Change::Seal => 5,
        };
        let mut content = [0; SIZE - 8];
        let parts = self.entry.into_iter().chain(self.at.to_le_bytes());
        let parts = parts.chain(self.brand.0).chain(kind.to_le_bytes());
        // A brand has few secrets.
        let level = u16::try_from(self.level.0).unwrap_or(u16::MAX);
        let parts = parts.chain(level.to_le_bytes());
        let parts = parts.chain(self.links.to_le_bytes());
        content
            .iter_mut()
            .zip(parts)
            .for_each(|(to, from)| *to = from);
        with_checksum(&content)
    }

    /// Parses a record; `None` if the checksum is wrong or the kind unknown.
    pub fn from_bytes(bytes: &[u8; SIZE]) -> Option<Record> {
        let rest = verify_checksum(bytes)?;
        let (entry, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (brand, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let (level, rest) = rest.split_first_chunk()?;
        let links = rest.first_chunk()?;
        Some(Record {
            entry: *entry,
            at: i64::from_le_bytes(*at),
            brand: BrandTag(*brand),
            change: match u32::from_le_bytes(*kind) {
                1 => Change::Objected,
                2 => Change::Withdrawn,
                3 => Change::Key,
                4 => Change::Ledger,
                5 => Change::Seal,
                _ => return None,
            },
            level: KeyLevel(u16::from_le_bytes(*level).into()),
            links: u16::from_le_bytes(*links),
        })
    }
}

/// Appends the checksum.
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

/// The bytes before the checksum; `None` if it is wrong.
pub(super) fn verify_checksum(bytes: &[u8; SIZE]) -> Option<&[u8; SIZE - 8]> {
    let (content, sum) = bytes.split_first_chunk::<{ SIZE - 8 }>()?;
    (sum == xxh3_64(content).to_le_bytes()).then_some(content)
}
