//! Cell membership: a person contributes to a cell once, however many of its events count there.
//!
//! The release gate counts persons, not events. So for each cell the number of events is kept with which the person contributes
//! to it, and only the first and the last of them change the number of contributors. A membership that ends and begins again
//! within one epoch is no change. Conversions of open sources are counted apart: by them a person is among the persons of a
//! cell, and not among its contributors.

use rustc_hash::FxHashMap;

use crate::aggregate::{Aggregate, CellKey};
use crate::delta_buffer::DeltaBuffer;
use crate::engine::Diff;
use crate::settings::BrandSettings;

/// Tracks the cells that a person contributes to, and emits a change when a membership begins or ends.
pub(super) struct CellMembership<'a> {
    /// The number of events by cell, before the changes and then with them.
    cell_refs: &'a mut FxHashMap<u64, u32>,
    /// Whether the person contributed to each changed cell before the epoch, by verified and by open events.
    was: FxHashMap<CellKey, [bool; 2]>,
    /// The act for [`Aggregate::changed_by`].
    pub(super) act: u64,
    /// Whether null paths have no contributors. Nobody vouches for them with a conversion, so that whoever writes to an open
    /// source can invent them.
    pub(super) null_is_open: bool,
}

/// Hashes of a cell for verified and for open events, unique among the few cells of one person.
fn fingerprints(key: &CellKey) -> [u64; 2] {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let verified = hasher.finish();
    [verified, !verified]
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
        self.was.entry(key).or_insert(was);
        let count = refs.entry(hashes[usize::from(is_open)]).or_default();
        // Within an epoch a count may pass below zero on its way, never at its end.
        *count = count.wrapping_add_signed(diff as i32);
    }

    /// Emits the memberships that began or ended.
    pub(super) fn drain_into(self, deltas: &mut DeltaBuffer) {
        for (key, was) in self.was {
            let mut is = [false; 2];
            for (hash, is) in fingerprints(&key).iter().zip(&mut is) {
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
                    CellKey::CampaignDay { .. } => Aggregate::of(&[0, 0, 0, 1]),
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
