//! Settling: what the salt days that closed amount to, on its way to the ledger.
//!
//! The first worker of the cluster hears the sums of all workers. When the epoch in which days settled is finished
//! everywhere, the sums go to the ledger of its process in one page, so that one commit makes these days settled. Not
//! before that commit is durable does anybody drop a ping.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, TryRecvError};

use tributary_ledger::WriteBatch;
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{BrandId, Day, SettledHour};

/// The days that settled in one epoch.
#[derive(Default)]
pub(super) struct Settled {
    hours: BTreeMap<(BrandId, Label, i64, i32), [i64; 5]>,
    days: BTreeSet<(BrandId, Day)>,
    closed: BTreeMap<BrandId, Day>,
}

impl Settled {
    /// How many days of each brand have settled.
    pub fn days(&self) -> BTreeMap<BrandId, u64> {
        let mut days = BTreeMap::new();
        for (brand, _) in &self.days {
            *days.entry(*brand).or_default() += 1;
        }
        days
    }

    /// The sums as they are kept, and up to where days are settled.
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
        for (brand, before) in &self.closed {
            let (brand, before) = (*brand, *before);
            page.push(brand, &Event::SaltDaysClosed { brand, before });
        }
        page
    }
}

/// What settles, and what waits to be durable.
#[derive(Default)]
pub(super) struct Settling {
    open: BTreeMap<Epoch, Settled>,
    waiting: Vec<(Receiver<()>, Days)>,
}

/// Of each brand, up to where its days are.
type Days = Vec<(BrandId, Day)>;

impl Settling {
    /// Takes a worker's part of an hour.
    pub fn add(&mut self, epoch: Epoch, day: Day, part: SettledHour) {
        let settled = self.open.entry(epoch).or_default();
        settled.days.insert((part.brand, day));
        let key = (part.brand, part.store, part.hour, part.utc_offset);
        let values = settled.hours.entry(key).or_default();
        for (sum, value) in values.iter_mut().zip(part.values) {
            *sum = sum.saturating_add(value);
        }
    }

    /// All days of a brand before one have settled.
    pub fn close(&mut self, epoch: Epoch, brand: BrandId, before: Day) {
        let settled = self.open.entry(epoch).or_default();
        let closed = settled.closed.entry(brand).or_insert(before);
        *closed = (*closed).max(before);
    }

    /// What settled before an epoch, all of which are finished.
    pub fn take(&mut self, before: Epoch) -> Vec<Settled> {
        let done = self.open.extract_if(..before, |_, _| true);
        done.map(|(_, settled)| settled).collect()
    }

    /// Waits until days are durable.
    pub fn wait(&mut self, durable: Receiver<()>, settled: Settled) {
        let closed = settled.closed.into_iter().collect();
        self.waiting.push((durable, closed));
    }

    /// The days that have become durable since the last call.
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
