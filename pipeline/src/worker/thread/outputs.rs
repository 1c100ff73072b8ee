//! Reports of a worker thread: outputs of the dataflow, finished epochs, and
//! the end of salt days.
//!
//! The order of the reports is part of the contract with the router. Cells of
//! an epoch are reported before the epoch is reported as finished, and a
//! settled day is reported only after its totals are durable.

use std::collections::BTreeMap;
use std::sync::mpsc::{TryRecvError, channel};
use std::time::Instant;

use tributary_operators::cell::Cell;
use tributary_operators::cells::Standing;
use tributary_operators::dataflow::Output;
use tributary_operators::engine::Epoch;
use tributary_operators::record::{BrandId, Day};

use super::{Ahead, WorkerThread};
use crate::epochs::batch::Report;

impl WorkerThread {
    /// Reports the outputs since the last call, and the last epoch that the whole
    /// cluster has finished.
    pub(super) fn report(&mut self) {
        let mut finished = None;
        let mut traced = Vec::new();
        while let Some(Ahead {
            before,
            begun,
            times,
            ..
        }) = self.ahead.front()
        {
            let before = *before;
            if !self.intake.dataflow.is_done_before(before) {
                break;
            }
            self.times.finished(*begun);
            traced.extend(*times);
            self.ahead.pop_front();
            finished = Some(before);
        }
        let outputs = std::mem::take(&mut *self.outputs.borrow_mut());
        let mut cells: BTreeMap<Epoch, Vec<(Cell, bool, i64, Standing)>> = BTreeMap::new();
        let mut expired = Vec::new();
        for (epoch, output) in outputs {
            match output {
                // Every thread hears of it, and one of them tells the ledger.
                Output::Expired(record) if self.thread == 0 => expired.push(record),
                Output::Expired(_) => {}
                Output::EraseSightings(brand, before) if self.thread == 0 => {
                    (self.listener)(Report::EraseSightings(brand, before));
                }
                Output::EraseSightings(..) => {}
                Output::Cell {
                    cell,
                    is_new,
                    released,
                    standing,
                } => cells
                    .entry(epoch)
                    .or_default()
                    .push((cell, is_new, released, standing)),
                Output::Answer(answer) => (self.listener)(Report::Answer(answer)),
                Output::Unused(brand, label) => drop(self.unused.insert((brand, label), epoch)),
                Output::SettledHour(day, settled) => self.settling.add(epoch, day, settled),
                Output::SettledDevices(settled) => self.settling.add_devices(epoch, settled),
                Output::ClosedVisits(visits) => self.settling.add_visits(epoch, visits),
                Output::SaltDaysClosed(brand, before) => self.settling.close(epoch, brand, before),
            }
        }
        for (epoch, cells) in cells {
            let ahead = self.ahead.iter_mut();
            let ahead = ahead.filter_map(|ahead| ahead.times.as_mut());
            let mut traced = traced.iter_mut().chain(ahead);
            if let Some(times) = traced.find(|times| times.epoch == epoch) {
                times.cells += cells.len() as u64;
                times.released = Some(Instant::now());
            }
            (self.listener)(Report::Cells(epoch, cells));
        }
        if !expired.is_empty() {
            (self.listener)(Report::Expired(expired));
        }
        self.settle(finished);
        self.close_secured_days();
        let (forgotten, settled) = {
            let mut salt_cache = self.intake.dataflow.salt_cache();
            // How many pings a day has here is known once all blocks are open; another thread may be ahead.
            let settled = match self.is_restored {
                true => salt_cache.take_settled(),
                false => Vec::new(),
            };
            (salt_cache.take_forgotten(), settled)
        };
        for (brand, before) in forgotten {
            let sealed = &mut self.intake.sealed;
            sealed.retain(|(of, day)| *of != brand || *day >= before);
            (self.listener)(Report::SaltsDestroyed(brand, before));
        }
        for (brand, before) in settled {
            let is_settled =
                |(of, day): &(BrandId, Day), _: &mut u64| *of == brand && *day < before;
            let pings = self.intake.pings.extract_if(.., is_settled);
            let pings = pings.map(|(_, pings)| pings).sum();
            *self.intake.counts.settled_pings.entry(brand).or_default() += pings;
            (self.listener)(Report::Settled {
                brand,
                before,
                pings,
            });
        }
        if let Some(before) = finished {
            self.intake.counts.stages = self.intake.dataflow.stats.snapshot();
            self.intake.counts.consents = self.intake.dataflow.stats.published_consents();
            let counts = self.intake.counts.clone();
            let now = Instant::now();
            traced.iter_mut().for_each(|times| times.finished = now);
            (self.listener)(Report::Finished {
                thread: self.thread,
                before,
                counts: Box::new(counts),
                times: traced,
            });
            self.report_profile(false);
        }
    }

    /// Reports the profile of the thread, if a second has passed since the last
    /// time, or `always`.
    pub(super) fn report_profile(&mut self, always: bool) {
        let sizes = &self.intake.dataflow.sizes;
        if let Some(profile) = self.times.report(sizes, always) {
            let thread = self.thread;
            (self.listener)(Report::Profile { thread, profile });
        }
    }

    /// Closes the salt days that are over, and without which no standby can take over.
    fn close_secured_days(&mut self) {
        let dataflow = &mut self.intake.dataflow;
        self.closing
            .retain(|(secured, brand, before)| match secured.try_recv() {
                Ok(()) => {
                    dataflow.close_salt_days(*brand, *before);
                    false
                }
                Err(TryRecvError::Empty) => true,
                // The process stops, and the next one closes them.
                Err(TryRecvError::Disconnected) => false,
            });
    }

    /// Sends the totals of salt days that the whole cluster has settled to the
    /// ledger, and tells the dataflow of those that have become durable.
    ///
    /// `finished` is the frontier below which every epoch is finished, if it has
    /// advanced.
    fn settle(&mut self, finished: Option<Epoch>) {
        for settled in finished.map_or_else(Vec::new, |before| self.settling.take(before)) {
            for (brand, days) in settled.days() {
                *self.intake.counts.settled_days.entry(brand).or_default() += days;
            }
            let (done, durable) = channel();
            let page = settled.page();
            self.settling.wait(durable, settled);
            (self.listener)(Report::Settle { page, done });
        }
        for (brand, before) in self.settling.durable() {
            self.intake.dataflow.confirm_settled(brand, before);
        }
    }
}
