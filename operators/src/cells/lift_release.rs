//! How the cells of panels ([`super::lift`]) are added to, restored and published.

use crate::aggregate::{Aggregate, BrandMonth, CellKey};
use crate::cell::Cell;
use crate::cells::lift::Values;
use crate::cells::state::{CellUpdates, Cells};
use crate::engine::Diff;
use crate::label::{Channel, Label};

impl Cells {
    /// Adds a change of a panel, `diff` times.
    pub(super) fn add_lift(&mut self, key: &CellKey, sums: &Aggregate, diff: Diff) {
        if let CellKey::LiftBy { group, channel } = key {
            let month = self.lifts.entry(*group).or_default();
            month.add(*channel, sums, diff);
        }
    }

    /// Restores a published cell. Returns whether it is one.
    pub(super) fn restore_lift(&mut self, key: &CellKey, cell: &Cell) -> bool {
        let CellKey::VisitLift { group, channel } = *key else {
            return false;
        };
        let Ok(values) = Values::try_from(cell.values.as_slice()) else {
            return false;
        };
        for word in cell.names() {
            let label = (group.brand, Label::of(word));
            self.labels.restore(label, word.clone());
        }
        let month = self.lifts.entry(group).or_default();
        month.published.insert(channel, values);
        (month.has_restored, month.is_dirty) = (true, true);
        true
    }

    /// Publishes the changes of panels.
    pub(super) fn release_lifts(&mut self, updates: &mut CellUpdates) {
        let is_restoring = self.restoring.is_some();
        let mut changed = Vec::new();
        self.lifts.retain(|group, month| {
            if !month.is_dirty || month.has_restored && is_restoring {
                return true;
            }
            let now = month.cells();
            let mut note = |channel: &Channel, values, is_new| {
                changed.push((*group, *channel, values, is_new));
            };
            for channel in month.published.keys().filter(|of| !now.contains_key(*of)) {
                note(channel, None, true);
            }
            for (channel, values) in &now {
                let is_new = month.published.get(channel) != Some(values);
                if is_new || month.has_restored {
                    note(channel, Some(*values), is_new);
                }
            }
            month.published = now;
            (month.is_dirty, month.has_restored) = (false, false);
            !month.is_empty()
        });
        for (group, channel, values, is_new) in changed {
            let cell = self.lift_cell(group, channel, values.map(Vec::from).unwrap_or_default());
            updates.extend(cell.map(|cell| (cell, is_new)));
        }
    }

    /// The published cells of panels.
    pub(super) fn published_lifts(&self) -> impl Iterator<Item = Cell> + '_ {
        let cells = self.lifts.iter().flat_map(|(group, month)| {
            let published = month.published.iter();
            published.map(move |(channel, values)| (*group, *channel, values.to_vec()))
        });
        cells.filter_map(|(group, channel, values)| self.lift_cell(group, channel, values))
    }

    fn lift_cell(&self, group: BrandMonth, channel: Channel, values: Vec<i128>) -> Option<Cell> {
        let mut cell = self.cell(&CellKey::VisitLift { group, channel }, None)?;
        cell.values = values;
        Some(cell)
    }
}
