//! Contributions: what the runs of a device add to the cells of its store and day, and the totals that settled days leave.
//!
//! The contribution of a device is a pure function of its runs, so a ping that changes the runs retracts the contribution
//! before and adds the one after. When a salt day settles, the sum of all contributions to an hour is stored as a
//! [`SettledHour`], and the conversion back yields the same values and the same number of contributors.

use crate::aggregate::{Aggregate, CellKey};
use crate::cell::Hour;
use crate::delta_buffer::DeltaBuffer;
use crate::engine::Diff;
use crate::record::{DeviceDay, SettledHour};
use crate::sessionize::runs::Runs;
use crate::settings::BrandSettings;

/// The contributions of devices to cells in one epoch, positive and negative. They are kept by device until the end of the epoch,
/// because a device that is displaced by a smaller token and counts again later in the epoch has not changed.
#[derive(Default)]
pub(super) struct Contributions(Vec<(DeviceDay, CellKey, Aggregate)>);

impl Contributions {
    /// Sums the contributions by device, in any order: a device that was displaced and counts again at the end of the
    /// epoch has not changed.
    pub(super) fn add_up(&mut self, deltas: &mut DeltaBuffer) {
        self.0.sort_unstable_by_key(|(device, ..)| *device);
        for of_device in self.0.chunk_by(|one, other| one.0 == other.0) {
            for (_, key, sums) in of_device {
                deltas.add(key.clone(), *sums, 1);
            }
            deltas.end_contributor();
        }
        self.0 = Vec::new();
    }
}

/// Adds `diff` times the contribution of a token to the cells of its store and day. A run counts in the hour in which it begins:
/// as a visit with its dwell if it is long enough and has two strong seconds, else as a passer-by. A device with a random
/// address counts as a device only, because the same device may have several.
pub(super) fn contribute(
    device: &DeviceDay,
    is_random: bool,
    runs: &Runs,
    settings: &BrandSettings,
    diff: Diff,
    contributions: &mut Contributions,
) {
    let mut add = |key: &CellKey, sums: Aggregate| {
        let mut changed = Aggregate::default();
        changed.add(&sums.changed_by(device.token.0 as u64), diff);
        contributions.0.push((*device, key.clone(), changed));
    };
    let mut counted_in = None;
    for run in runs.iter() {
        let local = run.first + i64::from(run.utc_offset);
        let hour = run.first - local.rem_euclid(3600);
        let key = CellKey::Visits {
            brand: device.brand,
            store: device.store,
            hour: Hour {
                start: hour,
                utc_offset: run.utc_offset,
            },
        };
        if !is_random {
            let dwell = run.last - run.first;
            let sums = if run.has_two_strong() && dwell >= settings.min_dwell {
                Aggregate::of(&[1, 0, dwell.into()])
            } else {
                Aggregate::of(&[0, 1])
            };
            add(&key, sums);
        }
        // A device counts once in an hour, however many of its runs begin there. Runs are in order, and so their hours.
        if counted_in.as_ref() != Some(&key) {
            let counted = if is_random {
                [0, 0, 0, 0, 1]
            } else {
                [0, 0, 0, 1, 0]
            };
            add(&key, Aggregate::of(&counted).with_contributors(1));
            counted_in = Some(key);
        }
    }
}

/// Converts the contribution to a cell into the stored totals.
pub(super) fn settled(key: &CellKey, sums: &Aggregate) -> Option<SettledHour> {
    let CellKey::Visits { brand, store, hour } = key else {
        return None;
    };
    let values = sums.values;
    Some(SettledHour {
        brand: *brand,
        store: *store,
        hour: hour.start,
        utc_offset: hour.utc_offset,
        values: values.map(|value| i64::try_from(value).unwrap_or(i64::MAX)),
    })
}

/// Converts stored totals back into the contribution to a cell. Its contributors are the devices; their identities
/// are lost, so they count as that many distinct contributors.
pub(super) fn restored(settled: &SettledHour) -> (CellKey, Aggregate) {
    let SettledHour {
        brand,
        store,
        hour,
        utc_offset,
        values,
    } = *settled;
    let [_, _, _, devices, random] = values;
    let contributors = devices.saturating_add(random);
    let mut sums = Aggregate::of(&values.map(i128::from)).with_contributors(contributors);
    for stranger in 0..contributors.clamp(0, 1024).unsigned_abs() {
        sums = sums.changed_by(stranger);
    }
    let hour = Hour {
        start: hour,
        utc_offset,
    };
    let key = CellKey::Visits { brand, store, hour };
    (key, sums)
}
