//! Cell membership: a person contributes to a cell once, however many of its events count there.
//!
//! The release gate counts persons, not events. So for each cell the number of events is kept with which the person contributes
//! to it, and only the first and the last of them change the number of contributors. A membership that ends and begins again
//! within one epoch is no change.

use rustc_hash::FxHashMap;

use crate::aggregate::{Aggregate, CellKey};
use crate::delta_buffer::DeltaBuffer;
use crate::engine::Diff;

/// Tracks the cells that a person contributes to, and emits a change when a membership begins or ends.
pub(super) struct CellMembership<'a> {
    /// The number of events by cell, before the changes and then with them.
    cell_refs: &'a mut FxHashMap<u64, u32>,
    /// Whether the person contributed to each changed cell before the epoch.
    was: FxHashMap<CellKey, bool>,
    /// The hash of the person for [`Aggregate::changed_by`].
    pub(super) who: u64,
}

/// A hash of a cell, unique among the few cells of one person.
fn fingerprint(key: &CellKey) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

impl<'a> CellMembership<'a> {
    /// Starts from the memberships before the epoch.
    pub(super) fn new(cell_refs: &'a mut FxHashMap<u64, u32>, who: u64) -> CellMembership<'a> {
        CellMembership {
            cell_refs,
            was: FxHashMap::default(),
            who,
        }
    }

    /// Adds `diff` contacts or conversions of the person to a cell.
    pub(super) fn add(&mut self, key: CellKey, diff: Diff) {
        // The transitions of a chain are not published by themselves and need no contributors; takings of a month name theirs.
        if matches!(
            key,
            CellKey::ConvertingEdge { .. } | CellKey::Taken { .. } | CellKey::Sale { .. }
        ) {
            return;
        }
        let count = self.cell_refs.entry(fingerprint(&key)).or_default();
        self.was.entry(key).or_insert(*count > 0);
        // Within an epoch a count may pass below zero on its way, never at its end.
        *count = count.wrapping_add_signed(diff as i32);
    }

    /// Emits the memberships that began or ended.
    pub(super) fn drain_into(self, deltas: &mut DeltaBuffer) {
        for (key, was) in self.was {
            let hash = fingerprint(&key);
            let is = self.cell_refs.get(&hash).is_some_and(|count| *count > 0);
            if self.cell_refs.get(&hash) == Some(&0) {
                self.cell_refs.remove(&hash);
            }
            if was != is {
                let persons = match key {
                    CellKey::StoreDay { .. } | CellKey::OrdersDay { .. } => {
                        Aggregate::of(&[0, 0, 1])
                    }
                    CellKey::CampaignDay { .. } => Aggregate::of(&[0, 0, 0, 1]),
                    _ => Aggregate::default(),
                };
                deltas.add(
                    key,
                    persons.with_contributors(1).changed_by(self.who),
                    if is { 1 } else { -1 },
                );
            }
        }
    }
}
