//! Tombstones: who was erased lately, so that a restored backup of the ledger
//! does not bring anybody back.
//!
//! A ledger that is restored from a backup contains the people who were erased
//! since. For each of their pseudonyms, and for the tokens of their devices, a
//! keyed hash therefore stays until backups of that age no longer exist. It says
//! up to which arrival, and up to when, records of the person are erased: what
//! arrived later is new and is not touched, unlike after an objection.
//!
//! One file per process, JSON, replaced as a whole. The entries of a brand are
//! authenticated under its newest secret (`mac`), so that whoever lacks it can
//! neither add nor change nor remove one. The file counts how often it was
//! replaced (`saves`), so that whoever has recorded its [`head`](Tombstones::head)
//! notices an older file; and the level of the secret under which it was written
//! ([`levels`](Tombstones::levels)), so that an older secret does not write one
//! anew. Entries of brands that are not configured are kept as they are.
//!
//! Whoever keeps copies of them elsewhere has them sealed ([`copies`]).
//!
//! ```json
//! {"brands":{"…":{"entries":[{"at":…,"entry":"…","level":0,"until":…,"until_ping":…}],"key":0,"mac":"…","saves":1}},"version":1}
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
pub use tributary_operators::record::Reach;

use crate::disk;
use crate::error::{FileError, Kind, Position};
use crate::head::Head;
use crate::hex::{Hash, Hex};
use crate::keys::{BrandKeys, BrandTag, KeyLevel};

pub mod copies;

/// Version of the format. A higher one is refused.
const VERSION: u32 = 1;

/// The tombstones of one process.
#[derive(Debug)]
pub struct Tombstones {
    /// The file.
    path: PathBuf,
    /// Keys of the configured brands.
    brands: Vec<BrandKeys>,
    /// Tombstones of the configured brands.
    erased: BTreeMap<BrandTag, BTreeMap<Place, Reach>>,
    /// What the file has of other brands.
    others: BTreeMap<String, Section>,
    /// How often the file was replaced.
    saves: u64,
    /// The level under which the entries of each configured brand were written, and
    /// their code.
    written: BTreeMap<BrandTag, (KeyLevel, Hash)>,
    /// What was added and is in no copy yet.
    uncopied: BTreeMap<BrandTag, BTreeSet<Place>>,
}

/// A tombstone: the level of a pseudonym, and its keyed hash.
type Place = (KeyLevel, Hex<16>);

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    brands: BTreeMap<String, Section>,
    version: u32,
}

/// The entries of a brand.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    entries: Vec<Entry>,
    key: KeyLevel,
    mac: Hash,
    #[serde(default, skip_serializing_if = "is_zero")]
    saves: u64,
}

/// One tombstone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    at: i64,
    entry: Hex<16>,
    level: KeyLevel,
    until: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    until_ping: u64,
}

impl Entry {
    /// The entry of a tombstone.
    fn of(((level, entry), reach): (&Place, &Reach)) -> Entry {
        Entry {
            at: reach.at,
            entry: *entry,
            level: *level,
            until: reach.until,
            until_ping: reach.until_ping,
        }
    }

    /// The tombstone of an entry.
    fn read(self) -> (Place, Reach) {
        let reach = Reach {
            at: self.at,
            until: self.until,
            until_ping: self.until_ping,
        };
        ((self.level, self.entry), reach)
    }
}

/// Whether an entry is as those that were written before pings had a stream.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The code of entries under the key of a level, in a file that was replaced
/// `saves` times; `None` if the brand has no such level.
fn mac(keys: &BrandKeys, level: KeyLevel, entries: &[Entry], saves: u64) -> Option<Hash> {
    // Numbers and hashes: nothing in it can fail.
    let mut bytes = b"tombstones\0".to_vec();
    if saves > 0 {
        bytes.extend(saves.to_le_bytes());
    }
    bytes.extend(serde_json::to_vec(entries).unwrap_or_default());
    keys.seal(level, &bytes)
}

impl Tombstones {
    /// Reads the tombstones of a process; none if there is no file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is of a newer version, was changed, or was made
    /// under another secret.
    pub fn open(path: &Path, brands: &[BrandKeys]) -> Result<Tombstones, FileError> {
        let mut tombstones = Tombstones {
            path: path.to_owned(),
            brands: brands.to_vec(),
            erased: BTreeMap::new(),
            others: BTreeMap::new(),
            saves: 0,
            written: BTreeMap::new(),
            uncopied: BTreeMap::new(),
        };
        let bytes = disk::read(path)?.unwrap_or_default();
        if bytes.is_empty() {
            return Ok(tombstones);
        }
        let broken = |what| FileError::broken(path, Position::Byte(0), what);
        let json: Json = serde_json::from_slice(&bytes)
            .map_err(|_| broken("is not a list of tombstones of this version"))?;
        if json.version > VERSION {
            return Err(FileError::Newer {
                file: path.to_owned(),
                found: json.version,
            });
        }
        for (tag, section) in json.brands {
            let of_brand = brands.iter().find(|keys| keys.tag().to_string() == tag);
            let Some(keys) = of_brand else {
                // Anybody could have written it: it says nothing of the file.
                tombstones.others.insert(tag, section);
                continue;
            };
            tombstones.saves = tombstones.saves.max(section.saves);
            let made = mac(keys, section.key, &section.entries, section.saves);
            let made = made.ok_or_else(|| FileError::WrongKey {
                file: path.to_owned(),
                brand: keys.name().to_owned(),
            })?;
            if blake3::Hash::from(*made.as_bytes()) != *section.mac.as_bytes() {
                return Err(broken("is not what was written under the brand's key"));
            }
            let written = (section.key, section.mac);
            tombstones.written.insert(keys.tag(), written);
            let erased = tombstones.erased.entry(keys.tag()).or_default();
            erased.extend(section.entries.into_iter().map(Entry::read));
        }
        Ok(tombstones)
    }

    /// Begins a damaged file anew. The damaged file is kept beside it under the
    /// returned name; `None` if it is not damaged.
    ///
    /// # Errors
    ///
    /// Any error of the disk, and any error of the file other than damage.
    pub fn repair(path: &Path, brands: &[BrandKeys]) -> Result<Option<PathBuf>, FileError> {
        match Tombstones::open(path, brands) {
            Err(error) if matches!(error.kind(), Kind::Broken(_)) => {
                disk::replace_and_keep_copy(path, &[]).map(Some)
            }
            opened => opened.map(|_| None),
        }
    }

    /// Adds the pseudonyms or tokens of erased people, which belong to the level.
    /// They are durable after [`Tombstones::save`].
    pub fn add(
        &mut self,
        keys: &BrandKeys,
        level: KeyLevel,
        ids: impl IntoIterator<Item = u128>,
        reach: Reach,
    ) {
        for id in ids {
            if let Some(entry) = keys.tombstone(level, id) {
                let place = (level, Hex(entry));
                self.enter(keys, place, reach);
                let uncopied = self.uncopied.entry(keys.tag()).or_default();
                uncopied.insert(place);
            }
        }
    }

    /// Enters a tombstone, or extends the reach of the one there is. Returns whether
    /// that changes anything.
    fn enter(&mut self, keys: &BrandKeys, place: Place, reach: Reach) -> bool {
        let erased = self.erased.entry(keys.tag()).or_default();
        let joined = match erased.get(&place) {
            Some(before) => before.join(&reach),
            None => reach,
        };
        erased.insert(place, joined) != Some(joined)
    }

    /// Adds the tombstones that another process has of a brand. They are durable after
    /// [`Tombstones::save`].
    pub fn add_all(&mut self, keys: &BrandKeys, other: &Tombstones) {
        for (place, reach) in other.erased.get(&keys.tag()).into_iter().flatten() {
            self.enter(keys, *place, *reach);
        }
    }

    /// Removes the tombstones of a brand; durable after [`Tombstones::save`].
    pub fn remove_brand(&mut self, keys: &BrandKeys) {
        self.erased.remove(&keys.tag());
    }

    /// Removes the tombstones of erasures before a time, Unix milliseconds; durable
    /// after [`Tombstones::save`]. Returns their number.
    pub fn remove_before(&mut self, at: i64) -> usize {
        let before = self.len();
        for erased in self.erased.values_mut() {
            erased.retain(|_, reach| reach.at >= at);
        }
        before - self.len()
    }

    /// Number of tombstones of configured brands.
    pub fn len(&self) -> usize {
        self.erased.values().map(BTreeMap::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How far the erasure of a pseudonym or token of a level reaches; `None` if it
    /// was not erased.
    pub fn find(&self, keys: &BrandKeys, level: KeyLevel, id: u128) -> Option<Reach> {
        let erased = self
            .erased
            .get(&keys.tag())
            .filter(|erased| !erased.is_empty())?;
        erased
            .get(&(level, Hex(keys.tombstone(level, id)?)))
            .copied()
    }

    /// The number of times that the file was replaced, and a hash of what it
    /// contains, of whatever brands; `None` if it was never written.
    pub fn head(&self) -> Option<Head> {
        let others = self.others.iter();
        let others = others.map(|(tag, section)| (tag.clone(), section.mac));
        let written = self.written.iter();
        let written = written.map(|(tag, (_, mac))| (tag.to_string(), *mac));
        let all: BTreeMap<String, Hash> = others.chain(written).collect();
        let mut hasher = blake3::Hasher::new();
        for (tag, mac) in &all {
            hasher.update(tag.as_bytes()).update(mac.as_bytes());
        }
        (self.saves > 0).then(|| Head::new(self.saves, *hasher.finalize().as_bytes()))
    }

    /// The name of each configured brand in the file, and the level of the secret
    /// under which its entries were written.
    pub fn levels(&self) -> impl Iterator<Item = (&str, KeyLevel)> {
        let brands = self.brands.iter();
        brands.filter_map(|keys| Some((keys.name(), self.written.get(&keys.tag())?.0)))
    }

    /// Whether all entries were written under the newest secret of their brand.
    pub fn is_under_newest(&self) -> bool {
        let mut brands = self.brands.iter();
        brands.all(|keys| {
            let written = self.written.get(&keys.tag());
            written.is_none_or(|(level, _)| *level == keys.newest())
        })
    }

    /// Replaces the file; durable when this returns. The bytes of the replaced
    /// file are overwritten.
    ///
    /// # Errors
    ///
    /// Any error of the disk.
    pub fn save(&mut self) -> Result<(), FileError> {
        let mut brands = self.others.clone();
        let saves = self.saves + 1;
        let mut written = BTreeMap::new();
        for keys in &self.brands {
            let of_brand = self.erased.get(&keys.tag()).into_iter().flatten();
            let entries: Vec<Entry> = of_brand.map(Entry::of).collect();
            let key = keys.newest();
            if let Some(mac) = mac(keys, key, &entries, saves) {
                written.insert(keys.tag(), (key, mac));
                let section = Section {
                    entries,
                    key,
                    mac,
                    saves,
                };
                brands.insert(keys.tag().to_string(), section);
            }
        }
        let json = Json {
            brands,
            version: VERSION,
        };
        // Numbers and hashes: nothing in it can fail.
        let text = serde_json::to_vec(&json).unwrap_or_default();
        disk::replace(&self.path, &text)?;
        (self.saves, self.written) = (saves, written);
        Ok(())
    }
}
