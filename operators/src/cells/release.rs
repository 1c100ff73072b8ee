//! Release: which changed groups are published, which wait, and which a batch publishes.
//!
//! A worker decides about its own groups alone, except for the batch, which needs the contributors of all workers. At a
//! release with a batch each worker sends its votes to all workers, and in the next epoch all come to the same conclusion.
//!
//! With noise a group is published at the start of a step, directly or with the batch, which also publishes unchanged values
//! under their new noise.

use crate::aggregate::{CellKey, MonthGroup};
use crate::cell::{BatchKind, Names};
use crate::cells::gate::{BatchClass, ReleaseTimes, has_enough_contributors, may_publish};
use crate::cells::group::{CellEntry, GateCounts, Group, Published};
use crate::cells::group_key::GroupKey;
use crate::cells::ladder::HeldBack;
use crate::cells::lift::LiftMonth;
use crate::cells::noise::{NoiseOffset, NoiseTimeline};
use crate::cells::passes::PassDays;
use crate::cells::state::{BatchVote, BatchVotes, CellUpdates, Cells, CellsOut};
use crate::cells::threshold::apply_threshold;
use crate::cells::traffic::TrafficGroup;
use crate::engine::{Diff, broadcast};
use crate::settings::BrandSettings;

/// The decision about a changed group.
enum Action {
    /// A later release decides.
    Defer,
    /// The group waits for a batch.
    Queue,
    /// The group is evaluated now.
    Evaluate,
}

/// Whether changes are published without a minimum of contributors.
fn is_at_once(key: &GroupKey, settings: &BrandSettings) -> bool {
    settings.k_delta() <= 1 || key.is_nobodys()
}

impl Cells {
    /// Once all workers have completed their restore: closes restored cells that no longer exist, and marks the
    /// restored groups for reconciliation.
    pub(super) fn close_orphans(&mut self, updates: &mut CellUpdates) {
        let complete = self.restoring.as_ref().map(|workers| workers.len() as u64);
        if complete != Some(self.peers) {
            return;
        }
        self.restoring = None;
        self.dirty.extend(std::mem::take(&mut self.restored_groups));
        let orphans = std::mem::take(&mut self.orphans).into_iter();
        updates.extend(orphans.map(|mut cell| {
            cell.values.clear();
            (cell, true)
        }));
    }

    /// Finds the groups to evaluate in a release at `now`, Unix milliseconds, and returns the times
    /// of this release and of the previous one.
    ///
    /// Changes of null paths are passed on to all groups of their month. The time never goes back.
    pub(super) fn prepare(&mut self, now: i64) -> ReleaseTimes {
        // After a restart the first release is not a batch: the restored cells were published before.
        let before = match self.has_restored_cells {
            true => Some(self.released.unwrap_or(now)),
            false => self.released,
        };
        let times = ReleaseTimes {
            before,
            now: before.map_or(now, |before| before.max(now)),
        };
        self.released = Some(times.now);
        for month in std::mem::take(&mut self.dirty_null) {
            let Some(null) = self.null.get_mut(&month) else {
                continue;
            };
            let changed = std::mem::take(&mut null.changed);
            for of in &null.groups {
                let key = GroupKey::Month(*of);
                let group = self.groups.get_mut(&key);
                if let Some(chain) = group.and_then(|group| group.chain.as_mut()) {
                    chain.touched_by(changed);
                    self.dirty.insert(key);
                }
            }
            if null.is_empty() {
                self.null.remove(&month);
            }
        }
        if self.settings.brands.values().any(|of| of.noise.is_some()) {
            self.refresh_noise(times);
        }
        times
    }

    /// The months whose chains a release needs.
    pub(super) fn months_to_solve(&self, times: ReleaseTimes) -> Vec<MonthGroup> {
        let is_evaluated = |key: &GroupKey| {
            let settings = self.settings.brands.get(&key.brand());
            let group = self.groups.get(key);
            settings.zip(group).is_some_and(|(settings, group)| {
                matches!(self.action(key, group, settings, times), Action::Evaluate)
            })
        };
        let months = self.dirty.iter().filter_map(|key| match key {
            GroupKey::Month(of) if is_evaluated(key) => Some(*of),
            _ => None,
        });
        months.collect()
    }

    /// Publishes the changes since the last release that may be published, sends the votes for the
    /// others, and reports the counts.
    pub(super) fn release(
        &mut self,
        times: ReleaseTimes,
        updates: &mut CellUpdates,
        out: &mut Vec<(CellsOut, Diff)>,
    ) {
        for key in std::mem::take(&mut self.dirty) {
            self.release_group(key, times, updates);
        }
        let mut votes = BatchVotes::new();
        self.release_ladders(times, &mut votes, updates);
        self.release_traffic(times, &mut votes, updates);
        self.release_passes(updates);
        self.release_lifts(updates);
        self.collect_votes(times, votes, out);
        self.report_counts();
        self.has_reconciled |= self.restoring.is_none();
    }

    /// Reports how many cells are published, hidden and waiting: after a release, and after the batch that its votes let leave.
    pub(super) fn report_counts(&self) {
        let GateCounts {
            released,
            hidden,
            waiting,
            folded,
        } = self.counts;
        let months = self.ladders.values().map(|of| of.outside().count() as u64);
        let traffic = self.traffic.values().map(TrafficGroup::published_cells);
        let passes = self.passes.values().map(PassDays::published_cells);
        let lifts = self.lifts.values().map(LiftMonth::published_cells);
        let own = passes.sum::<u64>() + lifts.sum::<u64>();
        let released = released + months.sum::<u64>() + traffic.sum::<u64>() + own;
        let HeldBack {
            months,
            hidden: hidden_months,
            waiting: waiting_months,
        } = self.held_back(self.released.unwrap_or_default());
        let traffic_waits = self.traffic.values().filter(|of| of.has_unknown_changes);
        let months = months + traffic_waits.count() as u64;
        let hidden_traffic: u64 = self.traffic.values().map(|of| of.hidden).sum();
        let (hidden, waiting) = (
            hidden + hidden_months + hidden_traffic,
            waiting + waiting_months,
        );
        self.stats
            .release(released, hidden, waiting, self.labels.collisions());
        self.stats.folded(folded);
        self.stats.months_waiting(months);
    }

    /// Marks all groups published with noise whose timeline starts a new step.
    fn refresh_noise(&mut self, times: ReleaseTimes) {
        let brands = &self.settings.brands;
        let shown = self.groups.iter().filter(|(key, group)| {
            let settings = brands.get(&key.brand());
            let timeline = settings.and_then(|settings| NoiseTimeline::of(key, settings));
            group.was_published
                && timeline.is_some_and(|timeline| timeline.begins(times.before, times.now))
        });
        self.dirty.extend(shown.map(|(key, _)| key.clone()));
    }

    /// Processes one changed group.
    fn release_group(&mut self, key: GroupKey, times: ReleaseTimes, updates: &mut CellUpdates) {
        let all_settings = self.settings.now();
        let Some(settings) = all_settings.brands.get(&key.brand()) else {
            return;
        };
        let Some(group) = self.groups.remove(&key) else {
            return;
        };
        match self.action(&key, &group, settings, times) {
            Action::Defer => self.dirty.insert(key.clone()),
            Action::Queue => self.waiting.insert(key.clone()),
            Action::Evaluate => {
                return self.release_evaluated(key, group, settings, times, updates);
            }
        };
        self.groups.insert(key, group);
    }

    /// Decides what a release does with a changed group.
    fn action(
        &self,
        key: &GroupKey,
        group: &Group,
        settings: &BrandSettings,
        times: ReleaseTimes,
    ) -> Action {
        let timeline = NoiseTimeline::of(key, settings);
        let within_step =
            timeline.is_some_and(|timeline| !timeline.begins(times.before, times.now));
        if group.has_restored && self.restoring.is_some()
            || group.was_published && !group.has_restored && within_step
        {
            return Action::Defer;
        }
        // A chain is solved only if its result may be published.
        match !is_at_once(key, settings) && !group.has_restored && matches!(key, GroupKey::Month(_))
        {
            true => Action::Queue,
            false => Action::Evaluate,
        }
    }

    /// Evaluates a group and publishes it or lets it wait.
    fn release_evaluated(
        &mut self,
        key: GroupKey,
        mut group: Group,
        settings: &BrandSettings,
        times: ReleaseTimes,
        updates: &mut CellUpdates,
    ) {
        let (at_once, timeline) = (
            is_at_once(&key, settings),
            NoiseTimeline::of(&key, settings),
        );
        self.evaluate(&key, &mut group);
        if at_once && !(group.has_restored && timeline.is_some()) {
            self.waiting.remove(&key);
            self.publish(&key, &mut group, updates);
        } else if group.has_restored {
            self.reconcile(&key, &mut group, updates);
        } else if !group.differs() {
            self.waiting.remove(&key);
            if timeline.is_some() {
                self.publish(&key, &mut group, updates);
            }
        } else if !group.was_published
            || !times.is_frozen(&key, settings) && may_publish(&key, &group, settings)
        {
            self.waiting.remove(&key);
            self.publish(&key, &mut group, updates);
        } else {
            self.waiting.insert(key.clone());
        }
        self.store_group(key, group);
    }

    /// Sets for each cell of a group whether it may be released now.
    pub(super) fn evaluate(&self, key: &GroupKey, group: &mut Group) {
        let Some(settings) = self.settings.brands.get(&key.brand()) else {
            return;
        };
        let names = Names {
            brand: &settings.name,
            words: self.labels.of(key.brand()),
        };
        apply_threshold(key, group, settings, names);
    }

    /// Sends the votes of this worker's waiting groups to all workers.
    fn collect_votes(
        &mut self,
        times: ReleaseTimes,
        mut votes: BatchVotes,
        out: &mut Vec<(CellsOut, Diff)>,
    ) {
        self.batch_candidates.clear();
        for key in &self.waiting {
            let settings = self.settings.brands.get(&key.brand());
            let (Some(settings), Some(group)) = (settings, self.groups.get(key)) else {
                continue;
            };
            if !times.is_due(key, settings) {
                continue;
            }
            let class = BatchClass::of(key, group);
            self.batch_candidates.push((key.clone(), class));
            let all = votes.entry((key.brand(), class)).or_default();
            if group.was_published {
                *all = Some(all.unwrap_or(0) | group.changed());
            }
        }
        for ((brand, class), changed) in votes {
            out.extend(broadcast(self.peers, |target| {
                let vote = BatchVote {
                    target,
                    brand,
                    class,
                    changed,
                };
                (CellsOut::BatchVote(vote), 1)
            }));
        }
    }

    /// Whether a batch publishes a group: its class has enough contributors on all workers.
    pub(super) fn may_flush(&self, key: &GroupKey, class: BatchClass, votes: &BatchVotes) -> bool {
        // A month would reveal which of its days were withheld.
        let is_needed = |of: BatchClass| {
            of == class || class.kind == BatchKind::Month && of.kind == BatchKind::Takings
        };
        let settings = self.settings.brands.get(&key.brand());
        settings.is_some_and(|settings| {
            votes
                .iter()
                .filter(|((brand, of), _)| *brand == key.brand() && is_needed(*of))
                .filter_map(|(_, changed)| *changed)
                .all(|changed| has_enough_contributors(changed, settings))
        })
    }

    /// Whether a batch publishes a month. One that contributors may have changed who are not known `waits` for others of its class.
    pub(super) fn may_flush_month(
        &self,
        key: &GroupKey,
        class: BatchClass,
        waits: bool,
        votes: &BatchVotes,
    ) -> bool {
        let has_lot = || {
            let votes = votes.get(&(key.brand(), class));
            votes.copied().flatten().is_some()
        };
        self.may_flush(key, class, votes) && (!waits || has_lot())
    }

    /// The months that a batch publishes.
    pub(super) fn flushed_months(&self, votes: &BatchVotes) -> Vec<MonthGroup> {
        let months = self
            .batch_candidates
            .iter()
            .filter_map(|(key, class)| match key {
                GroupKey::Month(of) if self.may_flush(key, *class, votes) => Some(*of),
                _ => None,
            });
        months.collect()
    }

    /// Publishes the waiting groups whose classes have enough contributors on all workers.
    pub(super) fn flush_batch(&mut self, votes: &BatchVotes, updates: &mut CellUpdates) {
        for (key, class) in std::mem::take(&mut self.batch_candidates) {
            let all_settings = self.settings.now();
            let Some(settings) = all_settings.brands.get(&key.brand()) else {
                continue;
            };
            let leaves = self.may_flush(&key, class, votes);
            let has_noise = NoiseTimeline::of(&key, settings).is_some();
            if !leaves && !has_noise {
                continue;
            }
            let Some(mut group) = self.groups.remove(&key) else {
                continue;
            };
            if !leaves {
                // The published values stay, under the noise of this step.
                self.emit(&key, &mut group, updates, |_| {});
                self.groups.insert(key, group);
                continue;
            }
            self.evaluate(&key, &mut group);
            self.waiting.remove(&key);
            self.publish(&key, &mut group, updates);
            self.store_group(key, group);
        }
    }

    /// Publishes the current state of a group.
    fn publish(&self, key: &GroupKey, group: &mut Group, updates: &mut CellUpdates) {
        let mut was_published = group.was_published;
        self.emit(key, group, updates, |entry| {
            entry.published = entry.current();
            was_published |= entry.is_releasable;
        });
        (group.was_published, group.has_restored) = (was_published, false);
        group.withdraws = false;
        group.clear_changes();
        group.shrink();
    }

    /// Applies a change to the published state of a group's cells, and emits those whose values differ under the
    /// noise of the release time.
    pub(super) fn emit(
        &self,
        of: &GroupKey,
        group: &mut Group,
        updates: &mut CellUpdates,
        mut change: impl FnMut(&mut CellEntry),
    ) {
        let has_restored = group.has_restored;
        for (key, entry) in group.cells_mut(of) {
            let was = entry.published_values();
            change(entry);
            entry.offset = entry.published.values().and_then(|_| self.offset(of, key));
            let now = entry.published_values();
            if was != now || was.is_some() && has_restored {
                updates.extend(self.cell(key, now).map(|cell| (cell, was != now)));
            }
        }
    }

    /// The noise on a cell at the last release, or `None` without noise.
    fn offset(&self, of: &GroupKey, key: &CellKey) -> Option<Box<NoiseOffset>> {
        let settings = self.settings.brands.get(&of.brand())?;
        let timeline = NoiseTimeline::of(of, settings)?;
        let cell = self.cell(key, None)?;
        timeline.offset(cell.family, &cell.dims, self.released?)
    }

    /// Reconciles a group with its restored cells. The contributors of a difference are unknown, so the group waits
    /// for a batch.
    fn reconcile(&mut self, of: &GroupKey, group: &mut Group, updates: &mut CellUpdates) {
        let withdraws = std::mem::take(&mut group.withdraws);
        for (key, entry) in group.cells_mut(of) {
            if let Some(values) = entry.published_values() {
                // What is withdrawn, and what stays under the thresholds of now, is emitted below.
                if !withdraws {
                    updates.extend(self.cell(key, Some(values)).map(|cell| (cell, false)));
                }
                if let Some(offset) = &entry.offset {
                    let now = entry.current().values().unwrap_or(entry.sums.values);
                    entry.published = Published::Values(offset.remove(values, now));
                }
            } else if entry.published == Published::Nothing && entry.exists() {
                entry.published = Published::Hidden;
            }
        }
        if withdraws {
            self.withdraw_group(of, group, updates);
        }
        group.has_restored = false;
        group.clear_changes();
        if group.differs() {
            self.waiting.insert(of.clone());
        }
    }

    /// Stores an evaluated group with its counts, or drops it if it is empty.
    pub(super) fn store_group(&mut self, key: GroupKey, mut group: Group) {
        let mut counts = GateCounts::default();
        for entry in group.entries() {
            let shown = entry.published.values().is_some();
            counts.released += u64::from(shown);
            counts.hidden += u64::from(!shown && entry.exists());
            counts.waiting += u64::from(shown && entry.differs());
        }
        counts.folded = group.chain.as_ref().map_or(0, |chain| chain.folded());
        let was = std::mem::replace(&mut group.counts, counts);
        let all = &mut self.counts;
        all.released = all.released + counts.released - was.released;
        all.hidden = all.hidden + counts.hidden - was.hidden;
        all.waiting = all.waiting + counts.waiting - was.waiting;
        all.folded = all.folded + counts.folded - was.folded;
        if !group.is_empty() {
            self.groups.insert(key, group);
            return;
        }
        self.waiting.remove(&key);
        // A label name may have been kept for it even if it was never published.
        self.labels.closed(1);
        if let GroupKey::Month(of) = key
            && let Some(null) = self.null.get_mut(&(of.brand, of.month))
        {
            null.groups.remove(&of);
            if null.is_empty() {
                self.null.remove(&(of.brand, of.month));
            }
        }
    }
}
