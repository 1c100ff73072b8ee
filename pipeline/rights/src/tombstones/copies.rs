//! Copies of tombstones, sealed for a place that others can read and write.
//!
//! A copy holds some tombstones of one brand, encrypted and authenticated under a
//! key of the brand: who keeps it learns how many there are, and can neither make
//! one nor change one. Who deletes one takes its tombstones from whoever needs it,
//! and who keeps an old one and shows it again has people erased who were erased
//! before. Copies are joined in any order, so that each may be shown any number of
//! times. Its content is JSON, entries as in the file.

use std::collections::BTreeMap;

use super::{Entry, Place, Reach, Tombstones};
use crate::keys::{BrandKeys, BrandTag, Sealed};

/// Maximum number of tombstones in a copy, which is then well below the default
/// maximum payload of a broker.
const MOST: usize = 4_000;

/// Seals some tombstones of a brand under its newest secret; `None` never, because
/// the brand has that level and no copy is too long for the cipher.
fn seal(keys: &BrandKeys, entries: &[Entry]) -> Option<Vec<u8>> {
    // Numbers and hashes: nothing in it can fail.
    let plain = serde_json::to_vec(entries).unwrap_or_default();
    keys.seal_message(Sealed::Tombstones, &plain)
}

/// Opens a copy of a brand; `None` for one of another brand, and for anything that
/// was not sealed under one of its secrets.
fn open(keys: &BrandKeys, copy: &[u8]) -> Option<Vec<Entry>> {
    let plain = keys.open_message(Sealed::Tombstones, copy)?;
    serde_json::from_slice(&plain).ok()
}

/// What copies hold.
#[derive(Debug, Default)]
pub struct Copied(BTreeMap<BrandTag, BTreeMap<Place, Reach>>);

impl Tombstones {
    /// Reads a copy into `copied`, without erasures before a time, Unix milliseconds.
    /// Anything but a copy of a configured brand is passed over.
    pub fn read_copy(&self, copy: &[u8], since: i64, copied: &mut Copied) {
        let mut brands = self.brands.iter();
        let opened = brands.find_map(|keys| Some((keys, open(keys, copy)?)));
        let Some((keys, entries)) = opened else {
            return;
        };
        let of_brand = copied.0.entry(keys.tag()).or_default();
        for (place, reach) in entries.into_iter().map(Entry::read) {
            if reach.at >= since {
                let before = of_brand.entry(place).or_insert(reach);
                *before = before.join(&reach);
            }
        }
    }

    /// Enters what copies hold; durable after [`Tombstones::save`]. Returns the number
    /// of tombstones that were missing here or reached less far. Those that are in no
    /// copy are [`Tombstones::uncopied`] from now on.
    pub fn join(&mut self, copied: &Copied) -> usize {
        let mut entered = 0;
        for keys in self.brands.clone() {
            let of_brand = copied.0.get(&keys.tag());
            for (place, reach) in of_brand.into_iter().flatten() {
                entered += usize::from(self.enter(&keys, *place, *reach));
            }
            let own = self.erased.get(&keys.tag()).into_iter().flatten();
            let is_copied = |place, reach| of_brand.and_then(|all| all.get(place)) == Some(reach);
            let uncopied = own.filter(|(place, reach)| !is_copied(*place, *reach));
            let uncopied = uncopied.map(|(place, _)| *place).collect();
            self.uncopied.insert(keys.tag(), uncopied);
        }
        entered
    }

    /// Seals copies of the tombstones that are in none yet, each with the time of the
    /// last erasure in it, Unix milliseconds.
    pub fn uncopied(&self) -> Vec<(i64, Vec<u8>)> {
        let mut copies = Vec::new();
        for keys in &self.brands {
            let Some(erased) = self.erased.get(&keys.tag()) else {
                continue;
            };
            // One may have expired since.
            let uncopied = self.uncopied.get(&keys.tag()).into_iter().flatten();
            let entries = uncopied.filter_map(|place| erased.get_key_value(place));
            let entries: Vec<Entry> = entries.map(Entry::of).collect();
            copies.extend(entries.chunks(MOST).filter_map(|part| {
                let last = part.iter().map(|entry| entry.at).max()?;
                Some((last, seal(keys, part)?))
            }));
        }
        copies
    }

    /// Notes that the copies of [`Tombstones::uncopied`] are kept.
    pub fn set_copied(&mut self) {
        self.uncopied.clear();
    }
}
