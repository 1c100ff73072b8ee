//! The visits of a month by store and hour, now and as last published.
//!
//! A device is counted once in a cell, however many of its hours the cell counts. It has another token in each store and on
//! each salt day, so that only hours of one store and salt day can share devices. For these the state counts how many
//! devices came in exactly which hours: that is enough for the distinct devices of any set of hours, it is small because few
//! sets occur, and it names no device.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::aggregate::Aggregate;
use crate::cell::Hour;
use crate::engine::{Diff, shared_bytes, table_bytes, tree_bytes};
use crate::label::Label;
use crate::record::Day;
use crate::release::grain::{Contributions, Finding};

/// An hour of a store.
pub(super) type StoreHour = (Label, Hour);

/// Visits, passers-by, seconds of dwell, devices, random devices.
type Sums = [i64; 5];

/// An hour.
#[derive(Default)]
struct Field {
    sums: Sums,
    /// What has changed since the last publication.
    since: Sums,
    /// The contributors that changed since then, as in [`Aggregate::changed`].
    changed: u128,
}

/// The hours in which a device came, and whether its address is random.
type Presence = (Arc<[Hour]>, bool);

/// The devices of a store and salt day by the hours in which they came.
#[derive(Default)]
struct Devices {
    now: FxHashMap<Presence, i64>,
    /// What has changed since the last publication.
    since: FxHashMap<Presence, i64>,
}

/// The visits of a month.
#[derive(Default)]
pub(super) struct Visits {
    hours: BTreeMap<StoreHour, Field>,
    devices: BTreeMap<(Label, Day), Devices>,
    /// The last day that the last publication counted.
    through: Option<Day>,
}

fn bump(counts: &mut FxHashMap<Presence, i64>, presence: &Presence, by: i64) {
    let count = counts.entry(presence.clone()).or_default();
    *count += by;
    if *count == 0 {
        counts.remove(presence);
    }
}

impl Visits {
    /// Adds a change of the sums of an hour, `diff` times.
    pub(super) fn add_hour(&mut self, at: StoreHour, sums: &Aggregate, diff: Diff) {
        let is_published = self
            .through
            .is_some_and(|through| at.1.local_day() <= through);
        let field = self.hours.entry(at).or_default();
        for ((now, since), value) in field.sums.iter_mut().zip(&mut field.since).zip(sums.values) {
            let value = i64::try_from(value).unwrap_or_default() * diff;
            *now += value;
            *since += if is_published { value } else { 0 };
        }
        field.changed |= sums.changed;
        // A change that nobody has seen leaves nothing behind.
        if !is_published && field.sums == Sums::default() {
            self.hours.remove(&at);
        }
    }

    /// Adds `count` devices of a store and salt day that came in exactly some hours.
    pub(super) fn add_devices(&mut self, at: (Label, Day), presence: Presence, count: i64) {
        let devices = self.devices.entry(at).or_default();
        bump(&mut devices.now, &presence, count);
        if self.through.is_some() {
            bump(&mut devices.since, &presence, count);
        }
        if devices.now.is_empty() && devices.since.is_empty() {
            self.devices.remove(&at);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.hours.is_empty() && self.devices.is_empty()
    }

    /// The number of entries.
    pub(super) fn entries(&self) -> usize {
        let devices = self.devices.values();
        let devices = devices.map(|of| of.now.len() + of.since.len());
        self.hours.len() + devices.sum::<usize>()
    }

    /// The estimated bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let devices = self.devices.values().map(|of| {
            let hours = of.now.keys().chain(of.since.keys());
            let hours = hours.map(|(hours, _)| shared_bytes(hours));
            table_bytes(&of.now) + table_bytes(&of.since) + hours.sum::<usize>()
        });
        tree_bytes::<StoreHour, Field>(self.hours.len())
            + tree_bytes::<(Label, Day), Devices>(self.devices.len())
            + devices.sum::<usize>()
    }

    /// The stores and hours of the days up to one, as of now and as last published, in order.
    pub(super) fn parts(&self, through: Day) -> Vec<StoreHour> {
        let parts = self.hours.keys();
        parts
            .filter(|(_, hour)| hour.local_day() <= through)
            .copied()
            .collect()
    }

    /// The state now, or as last published, over some parts. `k` devices make a set safe.
    pub(super) fn moment<'a>(
        &'a self,
        parts: &'a [StoreHour],
        is_before: bool,
        k: u64,
    ) -> Moment<'a> {
        Moment {
            visits: self,
            parts,
            is_before,
            k,
        }
    }

    /// The month was published with all days up to one, or nothing of it is published.
    pub(super) fn publish(&mut self, through: Option<Day>) {
        let is_counted = |hour: &Hour| through.is_none_or(|through| hour.local_day() <= through);
        for (_, field) in self
            .hours
            .iter_mut()
            .filter(|((_, hour), _)| is_counted(hour))
        {
            (field.since, field.changed) = (Sums::default(), 0);
        }
        for devices in self.devices.values_mut() {
            devices.since = FxHashMap::default();
        }
        self.hours
            .retain(|_, field| field.sums != Sums::default() || field.changed != 0);
        self.devices.retain(|_, of| !of.now.is_empty());
        self.through = through;
    }

    /// What has changed since the last publication, if it counts all days up to one: the differences of the sums, and the
    /// contributors as in [`Aggregate::changed`].
    pub(super) fn changes(&self, through: Day) -> ([i64; 5], u128) {
        let (mut sums, mut changed) = ([0; 5], 0);
        for ((_, hour), field) in &self.hours {
            let day = hour.local_day();
            if day > through {
                continue;
            }
            let is_new = self.through.is_none_or(|before| before < day);
            let of = if is_new { field.sums } else { field.since };
            for (sum, value) in sums.iter_mut().zip(of) {
                *sum += value;
            }
            changed |= field.changed;
        }
        (sums, changed)
    }

    /// Calls `each` with every store.
    pub(super) fn each_store(&self, mut each: impl FnMut(Label)) {
        self.hours.keys().for_each(|(store, _)| each(*store));
    }
}

/// The visits of a month in one state.
pub(super) struct Moment<'a> {
    visits: &'a Visits,
    parts: &'a [StoreHour],
    is_before: bool,
    k: u64,
}

impl Moment<'_> {
    /// The sums of a part.
    fn sums(&self, part: u32) -> Sums {
        let at = self.parts.get(part as usize);
        let is_counted = |hour: &Hour| {
            let through = self.visits.through;
            !self.is_before || through.is_some_and(|through| hour.local_day() <= through)
        };
        let at = at.filter(|(_, hour)| is_counted(hour));
        let Some(field) = at.and_then(|at| self.visits.hours.get(at)) else {
            return Sums::default();
        };
        let mut sums = field.sums;
        if self.is_before {
            sums.iter_mut()
                .zip(field.since)
                .for_each(|(sum, since)| *sum -= since);
        }
        sums
    }

    /// The distinct devices, and those with random addresses, of some parts.
    fn devices(&self, parts: &[u32]) -> [i64; 2] {
        let mut most = [0; 2];
        let mut hours: BTreeSet<StoreHour> = BTreeSet::new();
        for part in parts {
            let sums = self.sums(*part);
            let [_, _, _, devices, random] = sums;
            most = [devices.max(most[0]), random.max(most[1])];
            if sums != Sums::default() {
                hours.extend(self.parts.get(*part as usize));
            }
        }
        if parts.len() <= 1 {
            return most;
        }
        // A salt day begins some hours after its day. Where a zone crosses the date line, that may move by a whole day.
        let days = hours.iter().flat_map(|(store, hour)| {
            let day = hour.local_day();
            let near = day.saturating_sub(2)..=day.saturating_add(2);
            near.map(|day| (*store, day))
        });
        let days: BTreeSet<(Label, Day)> = days.collect();
        let mut counts = [0; 2];
        for (store, day) in days {
            let Some(devices) = self.visits.devices.get(&(store, day)) else {
                continue;
            };
            let comes = |(in_hours, _): &Presence| {
                in_hours.iter().any(|hour| hours.contains(&(store, *hour)))
            };
            let mut add = |presence: &Presence, count: i64| {
                if comes(presence) {
                    counts[usize::from(presence.1)] += count;
                }
            };
            devices
                .now
                .iter()
                .for_each(|(presence, count)| add(presence, *count));
            if self.is_before {
                devices
                    .since
                    .iter()
                    .for_each(|(presence, count)| add(presence, -count));
            }
        }
        // Of days that an earlier version settled only the devices of each hour are known.
        [counts[0].max(most[0]), counts[1].max(most[1])]
    }

    /// Visits, passers-by, seconds of dwell, and the distinct devices of some parts.
    pub(super) fn values(&self, parts: &[u32]) -> Vec<i128> {
        let mut values = [0; 5];
        for part in parts {
            let [visits, passers_by, dwell, ..] = self.sums(*part);
            values[0] += i128::from(visits);
            values[1] += i128::from(passers_by);
            values[2] += i128::from(dwell);
        }
        let [devices, random] = self.devices(parts);
        (values[3], values[4]) = (devices.into(), random.into());
        values.into()
    }
}

impl Contributions for Moment<'_> {
    fn judge(&self, parts: &[u32]) -> Finding {
        let sums = parts.iter().map(|part| self.sums(*part));
        let mut is_empty = true;
        let mut is_safe = false;
        for sums in sums {
            is_empty &= sums == Sums::default();
            is_safe |= self.is_enough(self.contributing([sums[3], sums[4]]));
        }
        is_safe = is_safe || self.is_enough(self.contributing(self.devices(parts)));
        Finding {
            is_empty,
            is_safe: is_safe && !is_empty,
            is_publishable: is_safe && !is_empty,
        }
    }

    fn contributors(&self, parts: &[u32]) -> u64 {
        self.contributing(self.devices(parts)).unsigned_abs()
    }
}

impl Moment<'_> {
    /// The contributors among distinct devices and random addresses. One device may send under many addresses, so that they count
    /// only where nothing is hidden.
    fn contributing(&self, [devices, random]: [i64; 2]) -> i64 {
        match self.k {
            0 | 1 => devices + random,
            _ => devices,
        }
    }

    fn is_enough(&self, devices: i64) -> bool {
        u64::try_from(devices).is_ok_and(|devices| devices >= self.k)
    }
}
