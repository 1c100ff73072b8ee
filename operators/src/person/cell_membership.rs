//! Cell membership: a person contributes to a cell once, however many of its events count there.
//!
//! The release gate counts persons, not events. So for each cell the number of events is kept with which the person contributes
//! to it, and only the first and the last of them change the number of contributors. A membership that ends and begins again
//! within one epoch is no change. Conversions of open sources are counted apart: by them a person is among the persons of a
//! cell, and not among its contributors.

use std::hash::{Hash, Hasher};

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

use crate::aggregate::{Aggregate, CellKey};
use crate::delta_buffer::DeltaBuffer;
use crate::engine::Diff;
use crate::settings::BrandSettings;

/// Tracks the cells that a person contributes to, and emits a change when a membership begins or ends.
pub(super) struct CellMembership<'a> {
    /// The number of events by cell, before the changes and then with them.
    cell_refs: &'a mut FxHashMap<u64, u32>,
    /// The changed cells by the first of their [`fingerprints`], and whether the person contributed to each before the epoch,
    /// by verified and by open events.
    was: FxHashMap<u64, (CellKey, [bool; 2])>,
    /// The act for [`Aggregate::changed_by`].
    pub(super) act: u64,
    /// Whether null paths have no contributors. Nobody vouches for them with a conversion, so that whoever writes to an open
    /// source can invent them.
    pub(super) null_is_open: bool,
}

/// Hashes of a cell for verified and for open events, unique among the few cells of one person.
fn fingerprints(key: &CellKey) -> [u64; 2] {
    let mut hasher = Xxh3Hasher::default();
    key.hash(&mut hasher);
    let verified = hasher.finish();
    [verified, !verified]
}

/// The XXH3 of all that is written, for keys of a few words. The words are collected and hashed at once, which takes a
/// fraction of the time of a hash that is fed word by word.
struct Xxh3Hasher {
    words: [u8; 192],
    len: usize,
}

impl Default for Xxh3Hasher {
    fn default() -> Self {
        Xxh3Hasher {
            words: [0; 192],
            len: 0,
        }
    }
}

impl Hasher for Xxh3Hasher {
    fn write(&mut self, mut bytes: &[u8]) {
        loop {
            let (_, free) = self.words.split_at_mut(self.len);
            let (now, later) = bytes.split_at(bytes.len().min(free.len()));
            for (to, from) in free.iter_mut().zip(now) {
                *to = *from;
            }
            self.len += now.len();
            if later.is_empty() {
                return;
            }
            // What does not fit is hashed together with the hash of what is there.
            let hash = self.finish();
            self.len = 0;
            self.write_u64(hash);
            bytes = later;
        }
    }

    fn finish(&self) -> u64 {
        xxh3_64(self.words.get(..self.len).unwrap_or_default())
    }
}

impl<'a> CellMembership<'a> {
    /// Starts from the memberships before the epoch.
    pub(super) fn new(
        cell_refs: &'a mut FxHashMap<u64, u32>,
        act: u64,
        settings: &BrandSettings,
    ) -> CellMembership<'a> {
        CellMembership {
            null_is_open: !settings.open_sources.is_empty(),
            cell_refs,
            was: FxHashMap::default(),
            act,
        }
    }

    /// Adds `diff` contacts or conversions of the person to a cell. `is_open` says that they are conversions of an open source.
    pub(super) fn add(&mut self, key: CellKey, is_open: bool, diff: Diff) {
        // The transitions of a chain are not published by themselves and need no contributors; takings of a month name theirs.
        if matches!(
            key,
            CellKey::ConvertingEdge { .. } | CellKey::Taken { .. } | CellKey::Sale { .. }
        ) {
            return;
        }
        let hashes = fingerprints(&key);
        let refs = &mut *self.cell_refs;
        let is_member = |hash: &u64| refs.get(hash).is_some_and(|count| *count > 0);
        let was = [is_member(&hashes[0]), is_member(&hashes[1])];
        self.was.entry(hashes[0]).or_insert((key, was));
        let count = refs.entry(hashes[usize::from(is_open)]).or_default();
        // Within an epoch a count may pass below zero on its way, never at its end.
        *count = count.wrapping_add_signed(diff as i32);
    }

    /// Emits the memberships that began or ended.
    pub(super) fn drain_into(self, deltas: &mut DeltaBuffer) {
        for (hash, (key, was)) in self.was {
            let mut is = [false; 2];
            for (hash, is) in [hash, !hash].iter().zip(&mut is) {
                *is = self.cell_refs.get(hash).is_some_and(|count| *count > 0);
                if self.cell_refs.get(hash) == Some(&0) {
                    self.cell_refs.remove(hash);
                }
            }
            let change = |was: bool, is: bool| i64::from(is) - i64::from(was);
            let any = change(was[0] || was[1], is[0] || is[1]);
            if any != 0 {
                let person = match key {
                    CellKey::StoreDay { .. } | CellKey::OrdersDay { .. } => {
                        Aggregate::of(&[0, 0, 1])
                    }
                    CellKey::CampaignDay { .. } | CellKey::ScanDay { .. } => {
                        Aggregate::of(&[0, 0, 0, 1])
                    }
                    CellKey::RedemptionDay { .. } => Aggregate::of(&[0, 1]),
                    _ => Aggregate::default(),
                };
                deltas.add(key.clone(), person, any);
            }
            if was[0] != is[0] {
                let one = Aggregate::default().with_contributors(1);
                deltas.add(key, one.changed_by(self.act), change(was[0], is[0]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_all_bytes_in_any_pieces() {
        let bytes: Vec<u8> = (0..500).map(|n| (n * 7) as u8).collect();
        let hash = |pieces: &[&[u8]]| {
            let mut hasher = Xxh3Hasher::default();
            pieces.iter().for_each(|piece| hasher.write(piece));
            hasher.finish()
        };
        for len in [0, 1, 8, 100, 191, 192] {
            assert_eq!(hash(&[&bytes[..len]]), xxh3_64(&bytes[..len]), "{len}");
        }
        let whole = hash(&[&bytes]);
        for at in [1, 191, 192, 193, 400] {
            assert_eq!(hash(&[&bytes[..at], &bytes[at..]]), whole, "{at}");
        }
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(hash(&[&other]), whole, "{at}");
        }
    }
}
