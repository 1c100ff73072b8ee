//! A release gate that is made stricter, while the dataflow runs or by a restart.
//!
//! What is published under a lower threshold must not stay. Nobody keeps how many contributors a published value had, so that a
//! value is *withdrawn*, which closes its cell, unless it is what the stricter gate would publish now. Months are withdrawn as a
//! whole, because their cells add up in ways that the pattern of the stricter gate decides anew.
//!
//! A reader remembers what was withdrawn. To publish it again is therefore a change of a published value like any other: it
//! takes `k_delta` contributors who have changed it since it was last published, or none, so that nothing but the coarser
//! pattern is new.
//!
//! After a restart the cells of the output stream say under which thresholds they were published ([`super::standing`]). What
//! stands under lower ones is withdrawn once everything is restored. Whether anybody has changed a month since its last
//! publication is then not known, and found out by computing again what was published; where that gives something else, the
//! month waits for `k_delta` contributors.

use crate::cell::Cell;
use crate::cells::group::{Group, Published};
use crate::cells::group_key::GroupKey;
use crate::cells::ladder::updates_of;
use crate::cells::standing::{Standing, Thresholds};
use crate::cells::state::{CellUpdates, Cells};
use crate::record::BrandId;
use crate::settings::Settings;

impl Cells {
    /// Withdraws what the stricter gates of the current settings might not publish.
    pub(super) fn withdraw(&mut self, before: &Settings, updates: &mut CellUpdates) {
        let all_settings = self.settings.now();
        let of_brand = |brand: BrandId| {
            let now = all_settings.brands.get(&brand)?;
            let before = before.brands.get(&brand)?;
            let is_stricter = Thresholds::of(now).hide_more_than(&Thresholds::of(before));
            is_stricter.then_some([before, now])
        };
        // The votes of the last release were about what is withdrawn.
        self.ladder_candidates
            .retain(|candidate| of_brand(candidate.group.brand).is_none());
        self.traffic_candidates
            .retain(|candidate| of_brand(candidate.of.brand).is_none());
        self.batch_candidates
            .retain(|(key, _)| of_brand(key.brand()).is_none());
        let mut changes = CellUpdates::new();
        for (of, group) in &mut self.ladders {
            let Some([before, settings]) = of_brand(of.brand) else {
                continue;
            };
            // The release that reconciles it withdraws it.
            if group.has_restored {
                group.restored.is_made_stricter(before);
            } else {
                let words = self.labels.of(of.brand);
                changes.extend(updates_of(group.withdraw(*of, settings, words)));
            }
        }
        for (of, group) in &mut self.traffic {
            let Some([before, _]) = of_brand(of.brand) else {
                continue;
            };
            if group.has_restored {
                group.restored.is_made_stricter(before);
            } else {
                changes.extend(updates_of(group.withdraw()));
            }
        }
        self.withdraw_cells(changes, updates);
        let keys = self.groups.keys().cloned();
        let is_withdrawn = |key: &GroupKey| !key.is_nobodys() && of_brand(key.brand()).is_some();
        let keys: Vec<GroupKey> = keys.filter(is_withdrawn).collect();
        for key in keys {
            let Some(mut group) = self.groups.remove(&key) else {
                continue;
            };
            if group.has_restored {
                group.withdraws = true;
                self.groups.insert(key, group);
                continue;
            }
            self.evaluate(&key, &mut group);
            self.withdraw_group(&key, &mut group, updates);
            self.dirty.insert(key.clone());
            self.store_group(key, group);
        }
    }

    /// Withdraws the cells of an evaluated group that are not what the gate would publish now. The others stand under the
    /// thresholds of now.
    pub(super) fn withdraw_group(
        &mut self,
        of: &GroupKey,
        group: &mut Group,
        updates: &mut CellUpdates,
    ) {
        let mut changes = CellUpdates::new();
        for (key, entry) in group.cells_mut(of) {
            if entry.published.values().is_none() {
                continue;
            }
            if entry.differs() {
                (entry.published, entry.offset) = (Published::Hidden, None);
            }
            let cell = self.cell(key, entry.published_values());
            changes.extend(cell.map(|cell| (cell, true)));
        }
        self.withdraw_cells(changes, updates);
    }

    /// Emits cells that are withdrawn, without values, or stay, with them.
    pub(super) fn withdraw_cells(&mut self, changes: CellUpdates, updates: &mut CellUpdates) {
        let closed = changes.iter().filter(|(cell, _)| cell.values.is_empty());
        self.withdrawn.extend(closed.map(|(cell, _)| cell.clone()));
        updates.extend(changes);
    }

    /// How a cell is published after this epoch.
    pub(super) fn standing(&self, cell: &Cell) -> Standing {
        if cell.values.is_empty() {
            return match self.withdrawn.contains(cell) {
                true => Standing::Withdrawn,
                false => Standing::Closed,
            };
        }
        let brand = self.settings.of_name(cell.text("brand"));
        brand.map_or(Standing::Closed, |(_, settings)| {
            Standing::Published(Thresholds::of(settings), self.members(cell))
        })
    }
}
