//! Settling: the totals of closed salt days on their way to the ledger.
//!
//! The first worker of the cluster receives the totals of all workers. When the
//! epoch in which days closed is finished everywhere, the totals go to the
//! ledger of that worker's process in one write batch, so that a single commit
//! settles the days. No process drops a ping before that commit is durable.
//! FORMAT.md of the ledger, section *Closing salt days*, lists what a crash
//! leaves at each step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, TryRecvError};

use tributary_ledger::WriteBatch;
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{BrandId, ClosedVisits, Day, SettledDevices, SettledHour};

/// Devices by brand, store and salt day that came in exactly some hours, each given by the Unix second of its beginning and
/// the UTC offset (seconds).
type DevicesOfHours = (BrandId, Label, Day, Vec<(i64, i32)>);

/// The salt days that were settled in one epoch.
#[derive(Default)]
pub(super) struct Settled {
    /// Totals by brand, store, hour (Unix seconds of its beginning) and UTC offset
    /// (seconds): visits, passers-by, seconds of dwell, devices, devices with a
    /// random address.
    hours: BTreeMap<(BrandId, Label, i64, i32), [i64; 5]>,
    /// Numbers of devices: those with a fixed address, those with a random one.
    devices: BTreeMap<DevicesOfHours, [i64; 2]>,
    /// Visits without tokens, for brands with partners.
    visits: Vec<ClosedVisits>,
    /// The settled days, for the counters.
    days: BTreeSet<(BrandId, Day)>,
    /// For each brand, the first day that is still open.
    closed: BTreeMap<BrandId, Day>,
}

impl Settled {
    /// Number of settled days by brand.
    pub fn days(&self) -> BTreeMap<BrandId, u64> {
        let mut days = BTreeMap::new();
        for (brand, _) in &self.days {
            *days.entry(*brand).or_default() += 1;
        }
        days
    }

    /// The write batch: one entry per store and hour, one per store and set of hours,
    /// the visits without tokens, then one entry per brand with the first day that is still open.
    pub fn page(&self) -> WriteBatch {
        let mut page = WriteBatch::default();
        for ((brand, store, hour, utc_offset), values) in &self.hours {
            let settled = SettledHour {
                brand: *brand,
                store: *store,
                hour: *hour,
                utc_offset: *utc_offset,
                values: *values,
            };
            page.push(*brand, &Event::SettledHour { settled });
        }
        for ((brand, store, salt_day, hours), [devices, random]) in &self.devices {
            let settled = SettledDevices {
                brand: *brand,
                store: *store,
                salt_day: *salt_day,
                hours: hours.clone(),
                devices: *devices,
                random: *random,
            };
            page.push(*brand, &Event::SettledDevices { settled });
        }
        for visits in &self.visits {
            let (brand, visits) = (visits.brand, visits.clone());
            page.push(brand, &Event::ClosedVisits { visits });
        }
        for (brand, before) in &self.closed {
            let (brand, before) = (*brand, *before);
            page.push(brand, &Event::SaltDaysClosed { brand, before });
        }
        page
    }
}

/// Settled days that are not durable yet.
#[derive(Default)]
pub(super) struct Settling {
    /// Days of epochs that the cluster has not finished.
    open: BTreeMap<Epoch, Settled>,
    /// Days that were sent to the ledger, each with the channel on which the commit
    /// is confirmed.
    waiting: Vec<(Receiver<()>, Days)>,
}

/// For each brand, the first day that is still open.
type Days = Vec<(BrandId, Day)>;

impl Settling {
    /// Adds one worker's part of the totals of an hour.
    pub fn add(&mut self, epoch: Epoch, day: Day, part: SettledHour) {
        let settled = self.open.entry(epoch).or_default();
        settled.days.insert((part.brand, day));
        let key = (part.brand, part.store, part.hour, part.utc_offset);
        let values = settled.hours.entry(key).or_default();
        for (sum, value) in values.iter_mut().zip(part.values) {
            *sum = sum.saturating_add(value);
        }
    }

    /// Adds one worker's part of the devices that came in exactly some hours.
    pub fn add_devices(&mut self, epoch: Epoch, part: SettledDevices) {
        let settled = self.open.entry(epoch).or_default();
        let key = (part.brand, part.store, part.salt_day, part.hours);
        let [devices, random] = settled.devices.entry(key).or_default();
        *devices = devices.saturating_add(part.devices);
        *random = random.saturating_add(part.random);
    }

    /// Adds visits of a day.
    pub fn add_visits(&mut self, epoch: Epoch, visits: ClosedVisits) {
        self.open.entry(epoch).or_default().visits.push(visits);
    }

    /// Records that all days of a brand before `before` were settled in `epoch`.
    pub fn close(&mut self, epoch: Epoch, brand: BrandId, before: Day) {
        let settled = self.open.entry(epoch).or_default();
        let closed = settled.closed.entry(brand).or_insert(before);
        *closed = (*closed).max(before);
    }

    /// Removes and returns what was settled in epochs below `before`, all of which
    /// the cluster has finished.
    pub fn take(&mut self, before: Epoch) -> Vec<Settled> {
        let done = self.open.extract_if(..before, |_, _| true);
        done.map(|(_, settled)| settled).collect()
    }

    /// Keeps `settled` until `durable` confirms its commit.
    pub fn wait(&mut self, durable: Receiver<()>, settled: Settled) {
        let closed = settled.closed.into_iter().collect();
        self.waiting.push((durable, closed));
    }

    /// The days that have become durable since the last call. A disconnected
    /// channel means that the process is stopping; the next start reads from the
    /// ledger what is durable.
    pub fn durable(&mut self) -> Days {
        let mut durable = Vec::new();
        self.waiting
            .retain_mut(|(done, days)| match done.try_recv() {
                Ok(()) => {
                    durable.append(days);
                    false
                }
                Err(TryRecvError::Empty) => true,
                // The process stops: what is durable is known again after the next start.
                Err(TryRecvError::Disconnected) => false,
            });
        durable
    }
}
