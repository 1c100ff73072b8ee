//! Contributions: what the runs of a device add to the cells of its store and day, and the totals that settled days leave.
//!
//! The contribution of a device is a pure function of its runs, so a ping that changes the runs retracts the contribution
//! before and adds the one after. When a salt day settles, the sum of all contributions to an hour is stored as a
//! [`SettledHour`], and how many devices came in exactly which hours as [`SettledDevices`]. The conversion back yields the
//! same values and the same number of contributors, in any set of hours.

use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;

use crate::aggregate::{Aggregate, CellKey, TrafficMonth};
use crate::calendar::month;
use crate::cell::{Hour, Traffic};
use crate::delta_buffer::DeltaBuffer;
use crate::engine::Diff;
use crate::label::Label;
use crate::matching::{DeviceVisits, StoreDay};
use crate::record::{BrandId, Day, DeviceDay, SettledDevices, SettledHour, Token};
use crate::sessionize::runs::{Run, Runs};
use crate::settings::BrandSettings;

/// The contributions of devices to cells in one epoch, positive and negative. They are kept by device until the end of the epoch,
/// because a device that is displaced by a smaller token and counts again later in the epoch has not changed.
#[derive(Default)]
pub(super) struct Contributions {
    cells: Vec<(DeviceDay, CellKey, Aggregate)>,
    /// The visits that may be matched.
    visits: Vec<((StoreDay, DeviceVisits), Diff)>,
}

impl Contributions {
    /// Sums the contributions by device, in any order: a device that was displaced and counts again at the end of the
    /// epoch has not changed.
    pub(super) fn add_up(&mut self, deltas: &mut DeltaBuffer) {
        self.cells.sort_unstable_by_key(|(device, ..)| *device);
        for of_device in self.cells.chunk_by(|one, other| one.0 == other.0) {
            for (_, key, sums) in of_device {
                deltas.add(key.clone(), *sums, 1);
            }
            deltas.end_contributor();
        }
        self.cells = Vec::new();
    }

    /// Takes the changes of visits that may be matched.
    pub(super) fn take_visits(&mut self) -> Vec<((StoreDay, DeviceVisits), Diff)> {
        let mut visits = std::mem::take(&mut self.visits);
        consolidate(&mut visits);
        visits
    }
}

/// What the runs of a device add to each hour in which one begins: as a visit with its dwell if it is long enough and has two
/// strong seconds, else as a passer-by. A device with a random address counts as a device only, because the same device may
/// have several. The values are those of the family `visits`.
fn hours(is_random: bool, runs: &Runs, settings: &BrandSettings) -> Vec<(Hour, [i64; 5])> {
    let mut hours: Vec<(Hour, [i64; 5])> = Vec::new();
    for run in runs.iter() {
        let local = run.first + i64::from(run.utc_offset);
        let hour = Hour {
            start: run.first - local.rem_euclid(3600),
            utc_offset: run.utc_offset,
        };
        // A device counts once in an hour, however many of its runs begin there. Runs are in order, and so their hours.
        let counted = [0, 0, 0, i64::from(!is_random), i64::from(is_random)];
        if hours.last().is_none_or(|(last, _)| *last != hour) {
            hours.push((hour, counted));
        }
        let dwell = run.last - run.first;
        let is_visit = is_visit(run, settings);
        if let Some((_, [visits, passers_by, seconds, ..])) = hours.last_mut()
            && !is_random
        {
            *visits += i64::from(is_visit);
            *passers_by += i64::from(!is_visit);
            *seconds += if is_visit { dwell } else { 0 };
        }
    }
    hours
}

/// Adds `diff` times the contribution of a token to the cells of its store and day.
pub(super) fn contribute(
    device: &DeviceDay,
    is_random: bool,
    runs: &Runs,
    settings: &BrandSettings,
    diff: Diff,
    contributions: &mut Contributions,
) {
    let mut add = |key: CellKey, sums: Aggregate| {
        let mut changed = Aggregate::default();
        changed.add(&sums.changed_by(device.token.0 as u64), diff);
        contributions.cells.push((*device, key, changed));
    };
    let hours = hours(is_random, runs, settings);
    let (brand, store) = (device.brand, device.store);
    let contributors = i64::from(!is_random || settings.counts_random_addresses());
    for (hour, values) in &hours {
        let sums = Aggregate::of(&values.map(i128::from)).with_contributors(contributors);
        add(hour_key(brand, store, *hour, settings), sums);
    }
    if settings.has_ladder() {
        let at = (brand, store, device.salt_day);
        let hours: Vec<Hour> = hours.into_iter().map(|(hour, _)| hour).collect();
        for key in device_keys(at, &hours, is_random) {
            add(key, Aggregate::of(&[1]));
        }
    }
    if settings.counts_stays()
        && !is_random
        && let Some(visits) = visits(device.token, runs, settings)
    {
        let key = StoreDay {
            brand,
            store,
            salt_day: device.salt_day,
        };
        contributions.visits.push(((key, visits), diff));
    }
}

/// Whether a run is a visit.
fn is_visit(run: &Run, settings: &BrandSettings) -> bool {
    run.has_two_strong() && run.last - run.first >= settings.min_dwell
}

/// The visits of a token that may be matched, if there are any. A token without an offline cookie has that of its first 4 bytes.
fn visits(token: Token, runs: &Runs, settings: &BrandSettings) -> Option<DeviceVisits> {
    let visits = runs.iter().filter(|run| is_visit(run, settings));
    let visits: Vec<(i64, i64)> = visits.map(|run| (run.first, run.last)).collect();
    (!visits.is_empty()).then(|| DeviceVisits {
        cookie: runs.cookie().unwrap_or(token.0 as u32) as u16,
        visits: visits.into(),
    })
}

/// The key of an hour of a store.
fn hour_key(brand: BrandId, store: Label, hour: Hour, settings: &BrandSettings) -> CellKey {
    match settings.has_ladder() {
        false => CellKey::Visits { brand, store, hour },
        true => CellKey::StoreHour {
            group: month_of(brand, &hour),
            store,
            hour,
        },
    }
}

fn month_of(brand: BrandId, hour: &Hour) -> TrafficMonth {
    TrafficMonth {
        brand,
        month: month(hour.local_day()),
        traffic: Traffic::Visits,
    }
}

/// The keys of the devices that come in exactly some hours of a store and salt day: one for each month, because each counts
/// its own devices.
fn device_keys(
    (brand, store, salt_day): (BrandId, Label, Day),
    hours: &[Hour],
    is_random: bool,
) -> impl Iterator<Item = CellKey> {
    let months = hours.chunk_by(move |one, other| month_of(brand, one) == month_of(brand, other));
    months.filter_map(move |hours| {
        Some(CellKey::DeviceHours {
            group: month_of(brand, hours.first()?),
            store,
            salt_day,
            hours: hours.into(),
            is_random,
        })
    })
}

/// What the devices of a salt day leave behind: the totals of each hour, and how many devices came in exactly which hours.
#[derive(Default)]
pub(super) struct Totals {
    hours: BTreeMap<(Label, Hour), [i64; 5]>,
    devices: BTreeMap<(Label, Arc<[Hour]>), [i64; 2]>,
}

impl Totals {
    /// Adds the contribution of a token.
    pub(super) fn add(
        &mut self,
        store: Label,
        is_random: bool,
        runs: &Runs,
        settings: &BrandSettings,
    ) {
        let hours = hours(is_random, runs, settings);
        for (hour, values) in &hours {
            let sums = self.hours.entry((store, *hour)).or_default();
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum = sum.saturating_add(*value);
            }
        }
        let hours: Arc<[Hour]> = hours.into_iter().map(|(hour, _)| hour).collect();
        if hours.is_empty() {
            return;
        }
        let [devices, random] = self.devices.entry((store, hours)).or_default();
        *(if is_random { random } else { devices }) += 1;
    }

    /// The totals as they are stored.
    pub(super) fn settled(
        self,
        brand: BrandId,
        salt_day: Day,
    ) -> (Vec<SettledHour>, Vec<SettledDevices>) {
        let hours = self.hours.into_iter();
        let hours = hours.map(|((store, hour), values)| SettledHour {
            brand,
            store,
            hour: hour.start,
            utc_offset: hour.utc_offset,
            values,
        });
        let devices = self.devices.into_iter();
        let devices = devices.map(|((store, hours), [devices, random])| SettledDevices {
            brand,
            store,
            salt_day,
            hours: hours.iter().map(|of| (of.start, of.utc_offset)).collect(),
            devices,
            random,
        });
        (hours.collect(), devices.collect())
    }
}

/// Converts stored numbers of devices back into contributions, for a brand with a ladder.
pub(super) fn restored_devices(settled: &SettledDevices) -> Vec<(CellKey, Aggregate)> {
    let hours = settled.hours.iter();
    let hours = hours.map(|(start, utc_offset)| Hour {
        start: *start,
        utc_offset: *utc_offset,
    });
    let hours: Vec<Hour> = hours.collect();
    let at = (settled.brand, settled.store, settled.salt_day);
    let mut contributions = Vec::new();
    for (is_random, count) in [(false, settled.devices), (true, settled.random)] {
        let keys = device_keys(at, &hours, is_random);
        let count = Aggregate::of(&[count.into()]);
        contributions.extend(keys.map(|key| (key, count)));
    }
    contributions.retain(|(_, sums)| !sums.is_zero());
    contributions
}

/// Converts stored totals back into the contribution to a cell. Its contributors are the devices; their identities
/// are lost, so they count as that many distinct contributors.
pub(super) fn restored(settled: &SettledHour, settings: &BrandSettings) -> (CellKey, Aggregate) {
    let SettledHour {
        brand,
        store,
        hour,
        utc_offset,
        values,
    } = *settled;
    let [_, _, _, devices, random] = values;
    let changed = devices.saturating_add(random);
    let contributors = match settings.counts_random_addresses() {
        true => changed,
        false => devices,
    };
    let mut sums = Aggregate::of(&values.map(i128::from)).with_contributors(contributors);
    for stranger in 0..changed.clamp(0, 1024).unsigned_abs() {
        sums = sums.changed_by(stranger);
    }
    let hour = Hour {
        start: hour,
        utc_offset,
    };
    (hour_key(brand, store, hour, settings), sums)
}
