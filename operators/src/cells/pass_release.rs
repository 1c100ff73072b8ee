//! How the cells of wallet passes ([`super::passes`]) are added to, restored and published.

use crate::aggregate::{Aggregate, CellKey};
use crate::cell::{Cell, Family};
use crate::cells::passes::{PlatformDay, Values};
use crate::cells::state::{CellUpdates, Cells};
use crate::engine::Diff;
use crate::record::BrandId;

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
        days.restore((platform, day), values);
        true
    }

    /// Publishes the changes of passes.
    pub(super) fn release_passes(&mut self, updates: &mut CellUpdates) {
        let is_restoring = self.restoring.is_some();
        let mut changed = Vec::new();
        let mut steps = 0;
        self.passes.retain(|brand, days| {
            if days.is_unchanged() || days.has_restored && is_restoring {
                return true;
            }
            steps += days.release(|(at, values, is_new)| {
                changed.push((*brand, at, values, is_new));
            });
            !days.is_empty()
        });
        self.stats.steps(steps);
        for (brand, at, values, is_new) in changed {
            let cell = self.pass_cell(brand, at, values.map(Vec::from).unwrap_or_default());
            updates.extend(cell.map(|cell| (cell, is_new)));
        }
    }

    /// The published cells of passes.
    pub(super) fn published_passes(&self) -> impl Iterator<Item = Cell> + '_ {
        let brands = self.passes.iter();
        let cells = brands.flat_map(|(brand, days)| {
            let published = days.published();
            published.map(move |(at, values)| (*brand, at, values.to_vec()))
        });
        cells.filter_map(|(brand, at, values)| self.pass_cell(brand, at, values))
    }

    fn pass_cell(
        &self,
        brand: BrandId,
        (platform, day): PlatformDay,
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
