//! Releasing: what of the groups that changed is told, what waits, and what a batch lets go.
//!
//! A worker looks at its own groups alone, but for the batch: whether enough has gathered is a question of all workers.
//! At a release whose time is that of a batch each worker says to all what of a brand waits with it, and in the next
//! epoch all come to the same conclusion.
//!
//! Under noise a group is told at the begin of a step: at once, or with the batch, which tells what stays inside under its
//! new noise too.

use crate::aggregate::{CellKey, MonthGroup};
use crate::cells::gate::{Class, Lot, Times, enough, may_leave};
use crate::cells::group::{Counts, Entry, Group, Told};
use crate::cells::group_key::GroupKey;
use crate::cells::noise::{Line, Veil};
use crate::cells::state::{Cells, CellsOut, Due, Lots, News};
use crate::cells::weigh::weigh;
use crate::engine::Diff;
use crate::settings::BrandSettings;

/// What becomes of a group that has changed.
enum Fate {
    /// It is looked at by a later release.
    Later,
    /// It waits for a batch as it is.
    Waits,
    /// It is looked at.
    Weighed,
}

/// Whether what changes is told without waiting for others.
fn is_at_once(key: &GroupKey, settings: &BrandSettings) -> bool {
    settings.k_delta() <= 1 || matches!(key, GroupKey::Alone(CellKey::SpendDay { .. }))
}

impl Cells {
    /// Looks at everything that stood outside once all that was known has gone in on every worker.
    pub(super) fn completed(&mut self, told: &mut News) {
        let complete = self.complete.as_ref().map(|workers| workers.len() as u64);
        if complete != Some(self.peers) {
            return;
        }
        self.complete = None;
        self.dirty.extend(std::mem::take(&mut self.stood));
        let strangers = std::mem::take(&mut self.strangers).into_iter();
        told.extend(strangers.map(|mut cell| {
            cell.values.clear();
            (cell, true)
        }));
    }

    /// Finds what a release at a time, Unix milliseconds, has to look at.
    pub(super) fn prepare(&mut self, now: i64) -> Times {
        // After a restart the first release is none of a batch: what stood outside was told before.
        let before = match self.anything_stood {
            true => Some(self.released.unwrap_or(now)),
            false => self.released,
        };
        let times = Times {
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
            self.renew(times);
        }
        times
    }

    /// The months of which a release solves the chain.
    pub(super) fn weighed(&self, times: Times) -> Vec<MonthGroup> {
        let is_weighed = |key: &GroupKey| {
            let settings = self.settings.brands.get(&key.brand());
            let group = self.groups.get(key);
            settings.zip(group).is_some_and(|(settings, group)| {
                matches!(self.fate(key, group, settings, times), Fate::Weighed)
            })
        };
        let months = self.dirty.iter().filter_map(|key| match key {
            GroupKey::Month(of) if is_weighed(key) => Some(*of),
            _ => None,
        });
        months.collect()
    }

    /// Tells what changed since the last release and may be told.
    pub(super) fn release(
        &mut self,
        times: Times,
        told: &mut News,
        out: &mut Vec<(CellsOut, Diff)>,
    ) {
        for key in std::mem::take(&mut self.dirty) {
            self.consider(key, times, told);
        }
        self.gather(times, out);
        let Counts {
            released,
            hidden,
            waiting,
            folded,
        } = self.counts;
        self.stats
            .release(released, hidden, waiting, self.words.collisions());
        self.stats.folded(folded);
    }

    /// Looks at everything that is shown under noise, where a step of its time line begins.
    fn renew(&mut self, times: Times) {
        let brands = &self.settings.brands;
        let shown = self.groups.iter().filter(|(key, group)| {
            let settings = brands.get(&key.brand());
            let line = settings.and_then(|settings| Line::of(key, settings));
            group.published && line.is_some_and(|line| line.begins(times.before, times.now))
        });
        self.dirty.extend(shown.map(|(key, _)| key.clone()));
    }

    /// Decides about one group.
    fn consider(&mut self, key: GroupKey, times: Times, told: &mut News) {
        let all_settings = self.settings.clone();
        let Some(settings) = all_settings.brands.get(&key.brand()) else {
            return;
        };
        let Some(group) = self.groups.remove(&key) else {
            return;
        };
        match self.fate(&key, &group, settings, times) {
            Fate::Later => self.dirty.insert(key.clone()),
            Fate::Waits => self.waiting.insert(key.clone()),
            Fate::Weighed => return self.consider_weighed(key, group, settings, times, told),
        };
        self.groups.insert(key, group);
    }

    /// What a release does with a group that has changed.
    fn fate(&self, key: &GroupKey, group: &Group, settings: &BrandSettings, times: Times) -> Fate {
        let line = Line::of(key, settings);
        let within_step = line.is_some_and(|line| !line.begins(times.before, times.now));
        if group.stood && self.complete.is_some() || group.published && !group.stood && within_step
        {
            return Fate::Later;
        }
        // A chain is not solved for nothing.
        match !is_at_once(key, settings) && !group.stood && matches!(key, GroupKey::Month(_)) {
            true => Fate::Waits,
            false => Fate::Weighed,
        }
    }

    /// Decides about one group that is looked at.
    fn consider_weighed(
        &mut self,
        key: GroupKey,
        mut group: Group,
        settings: &BrandSettings,
        times: Times,
        told: &mut News,
    ) {
        let (at_once, line) = (is_at_once(&key, settings), Line::of(&key, settings));
        self.weigh(&key, &mut group);
        if at_once && !(group.stood && line.is_some()) {
            self.waiting.remove(&key);
            self.tell(&key, &mut group, told);
        } else if group.stood {
            self.meet(&key, &mut group, told);
        } else if !group.differs() {
            self.waiting.remove(&key);
            if line.is_some() {
                self.tell(&key, &mut group, told);
            }
        } else if !group.published
            || !times.is_frozen(&key, settings) && may_leave(&key, &group, settings)
        {
            self.waiting.remove(&key);
            self.tell(&key, &mut group, told);
        } else {
            self.waiting.insert(key.clone());
        }
        self.put_back(key, group);
    }

    fn weigh(&self, key: &GroupKey, group: &mut Group) {
        let Some(settings) = self.settings.brands.get(&key.brand()) else {
            return;
        };
        weigh(key, group, settings, self.words.of(key.brand()));
    }

    /// Says to every worker what waits here and leaves if the batch does.
    fn gather(&mut self, times: Times, out: &mut Vec<(CellsOut, Diff)>) {
        let mut due = Lots::new();
        self.due.clear();
        for key in &self.waiting {
            let settings = self.settings.brands.get(&key.brand());
            let (Some(settings), Some(group)) = (settings, self.groups.get(key)) else {
                continue;
            };
            if !times.is_due(key, settings) {
                continue;
            }
            let lot = Lot::of(key, group);
            self.due.push((key.clone(), lot));
            let all = due.entry((key.brand(), lot)).or_default();
            if group.published {
                *all = Some(all.unwrap_or(0) | group.changed());
            }
        }
        for ((brand, lot), changed) in due {
            out.extend((0..self.peers).map(|target| {
                let due = Due {
                    target,
                    brand,
                    lot,
                    changed,
                };
                (CellsOut::Due(due), 1)
            }));
        }
    }

    /// Whether what is due of a group leaves: enough has gathered on all workers.
    fn leaves(&self, key: &GroupKey, lot: Lot, due: &Lots) -> bool {
        // A month would show which of its days have stayed behind.
        let is_needed =
            |of: Lot| of == lot || lot.class == Class::Month && of.class == Class::Takings;
        let settings = self.settings.brands.get(&key.brand());
        settings.is_some_and(|settings| {
            due.iter()
                .filter(|((brand, of), _)| *brand == key.brand() && is_needed(*of))
                .filter_map(|(_, changed)| *changed)
                .all(|changed| enough(changed, settings))
        })
    }

    /// The months that leave with a batch.
    pub(super) fn leaving(&self, due: &Lots) -> Vec<MonthGroup> {
        let months = self.due.iter().filter_map(|(key, lot)| match key {
            GroupKey::Month(of) if self.leaves(key, *lot, due) => Some(*of),
            _ => None,
        });
        months.collect()
    }

    /// Lets what is due leave, where enough has gathered on all workers.
    pub(super) fn batch(&mut self, due: &Lots, told: &mut News) {
        for (key, lot) in std::mem::take(&mut self.due) {
            let all_settings = self.settings.clone();
            let Some(settings) = all_settings.brands.get(&key.brand()) else {
                continue;
            };
            let leaves = self.leaves(&key, lot, due);
            let is_veiled = Line::of(&key, settings).is_some();
            if !leaves && !is_veiled {
                continue;
            }
            let Some(mut group) = self.groups.remove(&key) else {
                continue;
            };
            if !leaves {
                // What was told stays, under the noise of this step.
                self.say(&key, &mut group, told, |_| {});
                self.groups.insert(key, group);
                continue;
            }
            self.weigh(&key, &mut group);
            self.waiting.remove(&key);
            self.tell(&key, &mut group, told);
            self.put_back(key, group);
        }
    }

    /// Tells a group as it is now.
    fn tell(&self, key: &GroupKey, group: &mut Group, told: &mut News) {
        let mut published = group.published;
        self.say(key, group, told, |entry| {
            entry.told = entry.now();
            published |= entry.open;
        });
        (group.published, group.stood) = (published, false);
        group.unchanged();
        group.shrink();
    }

    /// Says what a group's cells come to outside after a change of what is told, under the noise of the release's time.
    fn say(
        &self,
        of: &GroupKey,
        group: &mut Group,
        told: &mut News,
        mut change: impl FnMut(&mut Entry),
    ) {
        let stood = group.stood;
        for (key, entry) in group.cells_mut(of) {
            let was = entry.outside();
            change(entry);
            entry.veil = entry.told.values().and_then(|_| self.veil(of, key));
            let now = entry.outside();
            if was != now || was.is_some() && stood {
                told.extend(self.cell(key, now).map(|cell| (cell, was != now)));
            }
        }
    }

    /// The noise on a cell that is told at the last release; none where there is no noise.
    fn veil(&self, of: &GroupKey, key: &CellKey) -> Option<Box<Veil>> {
        let settings = self.settings.brands.get(&of.brand())?;
        let line = Line::of(of, settings)?;
        let cell = self.cell(key, None)?;
        line.veil(cell.family, &cell.dims, self.released?)
    }

    /// Compares a group with what stood outside. Who has changed it since is not known, so that it waits as it is.
    fn meet(&mut self, of: &GroupKey, group: &mut Group, told: &mut News) {
        for (key, entry) in group.cells_mut(of) {
            if let Some(values) = entry.outside() {
                told.extend(self.cell(key, Some(values)).map(|cell| (cell, false)));
                if let Some(veil) = &entry.veil {
                    let now = entry.now().values().unwrap_or(entry.sums.values);
                    entry.told = Told::Values(veil.under(values, now));
                }
            } else if entry.told == Told::Nothing && entry.exists() {
                entry.told = Told::Hidden;
            }
        }
        group.stood = false;
        group.unchanged();
        if group.differs() {
            self.waiting.insert(of.clone());
        }
    }

    /// Keeps a group that has been looked at, unless nothing is left of it.
    fn put_back(&mut self, key: GroupKey, mut group: Group) {
        let mut counts = Counts::default();
        for entry in group.entries() {
            let shown = entry.told.values().is_some();
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
        // Though it was never told, a word may have been kept for it.
        self.words.closed(1);
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
