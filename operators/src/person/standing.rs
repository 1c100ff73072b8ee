//! Standing: whether a person stands behind a cell, which counts it once however often it is in it.

use rustc_hash::FxHashMap;

use crate::engine::Diff;
use crate::sums::{CellKey, Sums, Tally};

/// Counts how a person's standing behind cells changes, and tells the cells when it begins or ends.
pub(super) struct Standing<'a> {
    reach: &'a mut FxHashMap<u64, u32>,
    was: FxHashMap<CellKey, bool>,
    /// Stands for the person in [`Sums::whose`].
    pub(super) who: u64,
}

/// Stands for a cell among those of one person, of which there are few.
fn fingerprint(key: &CellKey) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

impl<'a> Standing<'a> {
    /// Counts on from what the person stood behind before the epoch.
    pub(super) fn new(reach: &'a mut FxHashMap<u64, u32>, who: u64) -> Standing<'a> {
        Standing {
            reach,
            was: FxHashMap::default(),
            who,
        }
    }

    /// Adds `diff` contacts or conversions of the person to a cell.
    pub(super) fn add(&mut self, key: CellKey, diff: Diff) {
        // The transitions of a chain show nobody by themselves and need no contributors; takings of a month name theirs.
        if matches!(key, CellKey::ConvertingEdge { .. } | CellKey::Taken { .. }) {
            return;
        }
        let count = self.reach.entry(fingerprint(&key)).or_default();
        self.was.entry(key).or_insert(*count > 0);
        // Within an epoch a count may pass below zero on its way, never at its end.
        *count = count.wrapping_add_signed(diff as i32);
    }

    /// Tells the cells in which the person's standing has begun or ended.
    pub(super) fn tell(self, tally: &mut Tally) {
        for (key, was) in self.was {
            let hash = fingerprint(&key);
            let is = self.reach.get(&hash).is_some_and(|count| *count > 0);
            if self.reach.get(&hash) == Some(&0) {
                self.reach.remove(&hash);
            }
            if was != is {
                let persons = match key {
                    CellKey::StoreDay { .. } | CellKey::OrdersDay { .. } => Sums::of(&[0, 0, 1]),
                    CellKey::CampaignDay { .. } => Sums::of(&[0, 0, 0, 1]),
                    _ => Sums::default(),
                };
                tally.add(key, persons.by(1).whose(self.who), if is { 1 } else { -1 });
            }
        }
    }
}
