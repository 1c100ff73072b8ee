//! Wallet passes by platform and day, for brands whose gate hides nothing.
//!
//! The number of active passes at the end of a day is a sum over all days up to it, so that one change may change every later day.
//! All days of a brand are therefore on one worker, which adds them up once per release.

use std::collections::BTreeMap;

use crate::aggregate::{Aggregate, CellKey};
use crate::cell::{Cell, Family};
use crate::cells::state::{CellUpdates, Cells};
use crate::engine::Diff;
use crate::record::{BrandId, Day, WalletPlatform};

/// What passes add to a day. The fields are those of the family.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct PassDay {
    issued: i128,
    installed: i128,
    removed: i128,
    voided: i128,
    /// The passes with a record.
    records: i128,
    pushes: i128,
    opens: i128,
}

/// The values of a cell, in the order of the family.
type Values = [i128; 7];

/// The passes of a brand.
#[derive(Default)]
pub(super) struct PassDays {
    days: BTreeMap<(WalletPlatform, Day), PassDay>,
    published: BTreeMap<(WalletPlatform, Day), Values>,
    is_dirty: bool,
    has_restored: bool,
}

impl PassDays {
    /// Adds the values of a part, `diff` times.
    fn add(&mut self, at: (WalletPlatform, Day), is_touches: bool, sums: &Aggregate, diff: Diff) {
        let of = self.days.entry(at).or_default();
        let PassDay {
            issued,
            installed,
            removed,
            voided,
            records,
            pushes,
            opens,
        } = of;
        let passes = [issued, installed, removed, voided, records];
        let slots = match is_touches {
            false => passes.into_iter().collect::<Vec<_>>(),
            true => vec![pushes, opens],
        };
        for (slot, value) in slots.into_iter().zip(sums.values) {
            *slot += value * i128::from(diff);
        }
        if *of == PassDay::default() {
            self.days.remove(&at);
        }
        self.is_dirty = true;
    }

    /// The cells that exist.
    fn cells(&self) -> BTreeMap<(WalletPlatform, Day), Values> {
        let mut cells = BTreeMap::new();
        let mut active: BTreeMap<WalletPlatform, i128> = BTreeMap::new();
        for (at, of) in &self.days {
            let active = active.entry(at.0).or_default();
            *active += of.installed - of.removed;
            let values = [
                of.issued,
                of.installed,
                of.removed,
                *active,
                of.voided,
                of.pushes,
                of.opens,
            ];
            if values != [0; 7] {
                cells.insert(*at, values);
            }
        }
        cells
    }

    /// Whether nothing is known and nothing is published.
    fn is_empty(&self) -> bool {
        self.days.is_empty() && self.published.is_empty()
    }

    /// The number of entries.
    pub(super) fn entries(&self) -> usize {
        self.days.len() + self.published.len()
    }

    /// The number of published cells.
    pub(super) fn published_cells(&self) -> u64 {
        self.published.len() as u64
    }
}

impl Cells {
    /// Adds a change of passes, `diff` times.
    pub(super) fn add_passes(&mut self, key: &CellKey, sums: &Aggregate, diff: Diff) {
        if let CellKey::PassesBy {
            brand,
            platform,
            day,
            is_touches,
        } = *key
        {
            let days = self.passes.entry(brand).or_default();
            days.add((platform, day), is_touches, sums, diff);
        }
    }

    /// Restores a published cell of passes. Returns whether it is one.
    pub(super) fn restore_passes(&mut self, key: &CellKey, cell: &Cell) -> bool {
        let CellKey::WalletDay {
            brand,
            platform,
            day,
        } = *key
        else {
            return false;
        };
        let Ok(values) = Values::try_from(cell.values.as_slice()) else {
            return false;
        };
        let days = self.passes.entry(brand).or_default();
        days.published.insert((platform, day), values);
        (days.has_restored, days.is_dirty) = (true, true);
        true
    }

    /// Publishes the changes of passes.
    pub(super) fn release_passes(&mut self, updates: &mut CellUpdates) {
        let is_restoring = self.restoring.is_some();
        let mut changed = Vec::new();
        self.passes.retain(|brand, days| {
            if !days.is_dirty || days.has_restored && is_restoring {
                return true;
            }
            let now = days.cells();
            let mut note = |at: &(WalletPlatform, Day), values, is_new| {
                changed.push((*brand, *at, values, is_new));
            };
            for at in days.published.keys().filter(|at| !now.contains_key(*at)) {
                note(at, None, true);
            }
            for (at, values) in &now {
                let is_new = days.published.get(at) != Some(values);
                if is_new || days.has_restored {
                    note(at, Some(*values), is_new);
                }
            }
            days.published = now;
            (days.is_dirty, days.has_restored) = (false, false);
            !days.is_empty()
        });
        for (brand, at, values, is_new) in changed {
            let cell = self.pass_cell(brand, at, values.map(Vec::from).unwrap_or_default());
            updates.extend(cell.map(|cell| (cell, is_new)));
        }
    }

    /// The published cells of passes.
    pub(super) fn published_passes(&self) -> impl Iterator<Item = Cell> + '_ {
        let brands = self.passes.iter();
        let cells = brands.flat_map(|(brand, days)| {
            let published = days.published.iter();
            published.map(move |(at, values)| (*brand, *at, values.to_vec()))
        });
        cells.filter_map(|(brand, at, values)| self.pass_cell(brand, at, values))
    }

    fn pass_cell(
        &self,
        brand: BrandId,
        (platform, day): (WalletPlatform, Day),
        values: Vec<i128>,
    ) -> Option<Cell> {
        let key = CellKey::WalletDay {
            brand,
            platform,
            day,
        };
        let mut cell = self.cell(&key, None)?;
        debug_assert_eq!(cell.family, Family::WalletDay);
        cell.values = values;
        Some(cell)
    }
}
