//! Matching: the stays of devices that partners have seen in a store, and the visits that the store's sensors have counted.
//!
//! Neither side knows the other's devices. They meet per store and salt day, by time and by the few bits of the offline cookie
//! that several devices share, so that a visit is given to stays in parts ([`visits`]). A stay with any part of a visit is a
//! conversion of kind `visit` for the person of its device; the family `visit_match` counts stays and their weights.
//!
//! The visits come from [`crate::sessionize`] as the visits of one token, without the token. When a salt day is closed they leave
//! as [`ClosedVisits`] to be stored, without any bond between two visits of one device, and stay here as they are; after a
//! restart they return as [`MatchIn::Closed`]. No weight changes by that, since the number of bits is stored with them.
//!
//! A stay beside the scan of a wallet pass of the same person in the same store is the visit that the till already counts. It weighs
//! nothing, in `visit_match` as in attribution, so that visits by scans and by stays add up to visits that are counted once. Nobody
//! knows persons here: [`crate::person`] takes such a stay out of the matched ones, and puts it back if the scan goes. It remains
//! a stay, with its candidates, and weighs on the stays that share them.
//!
//! A brand whose gate hides cells counts a stay from then on only that its day is settled: until then its weight follows the other
//! stays that share its visits, and one act would change the numbers of many persons.
//!
//! A worker that reads slower than another still accepts sightings of days that are over for the other one. Each says therefore
//! from which day on it accepts sightings ([`MatchIn::Accepts`]), and only days that are over for all of them are settled.
//!
//! Some days later the salt day is **settled** ([`settle`]): whoever settles it asks what remains of its stays, and enters the
//! answer as records and numbers in one epoch with [`MatchIn::Settled`], by which the visits go. The sightings are retracted in
//! the same epoch, and since a record makes the same conversion and the same sums as its stay did, no cell changes.

mod record;
mod settle;
mod stays;
mod visits;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use differential_dataflow::consolidation::consolidate;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey};
use crate::ask::{Question, Reply, RoutedQuestion};
use crate::current_settings::CurrentSettings;
use crate::delta_buffer::DeltaBuffer;
use crate::engine::{
    Diff, Epoch, KeyedOperator, KeyedState, QueryOperator, emit_consolidated, tree_bytes,
};
use crate::facts::Conversion;
use crate::label::Label;
use crate::record::{BrandId, ClosedVisits, Day, Pseudonym};
use crate::stats::Stats;
pub use record::{DeviceVisits, MatchIn, Sighting, SightingUpdate, StoreDay};
pub(crate) use settle::{Matched, device_of, settled};
pub use settle::{device_ids, unmatched_sums};
use visits::{Changes, DayState};

/// The number of visits in one [`ClosedVisits`].
const VISITS_PER_EVENT: usize = 256;

/// The output of [`Matching`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MatchOut {
    /// A stay that is matched, as a conversion of the person of a device.
    Stay(BrandId, Pseudonym, Conversion),
    /// To the cells.
    Sum(CellKey, Aggregate),
    /// Visits of a day that is closed in this epoch.
    Closed(ClosedVisits),
    /// On this worker: see [`MatchIn::Erase`].
    Erase(BrandId, Day),
}

/// The operator. State: the visits and stays of every store and salt day.
pub struct Matching {
    settings: CurrentSettings,
    stats: Rc<Stats>,
    days: KeyedState<StoreDay, DayState>,
    /// The keys of `days` by brand and salt day, so that settling looks at the days that it settles alone.
    stores: BTreeMap<(BrandId, Day), BTreeSet<Label>>,
    /// For each brand, the first salt day that is not settled.
    settled: BTreeMap<BrandId, Day>,
    /// For each brand and worker, the first salt day of which the worker accepts sightings.
    accepted: BTreeMap<BrandId, BTreeMap<u64, Day>>,
    /// The number of workers.
    peers: u64,
    deltas: DeltaBuffer,
}

impl Matching {
    /// An operator without visits and stays.
    pub fn new(settings: CurrentSettings, stats: Rc<Stats>, peers: u64) -> Matching {
        Matching {
            settings,
            stats,
            days: KeyedState::default(),
            stores: BTreeMap::new(),
            settled: BTreeMap::new(),
            accepted: BTreeMap::new(),
            peers,
            deltas: DeltaBuffer::default(),
        }
    }

    /// Whether a salt day is settled.
    fn is_settled(&self, key: StoreDay) -> bool {
        let before = self.settled.get(&key.brand);
        before.is_some_and(|before| key.salt_day < *before)
    }

    /// The first salt day of which any worker still accepts sightings; `None` before all have said theirs.
    fn accepted(&self, brand: BrandId) -> Option<Day> {
        let of_brand = self.accepted.get(&brand)?;
        let all = of_brand.len() as u64 == self.peers;
        of_brand.values().min().copied().filter(|_| all)
    }

    /// The stores and salt days of a brand before a day, of which there is a state and which are not settled.
    fn unsettled(&self, brand: BrandId, before: Day) -> impl Iterator<Item = StoreDay> {
        let settled = self.settled.get(&brand).copied().unwrap_or(Day::MIN);
        let days = self
            .stores
            .range((brand, settled)..(brand, before.max(settled)));
        days.flat_map(move |((_, salt_day), stores)| {
            stores.iter().map(move |store| StoreDay {
                brand,
                store: *store,
                salt_day: *salt_day,
            })
        })
    }

    /// Changes the state of a store and salt day, and keeps `stores` in step.
    fn amend<T>(&mut self, key: StoreDay, change: impl FnOnce(&mut DayState) -> T) -> T {
        let result = self.days.amend(key, change);
        let day = (key.brand, key.salt_day);
        if self.days.get(&key).is_some() {
            self.stores.entry(day).or_default().insert(key.store);
        } else if let Some(stores) = self.stores.get_mut(&day) {
            stores.remove(&key.store);
            if stores.is_empty() {
                self.stores.remove(&day);
            }
        }
        result
    }

    /// Applies the changes of one store and salt day.
    fn change(
        &mut self,
        key: StoreDay,
        updates: &[(MatchIn, Diff)],
        out: &mut Vec<(MatchOut, Diff)>,
    ) {
        let all = self.settings.now();
        let Some(settings) = all.brands.get(&key.brand) else {
            return;
        };
        let counts = settings.counts_open_stays();
        let is_settled = self.is_settled(key);
        let (mut changes, mut closes) = (Changes::default(), false);
        for (update, diff) in updates {
            match update {
                MatchIn::Visits(_, of) => changes.devices.push((of.clone(), *diff)),
                MatchIn::Closed(_) if is_settled => {}
                MatchIn::Closed(of) => changes.closed.push((of.clone(), *diff)),
                MatchIn::Close(_) => closes = true,
                MatchIn::Settled(..) | MatchIn::Erase(..) | MatchIn::Accepts { .. } => {}
                MatchIn::Sighting(update) => {
                    let of_device = changes.sightings.entry(update.device).or_default();
                    of_device.push((update.sighting.clone(), *diff));
                }
            }
        }
        let mut deltas = std::mem::take(&mut self.deltas);
        let steps = self.amend(key, |day| {
            let steps = emit_consolidated(out, |out| {
                day.amend(changes, settings, |device, stay, outcome, diff| {
                    if !counts {
                        return;
                    }
                    let matched = Matched {
                        device,
                        store: key.store,
                        until: stay.last.saturating_mul(1000),
                        candidates: outcome.candidates,
                        weight: outcome.weight,
                    };
                    let ts = stay.first.saturating_mul(1000);
                    let (_, id, source) = &stay.lead;
                    let day = settings.utc_offsets.day(ts);
                    let (cell, sums) = matched.sums(key.brand, day);
                    deltas.add(cell, sums, diff);
                    if outcome.weight > 0 {
                        let conversion = matched.conversion(ts, day, id, *source);
                        out.push((MatchOut::Stay(key.brand, device, conversion), diff));
                    }
                })
            });
            if closes {
                let (bits, visits) = day.close();
                // A day that is settled before it is closed leaves no visits.
                let visits = if is_settled { Vec::new() } else { visits };
                for visits in visits.chunks(VISITS_PER_EVENT) {
                    let closed = ClosedVisits {
                        brand: key.brand,
                        store: key.store,
                        salt_day: key.salt_day,
                        bits: bits as u8,
                        visits: visits.to_vec(),
                    };
                    out.push((MatchOut::Closed(closed), 1));
                }
            }
            if is_settled {
                day.drop_visits();
            }
            steps
        });
        self.deltas = deltas;
        self.stats.steps(steps + updates.len() as u64);
        self.deltas.end_contributor();
    }
}

impl KeyedOperator for Matching {
    type In = MatchIn;
    type Out = MatchOut;
    const NAME: &'static str = "Matching";

    /// By store and salt day.
    fn route(update: &MatchIn) -> u64 {
        match update {
            MatchIn::Settled(target, ..)
            | MatchIn::Erase(target, ..)
            | MatchIn::Accepts { target, .. } => *target,
            update => update.key().map_or(0, |key| key.route()),
        }
    }

    fn entries(&self) -> usize {
        self.days.iter().map(|(_, day)| day.entries()).sum()
    }

    fn bytes(&self) -> usize {
        let stores: usize = self.stores.values().map(BTreeSet::len).sum();
        self.days.bytes(DayState::heap_bytes)
            + tree_bytes::<(BrandId, Day), BTreeSet<Label>>(self.stores.len())
            + tree_bytes::<Label, ()>(stores)
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        mut updates: Vec<(MatchIn, Diff)>,
        out: &mut Vec<(MatchOut, Diff)>,
    ) {
        self.settings.take_change();
        consolidate(&mut updates);
        updates.sort_by_cached_key(|(update, _)| update.key());
        let mut settled = Vec::new();
        for (update, _) in &updates {
            match update {
                MatchIn::Settled(_, brand, before) => {
                    settled.extend(self.unsettled(*brand, *before));
                    let mark = self.settled.entry(*brand).or_insert(*before);
                    *mark = (*mark).max(*before);
                }
                MatchIn::Erase(_, brand, before) => {
                    out.push((MatchOut::Erase(*brand, *before), 1));
                }
                MatchIn::Accepts {
                    from, brand, since, ..
                } => {
                    let of_brand = self.accepted.entry(*brand).or_default();
                    let day = of_brand.entry(*from).or_insert(*since);
                    *day = (*day).max(*since);
                }
                _ => {}
            }
        }
        for updates in updates.chunk_by(|a, b| a.0.key() == b.0.key()) {
            if let Some(key) = updates.first().and_then(|(update, _)| update.key()) {
                self.change(key, updates, out);
            }
        }
        // Their sightings go in this epoch, or were retracted; a day that is not closed drops its visits when it is.
        for key in settled {
            self.amend(key, DayState::drop_visits);
        }
        self.deltas.drain_into(MatchOut::Sum, out);
    }
}

impl QueryOperator for Matching {
    type Question = Question;
    type Reply = Reply;

    /// Answers [`Question::Settle`] and [`Question::AcceptedSightings`].
    fn answer(&mut self, query: RoutedQuestion, replies: &mut Vec<Reply>) {
        let (brand, before) = match query.question {
            Question::Settle { brand, before } => (brand, before),
            Question::AcceptedSightings { brand } => {
                replies.extend(self.accepted(brand).map(Reply::AcceptedSightings));
                return;
            }
            _ => return,
        };
        let Some(settings) = self.settings.brands.get(&brand) else {
            return;
        };
        for key in self.unsettled(brand, before) {
            if let Some(day) = self.days.get(&key) {
                settle::remains(key, day, settings, replies);
            }
        }
    }
}
