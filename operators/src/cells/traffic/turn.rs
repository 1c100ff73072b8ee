//! The part of contacts and visits in an epoch of the operator.
//!
//! A release with a batch votes for the months that changed. In the next epoch the votes of all workers are there, each
//! month is looked at, and those that leave are published.

use crate::aggregate::{Aggregate, CellKey, TrafficMonth};
use crate::cell::Cell;
use crate::cells::gate::{BatchClass, ReleaseTimes, finished};
use crate::cells::group_key::GroupKey;
use crate::cells::ladder::updates_of;
use crate::cells::standing::Standing;
use crate::cells::state::{BatchVotes, CellUpdates, Cells};
use crate::cells::traffic::group::{TrafficCandidate, TrafficGroup};
use crate::engine::Diff;

impl Cells {
    /// Adds a change of contacts or visits, `diff` times.
    pub(in crate::cells) fn add_traffic(
        &mut self,
        of: TrafficMonth,
        key: &CellKey,
        sums: &Aggregate,
        diff: Diff,
    ) {
        let group = self.traffic.entry(of);
        let group = group.or_insert_with(|| TrafficGroup::new(of));
        group.add(key, sums, diff);
    }

    /// Restores a cell of contacts or visits that was published, or closed if it has no values, at a time, Unix milliseconds.
    pub(in crate::cells) fn restore_traffic(
        &mut self,
        of: TrafficMonth,
        cell: Cell,
        at: i64,
        standing: Option<Standing>,
    ) {
        if let Some(settings) = self.settings.brands.get(&of.brand) {
            let group = self.traffic.entry(of);
            let group = group.or_insert_with(|| TrafficGroup::new(of));
            let through = finished(settings, at);
            group.restore((cell.family, cell.dims), cell.values, through, standing);
        }
    }

    /// Votes for the months that a batch may publish.
    pub(in crate::cells) fn release_traffic(
        &mut self,
        times: ReleaseTimes,
        votes: &mut BatchVotes,
        updates: &mut CellUpdates,
    ) {
        let all_settings = self.settings.now();
        let is_restoring = self.restoring.is_some();
        let (mut candidates, mut withdrawals) = (Vec::new(), CellUpdates::new());
        self.traffic.retain(|of, group| {
            let Some(settings) = all_settings.brands.get(&of.brand) else {
                return true;
            };
            if group.has_restored && is_restoring {
                return true;
            }
            if group.has_restored {
                group.reconcile();
                let withdrawn = group.withdraw_restored(settings);
                if withdrawn.is_empty() {
                    let outside = group.outside().iter();
                    let outside = outside.map(|(id, values)| (id.clone(), Some(values.clone())));
                    updates.extend(updates_of(outside).map(|(cell, _)| (cell, false)));
                }
                withdrawals.extend(updates_of(withdrawn));
            }
            let through = finished(settings, times.now);
            let key = GroupKey::Traffic(*of);
            let is_batch =
                settings.k_delta() <= 1 || group.is_withdrawn || times.is_due(&key, settings);
            if is_batch && group.is_due(through) {
                let change = group.change(through);
                let class = BatchClass {
                    kind: key.batch(),
                    signs: change.sums.map(|sum| sum.signum() as i8),
                };
                let all = votes.entry((of.brand, class)).or_default();
                if let Some(changed) = change.changed {
                    *all = Some(all.unwrap_or(0) | changed);
                }
                candidates.push(TrafficCandidate {
                    of: *of,
                    class,
                    through,
                    // Contributors that are not known do not count: the month waits for others.
                    waits: group.has_unknown_changes && settings.k_delta() > 1,
                });
            }
            !group.is_empty()
        });
        self.traffic_candidates.extend(candidates);
        self.withdraw_cells(withdrawals, updates);
    }

    /// Publishes the months of the batch that may leave. `now` is the time of the publication, Unix milliseconds.
    pub(in crate::cells) fn publish_traffic(
        &mut self,
        now: i64,
        votes: &BatchVotes,
        updates: &mut CellUpdates,
    ) {
        let all_settings = self.settings.now();
        for candidate in std::mem::take(&mut self.traffic_candidates) {
            let of = candidate.of;
            let key = GroupKey::Traffic(of);
            let may_leave = self.may_flush_month(&key, candidate.class, candidate.waits, votes);
            let words = self.labels.of(of.brand).clone();
            let (Some(settings), Some(group)) = (
                all_settings.brands.get(&of.brand),
                self.traffic.get_mut(&of),
            ) else {
                continue;
            };
            let days = [candidate.through, finished(settings, now)];
            let changes = group.look(settings, &words, days, may_leave);
            updates.extend(updates_of(changes));
            if group.is_empty() {
                self.traffic.remove(&of);
                // A label name may have been kept for it even if it was never published.
                self.labels.closed(1);
            }
        }
    }

    /// The published cells of contacts and visits.
    pub(in crate::cells) fn published_traffic(&self) -> impl Iterator<Item = Cell> + '_ {
        let cells = self.traffic.values().flat_map(TrafficGroup::outside);
        cells.map(|((family, dims), values)| Cell {
            family: *family,
            dims: dims.clone(),
            values: values.clone(),
        })
    }
}
