//! Groups: cells that are published together, and the published state of each. [`super::group_key`] defines the groups.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::aggregate::{Aggregate, CellKey};
use crate::cells::group_key::GroupKey;
use crate::cells::months::Chain;
use crate::cells::noise::NoiseOffset;
use crate::engine::{table_bytes, tree_bytes};

/// The published state of a cell, without its noise.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Published {
    /// The cell did not exist.
    #[default]
    Nothing,
    /// The cell existed, and the gate withheld it.
    Hidden,
    /// The published values.
    Values([i128; 5]),
}

impl Published {
    /// The published values, or `None` if the cell is not published.
    pub(super) fn values(&self) -> Option<[i128; 5]> {
        match self {
            Published::Values(values) => Some(*values),
            Published::Hidden | Published::Nothing => None,
        }
    }
}

/// A cell: its exact aggregate and its published state.
#[derive(Default)]
pub(super) struct CellEntry {
    /// The exact values, the contributors, and those that changed since the group was last
    /// published.
    pub(super) sums: Aggregate,
    /// The published state.
    pub(super) published: Published,
    /// The noise on the published values.
    pub(super) offset: Option<Box<NoiseOffset>>,
    /// Whether the cell currently passes the threshold and the suppression.
    pub(super) is_releasable: bool,
    /// Conversions are published in multiples of this, the value in proportion; exact if it is 1 or less.
    pub(super) grain: i64,
}

impl CellEntry {
    /// Whether the cell exists: whether any of its values is not zero.
    pub(super) fn exists(&self) -> bool {
        self.sums.values != [0; 5]
    }

    /// The state that a release would publish now.
    pub(super) fn current(&self) -> Published {
        match (self.exists(), self.is_releasable) {
            (false, _) => Published::Nothing,
            (true, false) => Published::Hidden,
            (true, true) => Published::Values(coarse(self.sums.values, self.grain)),
        }
    }

    /// Whether the state to publish differs from the published state.
    pub(super) fn differs(&self) -> bool {
        self.published.values() != self.current().values()
    }

    /// The published values with their noise, as a reader knows them.
    pub(super) fn published_values(&self) -> Option<[i128; 5]> {
        let values = self.published.values()?;
        Some(match &self.offset {
            Some(offset) => offset.apply(values),
            None => values,
        })
    }
}

/// Rounds conversions down to a multiple of `grain`, and the other values in proportion, rounded
/// down.
fn coarse(values: [i128; 5], grain: i64) -> [i128; 5] {
    let [conversions, ..] = values;
    if grain <= 1 || conversions == 0 {
        return values;
    }
    let rounded = conversions - conversions.rem_euclid(grain.into());
    values.map(|value| (value * rounded).div_euclid(conversions))
}

/// The cells of a group. Most groups have one cell, which needs no map.
pub(super) enum GroupCells {
    /// The single cell of the group.
    One(Box<CellEntry>),
    /// The cells by key.
    Many(FxHashMap<CellKey, CellEntry>),
}

/// A group: the cells that are published together.
pub(super) struct Group {
    /// Its cells, except `other`.
    pub(super) parts: GroupCells,
    /// The cells that sum the suppressed ones.
    pub(super) other: BTreeMap<CellKey, CellEntry>,
    /// The input of a month's Markov chain.
    pub(super) chain: Option<Box<Chain>>,
    /// Whether any of its cells has ever been published.
    pub(super) was_published: bool,
    /// Whether it has restored cells that have not been reconciled yet.
    pub(super) has_restored: bool,
    /// Whether restored cells of it were published under lower thresholds than those of now.
    pub(super) withdraws: bool,
    /// Its share of the counts of the worker.
    pub(super) counts: GateCounts,
}

/// Numbers of cells, for the metrics of the release gate.
#[derive(Clone, Copy, Default)]
pub(super) struct GateCounts {
    /// Published cells.
    pub(super) released: u64,
    /// Existing cells that are not published.
    pub(super) hidden: u64,
    /// Published cells with a change that waits.
    pub(super) waiting: u64,
    /// Channels merged into larger ones in Markov chains.
    pub(super) folded: u64,
}

impl Group {
    /// An empty group. A month also has a chain.
    pub(super) fn new(key: &GroupKey) -> Group {
        Group {
            parts: match key {
                GroupKey::Alone(..) => GroupCells::One(Box::default()),
                _ => GroupCells::Many(FxHashMap::default()),
            },
            other: BTreeMap::new(),
            chain: matches!(key, GroupKey::Month(_)).then(Box::default),
            was_published: false,
            has_restored: false,
            withdraws: false,
            counts: GateCounts::default(),
        }
    }

    /// The bytes on the heap, without those of a month's chain.
    pub(super) fn heap_bytes(&self) -> usize {
        let parts = match &self.parts {
            GroupCells::One(_) => size_of::<CellEntry>(),
            GroupCells::Many(entries) => table_bytes(entries),
        };
        parts + tree_bytes::<CellKey, CellEntry>(self.other.len())
    }

    /// The entry of a cell, created if it does not exist.
    pub(super) fn entry(&mut self, key: CellKey) -> &mut CellEntry {
        match &mut self.parts {
            GroupCells::One(entry) => entry,
            GroupCells::Many(entries) => entries.entry(key).or_default(),
        }
    }

    /// All cells, `other` included, in no particular order.
    pub(super) fn entries(&self) -> Box<dyn Iterator<Item = &CellEntry> + '_> {
        match &self.parts {
            GroupCells::One(entry) => Box::new(std::iter::once(&**entry)),
            GroupCells::Many(entries) => Box::new(entries.values().chain(self.other.values())),
        }
    }

    /// All cells, mutable, in no particular order.
    pub(super) fn entries_mut(&mut self) -> Box<dyn Iterator<Item = &mut CellEntry> + '_> {
        match &mut self.parts {
            GroupCells::One(entry) => Box::new(std::iter::once(&mut **entry)),
            GroupCells::Many(entries) => {
                Box::new(entries.values_mut().chain(self.other.values_mut()))
            }
        }
    }

    /// All cells with their keys, in no particular order. `key` is the key of the group.
    pub(super) fn cells<'a>(
        &'a self,
        key: &'a GroupKey,
    ) -> Box<dyn Iterator<Item = (&'a CellKey, &'a CellEntry)> + 'a> {
        match (&self.parts, key) {
            (GroupCells::One(entry), GroupKey::Alone(_, key)) => {
                Box::new(std::iter::once((key, &**entry)))
            }
            (GroupCells::Many(entries), _) => Box::new(entries.iter().chain(&self.other)),
            (GroupCells::One(_), _) => Box::new(std::iter::empty()),
        }
    }

    /// All cells with their keys, mutable. `key` is the key of the group.
    pub(super) fn cells_mut<'a>(
        &'a mut self,
        key: &'a GroupKey,
    ) -> Box<dyn Iterator<Item = (&'a CellKey, &'a mut CellEntry)> + 'a> {
        match (&mut self.parts, key) {
            (GroupCells::One(entry), GroupKey::Alone(_, key)) => {
                Box::new(std::iter::once((key, &mut **entry)))
            }
            (GroupCells::Many(entries), _) => Box::new(entries.iter_mut().chain(&mut self.other)),
            (GroupCells::One(_), _) => Box::new(std::iter::empty()),
        }
    }

    /// Whether the state to publish differs from the published state.
    pub(super) fn differs(&self) -> bool {
        self.entries().any(CellEntry::differs)
    }

    /// The contributors that changed any cell or the chain since the group was last published, as a
    /// bit set of hashes; see [`Aggregate::changed`].
    pub(super) fn changed(&self) -> u128 {
        let of_chain = self.chain.as_ref().map_or(0, |chain| chain.changed());
        self.entries()
            .fold(of_chain, |all, entry| all | entry.sums.changed)
    }

    /// Resets the contributors that changed.
    pub(super) fn clear_changes(&mut self) {
        if let Some(chain) = &mut self.chain {
            chain.clear_changes();
        }
        self.entries_mut().for_each(|entry| entry.sums.changed = 0);
    }

    /// Drops cells that neither exist nor are published. Called after each publication.
    pub(super) fn shrink(&mut self) {
        let held = |entry: &CellEntry| !entry.sums.is_zero() || entry.published.values().is_some();
        if let GroupCells::Many(entries) = &mut self.parts {
            entries.retain(|_, entry| held(entry));
        }
        self.other.retain(|_, entry| held(entry));
    }

    /// Whether the group can be dropped: no cell exists or is published, and the chain is empty.
    pub(super) fn is_empty(&self) -> bool {
        let chain = self.chain.as_ref().is_none_or(|chain| chain.is_empty());
        let held = |entry: &CellEntry| !entry.sums.is_zero() || entry.published.values().is_some();
        chain && !self.entries().any(held)
    }
}
