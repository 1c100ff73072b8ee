//! The part of the ladder in an epoch of the operator.
//!
//! A release publishes the revenue of the days in progress, and with a batch votes for the months that changed. In the
//! next epoch the votes of all workers are there: the solver looks at each month, and those that leave are published.

use std::sync::Arc;

use crate::aggregate::MonthGroup;
use crate::cell::{BatchKind, Cell};
use crate::cells::gate::{BatchClass, ReleaseTimes, finished};
use crate::cells::group_key::GroupKey;
use crate::cells::ladder::group::LadderGroup;
use crate::cells::ladder::held_back::HeldBack;
use crate::cells::ladder::look::LookResult;
use crate::cells::ladder::naming::{Naming, revenue_name, rule_of};
use crate::cells::ladder::place::{Candidate, Place, place};
use crate::cells::ladder::plan::Permit;
use crate::cells::ladder::published::CellId;
use crate::cells::solver::Task;
use crate::cells::standing::Standing;
use crate::cells::state::{BatchVotes, CellUpdates, Cells};
use crate::engine::{Diff, WakeFn};
use crate::label::Channel;
use crate::release::{Members, PanelRow, RevenueName, SaleRow};

/// Changes of published cells as updates.
pub(in crate::cells) fn updates_of(
    cells: impl IntoIterator<Item = (CellId, Option<Vec<i128>>)>,
) -> impl Iterator<Item = (Cell, bool)> {
    cells.into_iter().map(|((family, dims), values)| {
        let values = values.unwrap_or_default();
        let cell = Cell {
            family,
            dims,
            values,
        };
        (cell, true)
    })
}

impl Cells {
    /// Adds or retracts a row, by acts that are given as a set of bits.
    pub(in crate::cells) fn add_row(&mut self, row: &SaleRow, acts: u128, diff: Diff) {
        let settings = self.settings.brands.get(&row.group.brand);
        let settles_in = settings.map_or(0, |settings| settings.counts_stays_in());
        let group = self.ladders.entry(row.group).or_default();
        // The day before the first look is in progress until it is known to be over.
        if group.looked_through.is_none_or(|through| through < row.day) {
            group.progress.add(row, acts, diff);
        }
        Arc::make_mut(&mut group.rows).add(row, acts, diff, settles_in);
        group.is_dirty = true;
    }

    /// Adds or retracts a member of a panel, by acts that are given as a set of bits.
    pub(in crate::cells) fn add_panel_row(&mut self, row: &PanelRow, acts: u128, diff: Diff) {
        let group = self.ladders.entry(row.group).or_default();
        Arc::make_mut(&mut group.panel).add(row, acts, diff);
        group.is_dirty = true;
    }

    /// Adds persons whom a channel reached in a month.
    pub(in crate::cells) fn add_reached(&mut self, of: MonthGroup, channel: Channel, persons: i64) {
        let group = self.ladders.entry(of).or_default();
        Arc::make_mut(&mut group.panel).reach(channel, persons);
        group.is_dirty = true;
    }

    /// Restores a cell of a month that was published, or closed if it has no values, at a time, Unix milliseconds.
    pub(in crate::cells) fn restore_month(
        &mut self,
        of: MonthGroup,
        cell: Cell,
        at: i64,
        standing: Option<Standing>,
    ) {
        if let Some(settings) = self.settings.brands.get(&of.brand) {
            let through = finished(settings, at);
            let group = self.ladders.entry(of).or_default();
            group.restore((cell.family, cell.dims), cell.values, through, standing);
        }
    }

    /// Publishes the days in progress, and votes for the months that a batch may publish.
    pub(in crate::cells) fn release_ladders(
        &mut self,
        times: ReleaseTimes,
        votes: &mut BatchVotes,
        updates: &mut CellUpdates,
    ) {
        let all_settings = self.settings.now();
        let mut groups: Vec<MonthGroup> = self.ladders.keys().copied().collect();
        groups.sort_unstable();
        let mut withdrawals = CellUpdates::new();
        for of in groups {
            let Some(settings) = all_settings.brands.get(&of.brand) else {
                continue;
            };
            let Some(mut group) = self.ladders.remove(&of) else {
                continue;
            };
            if group.has_restored && self.restoring.is_some() {
                self.ladders.insert(of, group);
                continue;
            }
            let (rule, through) = (rule_of(settings), finished(settings, times.now));
            let words = self.labels.of(of.brand);
            let naming = Naming {
                group: of,
                settings,
                words,
            };
            if group.has_restored {
                group.reconcile(settings, through, |day, store| naming.store_day(day, store));
                // The ladder has no cells of such names.
                let by_day = std::mem::take(&mut group.restored_by_day);
                updates.extend(updates_of(by_day.keys().map(|id| (id.clone(), None))));
                let withdrawn = group.withdraw_restored(of, settings, words, by_day);
                if withdrawn.is_empty() {
                    let outside = group.outside();
                    let outside = outside.map(|(id, values)| (id.clone(), Some(values.clone())));
                    updates.extend(updates_of(outside).map(|(cell, _)| (cell, false)));
                }
                withdrawals.extend(updates_of(withdrawn));
            }
            group.published.extend(group.progress.finish(through));
            let changed = group
                .progress
                .release(&rule, settings, |day, store| naming.store_day(day, store));
            updates.extend(updates_of(changed));
            let is_due = settings.k_delta() <= 1
                || group.is_withdrawn
                || times.is_due(&GroupKey::Month(of), settings);
            if is_due && (group.is_dirty || group.looked_through != Some(through)) {
                let (sums, acts) = group.rows.changes(through);
                let of_panel = group.panel.changes();
                let of_panel = of_panel.filter(|_| !group.compared.is_empty());
                let acts = acts.map_or(of_panel, |acts| Some(acts | of_panel.unwrap_or(0)));
                // A lot hides changes that go the same way, also those of before a restart.
                let mut signs = [0; 5];
                let sums = sums.into_iter().zip(group.unknown_changes);
                for (sign, (known, unknown)) in signs.iter_mut().zip(sums) {
                    *sign = (known + unknown).signum() as i8;
                }
                let class = BatchClass {
                    kind: BatchKind::Takings,
                    signs,
                };
                let all = votes.entry((of.brand, class)).or_default();
                let is_known = group.pattern.is_some() || group.is_withdrawn;
                if let Some(acts) = acts.filter(|_| is_known) {
                    *all = Some(all.unwrap_or(0) | acts);
                }
                self.ladder_candidates.push(Candidate {
                    group: of,
                    class,
                    through,
                    is_changed: acts.is_some(),
                    // Contributors that are not known do not count: the month waits for others.
                    waits: group.has_unknown_changes && settings.k_delta() > 1,
                });
            }
            if !group.is_empty() {
                self.ladders.insert(of, group);
            }
        }
        self.withdraw_cells(withdrawals, updates);
    }

    /// Begins to look at the months of the batch.
    pub(in crate::cells) fn begin_looks(&mut self, votes: &BatchVotes) {
        for candidate in std::mem::take(&mut self.ladder_candidates) {
            let (of, through) = (candidate.group, candidate.through);
            let key = GroupKey::Month(of);
            let may_leave = self.may_flush_month(&key, candidate.class, candidate.waits, votes);
            if let Some(null) = self.null.get_mut(&(of.brand, of.month)) {
                null.count_through(through);
            }
            let settings = self.settings.brands.get(&of.brand);
            let needs_no_lot = settings.is_some_and(|settings| settings.k_delta() <= 1);
            let permit = Permit {
                through,
                may_leave,
                is_lot: may_leave && (candidate.is_changed || needs_no_lot),
            };
            self.looks.insert(of, permit);
            self.planned.insert(of);
        }
    }

    /// Hands the looks that nobody has done yet to the solver.
    pub(in crate::cells) fn hand_over_looks(&mut self, wake: &WakeFn) {
        for (of, permit) in self.looks.clone() {
            let Some(group) = self.ladders.get(&of) else {
                self.looks.remove(&of);
                continue;
            };
            let null = self.null.get(&(of.brand, of.month));
            let null = null.map(|null| null.parts(of.kind)).unwrap_or_default();
            let names = (self.settings.now(), self.labels.of(of.brand).clone());
            let look = group.look(of, names, null, permit);
            let task = Task::Look(Box::new(look));
            if let Some(answer) = self.solver.hand_over(of, task, wake) {
                self.take_answer(of, answer);
            }
        }
    }

    /// Takes what a look at a month has found.
    pub(in crate::cells) fn take_look(&mut self, of: MonthGroup, looked: LookResult) {
        self.looks.remove(&of);
        if let Some(group) = self.ladders.get_mut(&of) {
            group.take_look(looked);
        }
    }

    /// Publishes what was planned. `now` is the time of the publication, Unix milliseconds.
    pub(in crate::cells) fn publish_plans(&mut self, now: i64, updates: &mut CellUpdates) {
        let all_settings = self.settings.now();
        for of in std::mem::take(&mut self.planned) {
            let words = self.labels.of(of.brand).clone();
            let (Some(settings), Some(group)) = (
                all_settings.brands.get(&of.brand),
                self.ladders.get_mut(&of),
            ) else {
                continue;
            };
            let naming = Naming {
                group: of,
                settings,
                words: &words,
            };
            updates.extend(updates_of(group.publish(&naming, finished(settings, now))));
            if group.is_empty() {
                self.ladders.remove(&of);
            }
        }
    }

    /// The members of a published cell of revenue that counts less than its name covers.
    pub(in crate::cells) fn members(&self, cell: &Cell) -> Option<Members> {
        let name = revenue_name(cell.family, &cell.dims)?;
        if let RevenueName::StoreDay(..) = name {
            return None;
        }
        let Place::Month(of) = place(cell, &self.settings) else {
            return None;
        };
        let pattern = self.ladders.get(&of)?.pattern.as_ref()?;
        pattern.revenue.members(&name).cloned()
    }

    /// What all months hold back at a time, Unix milliseconds.
    pub(in crate::cells) fn held_back(&self, now: i64) -> HeldBack {
        let mut all = HeldBack::default();
        for (of, group) in &self.ladders {
            if let Some(settings) = self.settings.brands.get(&of.brand) {
                let own = group.held_back(finished(settings, now));
                all.months += own.months;
                all.hidden += own.hidden;
                all.waiting += own.waiting;
            }
        }
        all
    }

    /// The published cells of all months.
    pub(in crate::cells) fn published_months(&self) -> impl Iterator<Item = Cell> + '_ {
        let cells = self.ladders.values().flat_map(LadderGroup::outside);
        cells.map(|((family, dims), values)| Cell {
            family: *family,
            dims: dims.clone(),
            values: values.clone(),
        })
    }
}
