//! The panel of a month: its members, the persons whom each channel reached, and who has changed the members since the last
//! publication.
//!
//! Changes are counted as those of conversions are ([`super::rows`]): changes that share a person or an act are one. A person
//! who is known by another label after a merge or a split takes the act of it along, so that both labels are one, too.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::engine::{Diff, table_bytes, tree_bytes};
use crate::label::Channel;
use crate::release::PanelRow;

/// The panel of a month.
#[derive(Clone, Default)]
pub(in crate::cells) struct PanelRows {
    members: BTreeMap<PanelRow, i64>,
    /// The persons with a contact of each channel.
    reached: BTreeMap<Channel, i64>,
    /// The acts that have changed each member since the last publication, as a set of bits.
    acts: FxHashMap<u64, u128>,
}

impl PanelRows {
    /// Adds or retracts a member, by acts that are given as a set of bits.
    pub(super) fn add(&mut self, row: &PanelRow, acts: u128, diff: Diff) {
        *self.acts.entry(row.who).or_default() |= acts;
        let count = self.members.entry(row.clone()).or_default();
        *count += diff;
        if *count == 0 {
            self.members.remove(row);
        }
    }

    /// Adds persons whom a channel reached.
    pub(super) fn reach(&mut self, channel: Channel, persons: i64) {
        let count = self.reached.entry(channel).or_default();
        *count += persons;
        if *count == 0 {
            self.reached.remove(&channel);
        }
    }

    /// The members.
    pub(super) fn members(&self) -> impl Iterator<Item = &PanelRow> {
        let members = self.members.iter().filter(|(_, count)| **count > 0);
        members.map(|(row, _)| row)
    }

    /// The persons whom a channel reached.
    pub(super) fn reached(&self, channel: Channel) -> u64 {
        let reached = self.reached.get(&channel).copied().unwrap_or(0);
        u64::try_from(reached).unwrap_or(0)
    }

    /// Whether nothing is known.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.reached.is_empty()
    }

    /// The number of entries.
    pub(super) fn entries(&self) -> usize {
        self.members.len() + self.reached.len()
    }

    /// The estimated bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let of_rows = self.members.keys().map(|row| {
            size_of_val::<[u64]>(&row.stays) + size_of_val::<[(Channel, u32)]>(&row.exposed)
        });
        tree_bytes::<PanelRow, i64>(self.members.len())
            + of_rows.sum::<usize>()
            + tree_bytes::<Channel, i64>(self.reached.len())
            + table_bytes(&self.acts)
    }

    /// Whether any member has changed since the last publication.
    pub(super) fn have_changed(&self) -> bool {
        !self.acts.is_empty()
    }

    /// A bit for each set of changes since the last publication that are linked by acts: the lowest of its acts, so that an act
    /// has the same bit in all months. `None` if nothing has changed. A change without an act has none.
    pub(super) fn changes(&self) -> Option<u128> {
        let mut sets: Vec<u128> = Vec::new();
        for acts in self.acts.values().filter(|acts| **acts != 0) {
            // Sets share no bit, so that one pass finds all that are linked.
            let linked = sets.iter().filter(|set| **set & acts != 0);
            let all = linked.fold(*acts, |all, set| all | set);
            sets.retain(|set| set & all == 0);
            sets.push(all);
        }
        let lowest = sets.iter().map(|bits| bits & bits.wrapping_neg());
        self.have_changed()
            .then(|| lowest.fold(0, |all, bit| all | bit))
    }

    /// The month was published.
    pub(super) fn publish(&mut self) {
        self.acts = FxHashMap::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::MonthGroup;
    use crate::record::{BrandId, Currency, SaleKind};

    fn row(who: u64) -> PanelRow {
        PanelRow {
            group: MonthGroup {
                brand: BrandId(0),
                month: 0,
                kind: SaleKind::Visit,
                currency: Currency::NONE,
            },
            who,
            stays: [1].into(),
            exposed: [].into(),
        }
    }

    #[test]
    fn changes_by_one_act_are_one() {
        let mut panel = PanelRows::default();
        assert_eq!(panel.changes(), None);
        // One act splits a person, another changes one of the parts, and a third is somebody else's.
        for (who, acts, diff) in [(1, 0b001, 1), (2, 0b001, 1), (2, 0b010, -1), (3, 0b100, 1)] {
            panel.add(&row(who), acts, diff);
        }
        assert_eq!(panel.changes(), Some(0b101));
        panel.publish();
        assert_eq!(panel.changes(), None);
        panel.add(&row(3), 0, -1);
        assert_eq!(panel.changes(), Some(0));
        assert_eq!(panel.members().map(|row| row.who).collect::<Vec<_>>(), [1]);
    }
}
