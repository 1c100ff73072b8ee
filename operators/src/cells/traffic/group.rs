//! The contacts or visits of a month: the pattern in use, and what a batch makes of it.
//!
//! The first pattern that publishes anything is the decided one. Each batch decides a pattern, and the next one takes it
//! over as far as no difference reveals anything; if the result may not be published, everything stays as it is. Days that were
//! not over at the last publication that changed a cell are new, and fall in by the rule. After a restart the published cells
//! are the pattern in use, what there is at the first batch of the days that were over is taken for what was published, and that
//! batch only decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::aggregate::{Aggregate, CellKey, TrafficMonth};
use crate::cell::{Hour, Traffic};
use crate::cells::gate::BatchClass;
use crate::cells::ladder::published_bytes;
use crate::cells::restored::Restored;
use crate::cells::standing::{Standing, Thresholds};
use crate::cells::traffic::contacts::{ChannelDay, Contacts};
use crate::cells::traffic::naming::{CellId, cell_id, channel_name, name_of};
use crate::cells::traffic::visits::Visits;
use crate::engine::Diff;
use crate::label::{Label, LabelNames};
use crate::record::Day;
use crate::release::grain::{Contributions, GrainName, Hierarchy, Rest};
use crate::release::traffic_name::TrafficName;
use crate::settings::BrandSettings;

type Names = BTreeSet<TrafficName>;

/// Published cells with their values.
pub(super) type Published = BTreeMap<CellId, Vec<i128>>;

/// Changes of published cells: the new values, or none if the cell is closed.
pub(super) type Changes = Vec<(CellId, Option<Vec<i128>>)>;

/// What is counted of a month.
enum Counts {
    Contacts(Contacts),
    Visits(Visits),
}

/// The contacts or visits of a month.
pub(in crate::cells) struct TrafficGroup {
    of: TrafficMonth,
    counts: Counts,
    /// The pattern in use, if anything is published.
    used: Option<Names>,
    /// The pattern that the last batch decided.
    decided: Option<Names>,
    /// The last finished day at the last publication that changed a cell, if anything is published.
    published_through: Option<Day>,
    /// The last finished day when the last batch looked at the month.
    looked_through: Option<Day>,
    /// Whether anything changed since then.
    is_dirty: bool,
    published: Published,
    /// Cells of the finest grain that are not published under their own name, as of the last look.
    pub(in crate::cells) hidden: u64,
    /// Whether the published cells are restored, and not yet reconciled.
    pub(in crate::cells) has_restored: bool,
    /// How the restored cells were published.
    pub(in crate::cells) restored: Restored,
    /// Whether the month was published, and withdrawn since by a stricter gate.
    pub(super) is_withdrawn: bool,
    /// Whether it may have been changed since then by contributors that are not known after a restart.
    pub(in crate::cells) has_unknown_changes: bool,
    /// What a restart withdrew, until a look at the month has compared it.
    was_published: Option<Box<WasPublished>>,
}

/// Published cells that a restart under a stricter gate withdrew.
struct WasPublished {
    under: Thresholds,
    used: Names,
    cells: Published,
}

/// A month that the next batch looks at.
pub(in crate::cells) struct TrafficCandidate {
    pub(in crate::cells) of: TrafficMonth,
    pub(super) class: BatchClass,
    /// The last finished day.
    pub(super) through: Day,
    /// Whether others may have changed it who are not known, so that it waits for a lot of its class.
    pub(super) waits: bool,
}

/// What has changed of a month since its last publication.
pub(super) struct Change {
    /// The differences of the values.
    pub(super) sums: [i64; 5],
    /// The contributors that changed, as in [`Aggregate::changed`]; `None` if nothing was ever published or changed.
    pub(super) changed: Option<u128>,
}

impl TrafficGroup {
    pub(super) fn new(of: TrafficMonth) -> TrafficGroup {
        TrafficGroup {
            counts: match of.traffic {
                Traffic::Contacts => Counts::Contacts(Contacts::default()),
                Traffic::Visits => Counts::Visits(Visits::default()),
            },
            of,
            used: None,
            decided: None,
            published_through: None,
            looked_through: None,
            is_dirty: false,
            published: Published::new(),
            hidden: 0,
            has_restored: false,
            restored: Restored::default(),
            is_withdrawn: false,
            has_unknown_changes: false,
            was_published: None,
        }
    }

    /// Adds a change of an aggregate, `diff` times.
    pub(super) fn add(&mut self, key: &CellKey, sums: &Aggregate, diff: Diff) {
        match (key, &mut self.counts) {
            (
                CellKey::ContactsBy {
                    channel, day, who, ..
                },
                Counts::Contacts(contacts),
            ) => contacts.add((*channel, *day), *who, sums, diff),
            (CellKey::StoreHour { store, hour, .. }, Counts::Visits(visits)) => {
                visits.add_hour((*store, *hour), sums, diff);
            }
            (
                CellKey::DeviceHours {
                    store,
                    salt_day,
                    hours,
                    is_random,
                    ..
                },
                Counts::Visits(visits),
            ) => {
                let [count, ..] = sums.values;
                let count = i64::try_from(count).unwrap_or_default() * diff;
                visits.add_devices((*store, *salt_day), (hours.clone(), *is_random), count);
            }
            _ => return,
        }
        self.is_dirty = true;
    }

    /// Takes a cell that was published, or closed if it has no values, when `finished` was the last finished day.
    pub(super) fn restore(
        &mut self,
        id: CellId,
        values: Vec<i128>,
        finished: Day,
        standing: Option<Standing>,
    ) {
        self.restored.add(&id, standing);
        self.published_through = self.published_through.max(Some(finished));
        if !values.is_empty() {
            self.published.insert(id, values);
        }
        self.has_restored = true;
    }

    /// Takes the restored cells as the pattern in use.
    pub(super) fn reconcile(&mut self) {
        let used: Names = self.published.keys().filter_map(name_of).collect();
        // A month of which nothing is published, because it was withdrawn, is a published one.
        self.is_withdrawn = !self.restored.take_withdrawn().is_empty() && used.is_empty();
        self.has_unknown_changes = self.is_withdrawn;
        self.used = (!used.is_empty()).then_some(used);
        (self.decided, self.has_restored, self.is_dirty) = (None, false, true);
    }

    /// Withdraws what was published before a restart under lower thresholds than those of now, and returns the cells that close.
    /// Whatever was published is remembered until the next look, which finds out whether the month was changed before the restart.
    /// The restored cells must have been [reconciled](Self::reconcile).
    pub(super) fn withdraw_restored(&mut self, settings: &BrandSettings) -> Changes {
        let (under, is_lower) = self.restored.take_thresholds(settings);
        // Without a lot of contributors nothing waits, and nothing has to be found out.
        if let Some(used) = &self.used
            && (is_lower || settings.k_delta() > 1)
        {
            self.was_published = Some(Box::new(WasPublished {
                under,
                used: used.clone(),
                cells: self.published.clone(),
            }));
        }
        match is_lower {
            true => self.withdraw(),
            false => Changes::new(),
        }
    }

    /// Whether a batch has to look at the month.
    pub(super) fn is_due(&self, through: Day) -> bool {
        self.is_dirty || self.looked_through != Some(through)
    }

    /// What has changed since the last publication, if it counts all days up to one.
    pub(super) fn change(&self, through: Day) -> Change {
        let (sums, changed) = match &self.counts {
            Counts::Contacts(contacts) => contacts.changes(through),
            Counts::Visits(visits) => visits.changes(through),
        };
        let is_known = (self.used.is_some() || self.is_withdrawn) && changed != 0;
        Change {
            sums,
            changed: is_known.then_some(changed),
        }
    }

    /// Looks at the month at a batch. Returns the cells that change. The days are the last that the batch counts, and the last
    /// finished one at the time of its publication. `may_leave` says whether enough contributors have changed what the batch
    /// publishes.
    pub(super) fn look(
        &mut self,
        settings: &BrandSettings,
        words: &LabelNames,
        [through, finished]: [Day; 2],
        may_leave: bool,
    ) -> Changes {
        if let Some(was) = self.was_published.take() {
            let last = self.published_through.unwrap_or(through);
            self.has_unknown_changes =
                self.cells_of(&was, words, last, &settings.name) != was.cells;
            if self.used.is_none() {
                self.publish_counts(Some(last));
                (self.decided, self.is_dirty) = (Some(Names::new()), true);
                self.looked_through = Some(through);
                return Vec::new();
            }
        }
        let (next, cells) = match &self.counts {
            Counts::Contacts(contacts) => {
                let parts = contacts.parts(through);
                let chains = contact_chains(&parts, words);
                let rule = (settings.k, settings.dominance);
                let then = contacts.moment(&parts, true, rule);
                let now = contacts.moment(&parts, false, rule);
                self.decide(
                    &chains,
                    [&then, &now],
                    may_leave,
                    |of| now.values(of),
                    &settings.name,
                )
            }
            Counts::Visits(visits) => {
                let parts = visits.parts(through);
                let chains = visit_chains(&parts, words);
                let then = visits.moment(&parts, true, settings.k_traffic);
                let now = visits.moment(&parts, false, settings.k_traffic);
                self.decide(
                    &chains,
                    [&then, &now],
                    may_leave,
                    |of| now.values(of),
                    &settings.name,
                )
            }
        };
        let is_restart =
            self.decided.is_none() && (self.used.is_some() || self.has_unknown_changes);
        self.hidden = next.hidden;
        self.is_dirty = next.used.as_ref() != Some(&next.decided);
        self.decided = Some(next.decided);
        self.looked_through = Some(through);
        if is_restart {
            self.publish_counts(Some(self.published_through.unwrap_or(through)));
            return Vec::new();
        }
        let Some(used) = next.used else {
            return Vec::new();
        };
        if (self.used.is_some() || self.is_withdrawn) && !may_leave {
            self.is_dirty = true;
            return Vec::new();
        }
        (self.is_withdrawn, self.has_unknown_changes) = (false, false);
        self.used = (!used.is_empty()).then_some(used);
        self.publish_counts(self.used.is_some().then_some(through));
        let changes = self.replace(cells);
        if !changes.is_empty() {
            self.published_through = Some(finished);
        }
        changes
    }

    /// Withdraws what a gate that was made stricter might not publish. Returns the cells that close.
    pub(in crate::cells) fn withdraw(&mut self) -> Changes {
        self.is_dirty = true;
        if self.published.is_empty() {
            return Vec::new();
        }
        (self.used, self.decided) = (None, None);
        (self.is_withdrawn, self.has_restored) = (true, false);
        self.replace(Published::new())
    }

    /// The cells of the days up to one as they were published: in the pattern and under the thresholds of then.
    fn cells_of(
        &self,
        was: &WasPublished,
        words: &LabelNames,
        through: Day,
        brand: &Arc<str>,
    ) -> Published {
        let cells = |chains: &[Vec<TrafficName>],
                     now: &dyn Contributions,
                     values: &dyn Fn(&[u32]) -> Vec<i128>| {
            let hierarchy = Hierarchy::new(chains, Rest::HeldBack);
            let counted = hierarchy.cells(&was.used, now).into_iter();
            counted
                .map(|(name, parts)| (cell_id(self.of, brand, name), values(&parts)))
                .collect()
        };
        match &self.counts {
            Counts::Contacts(contacts) => {
                let parts = contacts.parts(through);
                let rule = (was.under.k, was.under.dominance);
                let now = contacts.moment(&parts, false, rule);
                cells(&contact_chains(&parts, words), &now, &|of| now.values(of))
            }
            Counts::Visits(visits) => {
                let parts = visits.parts(through);
                let now = visits.moment(&parts, false, was.under.k_traffic);
                cells(&visit_chains(&parts, words), &now, &|of| now.values(of))
            }
        }
    }

    /// The next pattern and its cells.
    fn decide(
        &self,
        chains: &[Vec<TrafficName>],
        [then, now]: [&dyn Contributions; 2],
        may_leave: bool,
        values: impl Fn(&[u32]) -> Vec<i128>,
        brand: &Arc<str>,
    ) -> (Next, Published) {
        let hierarchy = Hierarchy::new(chains, Rest::HeldBack);
        let decided = hierarchy.decide(now).unwrap_or_default();
        let present = |part: &(usize, &Vec<TrafficName>)| !now.judge(&[part.0 as u32]).is_empty;
        let finest = chains.iter().enumerate().filter(present);
        let days = finest.clone();
        let days: BTreeSet<Day> = days.filter_map(|(_, chain)| chain.first()?.day()).collect();
        let used = match (&self.used, &self.decided) {
            (None, _) => Some(decided.clone()),
            (Some(used), Some(before)) => {
                let is_new =
                    |day: &Day| self.published_through.is_none_or(|through| *day > through);
                let new_days = days.into_iter().filter(is_new).collect();
                hierarchy.take_over(used, before, [then, now], &new_days)
            }
            (Some(_), None) => None,
        };
        let in_use = used.as_ref().filter(|_| may_leave || self.used.is_none());
        let in_use = in_use.or(self.used.as_ref());
        let is_named = |chain: &Vec<TrafficName>| {
            let name = chain.first().zip(in_use);
            name.is_some_and(|(name, names)| names.contains(name))
        };
        let hidden = finest.filter(|(_, chain)| !is_named(chain)).count() as u64;
        let mut next = Next {
            decided,
            used: None,
            hidden,
        };
        let mut cells = Published::new();
        if let Some(used) = used {
            let counted = hierarchy.cells(&used, now);
            next.used = Some(counted.iter().map(|(name, _)| (*name).clone()).collect());
            if may_leave || self.used.is_none() {
                let cell = |(name, parts): &(&TrafficName, Vec<u32>)| {
                    (cell_id(self.of, brand, name), values(parts))
                };
                cells = counted.iter().map(cell).collect();
            }
        }
        (next, cells)
    }

    /// All days up to one are published, or nothing is.
    fn publish_counts(&mut self, through: Option<Day>) {
        match &mut self.counts {
            Counts::Contacts(contacts) => contacts.publish(through),
            Counts::Visits(visits) => visits.publish(through),
        }
    }

    /// Replaces what is published. Returns the difference.
    fn replace(&mut self, cells: Published) -> Changes {
        let before = std::mem::replace(&mut self.published, cells);
        let closed = before.keys().filter(|id| !self.published.contains_key(*id));
        let mut updates: Changes = closed.map(|id| (id.clone(), None)).collect();
        let changed = self
            .published
            .iter()
            .filter(|(id, values)| before.get(*id) != Some(*values));
        updates.extend(changed.map(|(id, values)| (id.clone(), Some(values.clone()))));
        updates
    }

    /// Whether nothing is held of the month and nothing is published.
    pub(super) fn is_empty(&self) -> bool {
        self.published.is_empty() && self.is_nothing_held()
    }

    fn is_nothing_held(&self) -> bool {
        match &self.counts {
            Counts::Contacts(contacts) => contacts.is_empty(),
            Counts::Visits(visits) => visits.is_empty(),
        }
    }

    /// The number of entries in the state.
    pub(in crate::cells) fn entries(&self) -> usize {
        let counts = match &self.counts {
            Counts::Contacts(contacts) => contacts.entries(),
            Counts::Visits(visits) => visits.entries(),
        };
        counts + self.published.len()
    }

    /// The estimated bytes on the heap.
    pub(in crate::cells) fn heap_bytes(&self) -> usize {
        let counts = match &self.counts {
            Counts::Contacts(contacts) => contacts.heap_bytes(),
            Counts::Visits(visits) => visits.heap_bytes(),
        };
        counts + published_bytes(&self.published)
    }

    /// The number of published cells.
    pub(in crate::cells) fn published_cells(&self) -> u64 {
        self.published.len() as u64
    }

    /// What is published.
    pub(super) fn outside(&self) -> &Published {
        &self.published
    }

    /// Calls `each` with every label of a channel or store.
    pub(in crate::cells) fn each_label(&self, mut each: impl FnMut(Label)) {
        match &self.counts {
            Counts::Contacts(contacts) => {
                contacts.each_channel(|channel| channel.labels().into_iter().for_each(&mut each));
            }
            Counts::Visits(visits) => visits.each_store(each),
        }
    }
}

/// The cells that may count a channel on a day, the finest first.
fn contact_chains(parts: &[ChannelDay], words: &LabelNames) -> Vec<Vec<TrafficName>> {
    let chains = parts
        .iter()
        .map(|(channel, day)| TrafficName::covering_contact(&channel_name(*channel, words), *day));
    chains.collect()
}

/// The cells that may count a store's hour, the finest first.
fn visit_chains(parts: &[(Label, Hour)], words: &LabelNames) -> Vec<Vec<TrafficName>> {
    let chains = parts.iter().map(|(store, hour)| {
        let store = words.word(*store).cloned();
        TrafficName::covering_hour(hour.local_day(), hour.start, hour.utc_offset, &store)
    });
    chains.collect()
}

/// What a look at a month gives.
struct Next {
    /// The pattern of the state on its own.
    decided: Names,
    /// The next pattern in use; none if the month stays as it is.
    used: Option<Names>,
    /// The cells of the finest grain that it does not name.
    hidden: u64,
}
