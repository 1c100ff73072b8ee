//! Groups: the cells that leave together, and what the outside knows of each. Which cells these are stands in
//! [`super::group_key`].

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::aggregate::{Aggregate, CellKey};
use crate::cells::group_key::GroupKey;
use crate::cells::months::Chain;
use crate::cells::noise::NoiseOffset;

/// What was last told of a cell, without its noise.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Published {
    /// It did not exist.
    #[default]
    Nothing,
    /// It existed, and the gate held it back.
    Hidden,
    /// It had these values.
    Values([i128; 5]),
}

impl Published {
    pub(super) fn values(&self) -> Option<[i128; 5]> {
        match self {
            Published::Values(values) => Some(*values),
            Published::Hidden | Published::Nothing => None,
        }
    }
}

/// A cell inside, and what is known of it outside.
#[derive(Default)]
pub(super) struct CellEntry {
    pub(super) sums: Aggregate,
    pub(super) published: Published,
    /// The noise on what was told of it.
    pub(super) offset: Option<Box<NoiseOffset>>,
    /// Whether the gate releases it, as things stand.
    pub(super) is_releasable: bool,
    /// Its conversions are told in multiples of this, its value in proportion; up to 1 as they are.
    pub(super) grain: i64,
}

impl CellEntry {
    /// Whether the cell exists.
    pub(super) fn exists(&self) -> bool {
        self.sums.values != [0; 5]
    }

    /// What is to be told of it.
    pub(super) fn current(&self) -> Published {
        match (self.exists(), self.is_releasable) {
            (false, _) => Published::Nothing,
            (true, false) => Published::Hidden,
            (true, true) => Published::Values(coarse(self.sums.values, self.grain)),
        }
    }

    /// Whether the outside does not know it as it is now.
    pub(super) fn differs(&self) -> bool {
        self.published.values() != self.current().values()
    }

    /// Its values as they stand outside.
    pub(super) fn published_values(&self) -> Option<[i128; 5]> {
        let values = self.published.values()?;
        Some(match &self.offset {
            Some(offset) => offset.apply(values),
            None => values,
        })
    }
}

/// Conversions and their value, in multiples of a grain.
fn coarse(values: [i128; 5], grain: i64) -> [i128; 5] {
    let [conversions, ..] = values;
    if grain <= 1 || conversions == 0 {
        return values;
    }
    let rounded = conversions - conversions.rem_euclid(grain.into());
    values.map(|value| (value * rounded).div_euclid(conversions))
}

/// The cells of a group.
pub(super) enum GroupCells {
    /// The one cell that the group is named after.
    One(Box<CellEntry>),
    /// The cells by key.
    Many(FxHashMap<CellKey, CellEntry>),
}

/// A group.
pub(super) struct Group {
    pub(super) parts: GroupCells,
    /// The cells that add up the hidden ones.
    pub(super) other: BTreeMap<CellKey, CellEntry>,
    /// What a month's chain is solved from.
    pub(super) chain: Option<Box<Chain>>,
    /// Whether anything of it was ever told.
    pub(super) was_published: bool,
    /// Whether what stood outside before a restart has not been compared yet.
    pub(super) has_restored: bool,
    /// What it adds to the counts.
    pub(super) counts: GateCounts,
}

/// How many cells are released, hidden, and released with a change that waits; and how many channels are in no cell of their own.
#[derive(Clone, Copy, Default)]
pub(super) struct GateCounts {
    pub(super) released: u64,
    pub(super) hidden: u64,
    pub(super) waiting: u64,
    /// Channels that went up into larger ones in chains.
    pub(super) folded: u64,
}

impl Group {
    /// An empty group.
    pub(super) fn new(key: &GroupKey) -> Group {
        Group {
            parts: match key {
                GroupKey::Alone(_) => GroupCells::One(Box::default()),
                _ => GroupCells::Many(FxHashMap::default()),
            },
            other: BTreeMap::new(),
            chain: matches!(key, GroupKey::Month(_)).then(Box::default),
            was_published: false,
            has_restored: false,
            counts: GateCounts::default(),
        }
    }

    /// The entry of a cell.
    pub(super) fn entry(&mut self, key: CellKey) -> &mut CellEntry {
        match &mut self.parts {
            GroupCells::One(entry) => entry,
            GroupCells::Many(entries) => entries.entry(key).or_default(),
        }
    }

    /// Every cell of it.
    pub(super) fn entries(&self) -> Box<dyn Iterator<Item = &CellEntry> + '_> {
        match &self.parts {
            GroupCells::One(entry) => Box::new(std::iter::once(&**entry)),
            GroupCells::Many(entries) => Box::new(entries.values().chain(self.other.values())),
        }
    }

    /// Every cell of it, to change.
    pub(super) fn entries_mut(&mut self) -> Box<dyn Iterator<Item = &mut CellEntry> + '_> {
        match &mut self.parts {
            GroupCells::One(entry) => Box::new(std::iter::once(&mut **entry)),
            GroupCells::Many(entries) => {
                Box::new(entries.values_mut().chain(self.other.values_mut()))
            }
        }
    }

    /// Every cell of it by key.
    pub(super) fn cells<'a>(
        &'a self,
        key: &'a GroupKey,
    ) -> Box<dyn Iterator<Item = (&'a CellKey, &'a CellEntry)> + 'a> {
        match (&self.parts, key) {
            (GroupCells::One(entry), GroupKey::Alone(key)) => {
                Box::new(std::iter::once((key, &**entry)))
            }
            (GroupCells::Many(entries), _) => Box::new(entries.iter().chain(&self.other)),
            (GroupCells::One(_), _) => Box::new(std::iter::empty()),
        }
    }

    /// Every cell of it by key, to change.
    pub(super) fn cells_mut<'a>(
        &'a mut self,
        key: &'a GroupKey,
    ) -> Box<dyn Iterator<Item = (&'a CellKey, &'a mut CellEntry)> + 'a> {
        match (&mut self.parts, key) {
            (GroupCells::One(entry), GroupKey::Alone(key)) => {
                Box::new(std::iter::once((key, &mut **entry)))
            }
            (GroupCells::Many(entries), _) => Box::new(entries.iter_mut().chain(&mut self.other)),
            (GroupCells::One(_), _) => Box::new(std::iter::empty()),
        }
    }

    /// Whether the outside does not know it as it is now.
    pub(super) fn differs(&self) -> bool {
        self.entries().any(CellEntry::differs)
    }

    /// Whose contributions changed since the group was last told.
    pub(super) fn changed(&self) -> u128 {
        let of_chain = self.chain.as_ref().map_or(0, |chain| chain.changed());
        self.entries()
            .fold(of_chain, |all, entry| all | entry.sums.changed)
    }

    /// Forgets who has changed it so far.
    pub(super) fn clear_changes(&mut self) {
        if let Some(chain) = &mut self.chain {
            chain.clear_changes();
        }
        self.entries_mut().for_each(|entry| entry.sums.changed = 0);
    }

    /// Drops what neither exists nor is known outside.
    pub(super) fn shrink(&mut self) {
        let held = |entry: &CellEntry| !entry.sums.is_zero() || entry.published.values().is_some();
        if let GroupCells::Many(entries) = &mut self.parts {
            entries.retain(|_, entry| held(entry));
        }
        self.other.retain(|_, entry| held(entry));
    }

    /// Whether nothing is left of it.
    pub(super) fn is_empty(&self) -> bool {
        let chain = self.chain.as_ref().is_none_or(|chain| chain.is_empty());
        let held = |entry: &CellEntry| !entry.sums.is_zero() || entry.published.values().is_some();
        chain && !self.entries().any(held)
    }
}
