//! Sessionize: sensor pings become runs, visits and passers-by.
//!
//! A device is known by its token (see [`crate::salt`]): it has unrelated tokens in two stores or on two days, and once the
//! salt is deleted nobody can identify it. Of the pings of a token the operator stores only the runs that they form
//! ([`runs`]). That is exact, because pings are never retracted one by one, only by device and salt day. So memory grows
//! with the devices of the open days, not with their pings. Of a store and day at most `max_devices` devices count, and as
//! many with random addresses ([`tokens`]).
//!
//! A salt day is **closed** when all workers have finished it. In that epoch it settles: its tokens become totals per store
//! and hour, which leave the operator to be stored, and the tokens are dropped. The cells already include the contribution
//! of the tokens, so no cell changes. After a restart the totals return as [`SessionizeIn::Settled`], and
//! [`SessionizeIn::Closed`] removes the pings that the ledger may still hold: in whatever order the three arrive, each ping
//! counts exactly once.

mod runs;
mod tokens;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey, DeltaBuffer};
use crate::ask::{Answer, Question, Reply, RoutedQuestion};
use crate::cell::Hour;
use crate::engine::{Diff, Epoch, KeyedOperator};
use crate::label::Label;
use crate::label_uses::LabelUses;
use crate::record::{BrandId, Day, DeviceDay, SettledHour, TokenizedPing};
use crate::salt::SaltCache;
use crate::settings::{BrandSettings, Settings};
use crate::stats::Stats;
use runs::Sighting;
use tokens::{Bounds, Tokens, Turn};

pub use runs::{MAX_GAP, Runs};
pub use tokens::{PARTS, part};

/// The contributions of devices to cells in one epoch, positive and negative.
#[derive(Default)]
struct Contributions(Vec<(DeviceDay, CellKey, Aggregate)>);

impl Contributions {
    /// Sums the contributions by device, in any order: a device that was displaced and counts again at the end of the
    /// epoch has not changed.
    fn add_up(&mut self, deltas: &mut DeltaBuffer) {
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

/// Adds `diff` times the contribution of a token to the cells of its store and day.
fn contribute(
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

/// The input of [`Sessionize`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SessionizeIn {
    /// A ping of a token.
    Ping(TokenizedPing),
    /// Retracts the pings of a device on a salt day that entered before this epoch.
    Drop(DeviceDay),
    /// Aggregate of a day that was settled before a restart.
    Settled(SettledHour),
    /// To worker `target`: worker `from` has finished the salt days of a brand before `before`.
    Over {
        /// The receiving worker.
        target: u64,
        /// The sending worker.
        from: u64,
        /// The brand.
        brand: BrandId,
        /// The first day with pings to come.
        before: Day,
    },
    /// To a worker: the salt days of a brand before the given one settled before a restart.
    Closed(u64, BrandId, Day),
    /// A question for the store days of devices.
    Ask(RoutedQuestion),
}

/// The output of [`Sessionize`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SessionizeOut {
    /// A change of a cell.
    Sum(CellKey, Aggregate),
    /// An open day or a settled total uses a store label of a brand.
    Used(BrandId, Label),
    /// A part of an answer.
    Answer(Answer),
    /// This worker's part of the totals of a salt day in one hour of a store.
    Settled(Day, SettledHour),
    /// This worker has settled all of a brand's salt days before the given one.
    Closed(BrandId, Day),
}

/// The tokens of one store and day: those of fixed addresses, then those of random ones.
type Store = [Tokens; 2];

/// The operator. State: the runs of every token of the open days.
pub struct Sessionize {
    settings: Arc<Settings>,
    stats: Rc<Stats>,
    salt_cache: Rc<RefCell<SaltCache>>,
    peers: u64,
    days: BTreeMap<(BrandId, Day), FxHashMap<Label, Store>>,
    /// The first unfinished day of each brand on each worker.
    over: FxHashMap<BrandId, FxHashMap<u64, Day>>,
    /// The first open salt day of each brand.
    closed: FxHashMap<BrandId, Day>,
    /// The stores of open days and of settled totals.
    uses: LabelUses,
    contributions: Contributions,
    deltas: DeltaBuffer,
}

impl Sessionize {
    /// An operator without pings, on one of `peers` workers. The salts in the cache identify the devices of a
    /// question.
    pub fn new(
        settings: Arc<Settings>,
        stats: Rc<Stats>,
        salt_cache: Rc<RefCell<SaltCache>>,
        peers: u64,
    ) -> Sessionize {
        Sessionize {
            settings,
            stats,
            salt_cache,
            peers,
            days: BTreeMap::new(),
            over: FxHashMap::default(),
            closed: FxHashMap::default(),
            uses: LabelUses::default(),
            contributions: Contributions::default(),
            deltas: DeltaBuffer::default(),
        }
    }

    fn is_closed(&self, brand: BrandId, day: Day) -> bool {
        self.closed.get(&brand).is_some_and(|before| day < *before)
    }

    /// Adds the pings of one device and day.
    fn add_sightings(&mut self, device: DeviceDay, is_random: bool, sightings: Vec<Sighting>) {
        let DeviceDay {
            brand,
            store,
            salt_day,
            token,
        } = device;
        let settings = self.settings.brands.get(&brand);
        let Some(settings) = settings.filter(|_| !self.is_closed(brand, salt_day)) else {
            return;
        };
        let bounds = Bounds::of(settings.max_devices);
        let contributions = &mut self.contributions;
        let day = self.days.entry((brand, salt_day)).or_default();
        let [devices, random] = day.entry(store).or_insert_with(|| {
            self.uses.add(brand, store, 1);
            Store::default()
        });
        let tokens = if is_random { random } else { devices };
        if !tokens.holds(token) {
            match tokens.enter(token, bounds) {
                Turn::Refused => return,
                Turn::Nothing => {}
                Turn::Of(token) => {
                    let other = DeviceDay { token, ..device };
                    if let Some(runs) = tokens.runs(token) {
                        contribute(&other, is_random, runs, settings, -1, contributions);
                    }
                }
            }
        }
        let counts = tokens.counts(token);
        let Some(runs) = tokens.runs_mut(token) else {
            return;
        };
        let mut new = sightings.into_iter().filter(|one| !runs.holds(one));
        let Some(first) = new.next() else {
            return;
        };
        let new: Vec<Sighting> = std::iter::once(first).chain(new).collect();
        if counts {
            contribute(&device, is_random, runs, settings, -1, contributions);
        }
        new.iter().for_each(|one| runs.add(one));
        runs.leave_out_fixture(settings.max_presence);
        if counts {
            contribute(&device, is_random, runs, settings, 1, contributions);
        }
    }

    /// Whether a device exceeds the limit of its store and day and does not count.
    fn is_over(&self, device: &DeviceDay, is_random: bool) -> bool {
        let day = self.days.get(&(device.brand, device.salt_day));
        let store = day.and_then(|day| day.get(&device.store));
        let Some([devices, random]) = store else {
            return false;
        };
        let tokens = if is_random { random } else { devices };
        !(tokens.holds(device.token) && tokens.counts(device.token))
    }

    /// Retracts the pings of a device on a day.
    fn drop_device(&mut self, device: &DeviceDay) {
        let DeviceDay {
            brand,
            store,
            salt_day,
            token,
        } = device;
        let Some(settings) = self.settings.brands.get(brand) else {
            return;
        };
        let bounds = Bounds::of(settings.max_devices);
        let contributions = &mut self.contributions;
        let Some(day) = self.days.get_mut(&(*brand, *salt_day)) else {
            return;
        };
        if let Some(stored) = day.get_mut(store) {
            for (is_random, tokens) in [false, true].into_iter().zip(stored.iter_mut()) {
                let counts = tokens.counts(*token);
                let Some((runs, turn)) = tokens.leave(*token, bounds) else {
                    continue;
                };
                if counts {
                    contribute(device, is_random, &runs, settings, -1, contributions);
                }
                if let Turn::Of(token) = turn
                    && let Some(runs) = tokens.runs(token)
                {
                    let other = DeviceDay { token, ..*device };
                    contribute(&other, is_random, runs, settings, 1, contributions);
                }
            }
            if stored.iter().all(Tokens::is_empty) {
                day.remove(store);
                self.uses.add(*brand, *store, -1);
            }
        }
        if day.is_empty() {
            self.days.remove(&(*brand, *salt_day));
        }
    }

    /// Drops the tokens of a brand's days before the given one, and returns the contribution of each day.
    fn take_days(&mut self, brand: BrandId, before: Day) -> Vec<(Day, DeltaBuffer)> {
        let mut contributed = Vec::new();
        let mut rest = self.days.split_off(&(brand, Day::MIN));
        let mut later = rest.split_off(&(brand, before));
        self.days.append(&mut later);
        let Some(settings) = self.settings.brands.get(&brand) else {
            return contributed;
        };
        for ((_, salt_day), stores) in rest {
            let mut contributions = Contributions::default();
            for (store, tokens) in stores {
                self.uses.add(brand, store, -1);
                for (is_random, tokens) in [false, true].into_iter().zip(tokens) {
                    for (token, runs) in tokens.counted() {
                        let device = DeviceDay {
                            brand,
                            store,
                            salt_day,
                            token,
                        };
                        contribute(&device, is_random, runs, settings, 1, &mut contributions);
                    }
                }
            }
            let mut deltas = DeltaBuffer::default();
            contributions.add_up(&mut deltas);
            contributed.push((salt_day, deltas));
        }
        contributed
    }

    /// Records that a worker has finished a brand's days before the given one. Once all workers have, these days
    /// settle.
    fn end_days(
        &mut self,
        from: u64,
        brand: BrandId,
        before: Day,
        out: &mut Vec<(SessionizeOut, Diff)>,
    ) {
        let over = self.over.entry(brand).or_default();
        let day = over.entry(from).or_insert(before);
        *day = (*day).max(before);
        let all = over.len() as u64 == self.peers;
        let Some(first) = over.values().min().copied().filter(|_| all) else {
            return;
        };
        if self
            .closed
            .get(&brand)
            .is_some_and(|closed| first <= *closed)
        {
            return;
        }
        self.closed.insert(brand, first);
        let days = self.take_days(brand, first);
        // Without pings there is nothing to store.
        if !days.is_empty() {
            out.push((SessionizeOut::Closed(brand, first), 1));
        }
        for (salt_day, mut deltas) in days {
            for hour in deltas
                .drain()
                .filter_map(|(key, sums)| settled(&key, &sums))
            {
                self.uses.add(brand, hour.store, 1);
                out.push((SessionizeOut::Settled(salt_day, hour), 1));
            }
        }
    }

    /// Closes days that settled before a restart: their settled totals already include the pings that were read
    /// again.
    fn close_days(&mut self, brand: BrandId, before: Day) {
        let closed = self.closed.entry(brand).or_insert(before);
        *closed = (*closed).max(before);
        for (_, mut deltas) in self.take_days(brand, before) {
            for (key, sums) in deltas.drain() {
                self.deltas.add(key, sums, -1);
                self.deltas.end_contributor();
            }
        }
    }

    /// Answers the questions for the store days of devices.
    fn answer(&self, questions: &[RoutedQuestion], out: &mut Vec<(SessionizeOut, Diff)>) {
        let mut answers = Vec::new();
        let salt_cache = self.salt_cache.borrow();
        for asked in questions {
            let Question::DeviceDays { brand, devices } = &asked.question else {
                continue;
            };
            let days = self.days.range((*brand, Day::MIN)..=(*brand, Day::MAX));
            for ((_, salt_day), stores) in days {
                for (store, tokens) in stores {
                    let places = devices
                        .iter()
                        .filter_map(|device| salt_cache.token(*brand, *salt_day, *store, *device));
                    for token in places {
                        let device = DeviceDay {
                            brand: *brand,
                            store: *store,
                            salt_day: *salt_day,
                            token,
                        };
                        if tokens.iter().any(|of| of.holds(token)) {
                            answers.push(asked.answer(Reply::DeviceSeen(device)));
                        }
                        if tokens.iter().any(|of| of.refuses(token)) {
                            answers.push(asked.answer(Reply::DeviceNotSampled(device)));
                        }
                    }
                }
            }
        }
        answers.sort_unstable();
        answers.dedup();
        out.extend(
            answers
                .into_iter()
                .map(|answer| (SessionizeOut::Answer(answer), 1)),
        );
    }
}

/// Converts the contribution to a cell into the stored totals.
fn settled(key: &CellKey, sums: &Aggregate) -> Option<SettledHour> {
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
fn restored(settled: &SettledHour) -> (CellKey, Aggregate) {
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

impl KeyedOperator for Sessionize {
    type In = SessionizeIn;
    type Out = SessionizeOut;
    const NAME: &'static str = "Sessionize";

    fn route(update: &SessionizeIn) -> u64 {
        match update {
            SessionizeIn::Ping(TokenizedPing { store, token, .. })
            | SessionizeIn::Drop(DeviceDay { store, token, .. }) => {
                store.0.wrapping_add(part(*token) as u64)
            }
            SessionizeIn::Settled(settled) => settled.store.0,
            SessionizeIn::Over { target, .. } | SessionizeIn::Closed(target, ..) => *target,
            SessionizeIn::Ask(asked) => asked.target,
        }
    }

    fn entries(&self) -> usize {
        self.days.values().map(FxHashMap::len).sum::<usize>() + self.uses.len()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<(SessionizeIn, Diff)>,
        out: &mut Vec<(SessionizeOut, Diff)>,
    ) {
        let (mut questions, mut drops, mut over) = (Vec::new(), Vec::new(), Vec::new());
        let mut sightings_by_device: FxHashMap<(DeviceDay, bool), Vec<Sighting>> =
            FxHashMap::default();
        for (update, diff) in updates {
            match update {
                SessionizeIn::Ping(one) => {
                    let Some(settings) = self.settings.brands.get(&one.brand) else {
                        continue;
                    };
                    let device = DeviceDay {
                        brand: one.brand,
                        store: one.store,
                        salt_day: one.salt_day,
                        token: one.token,
                    };
                    let sightings = sightings_by_device.entry((device, one.random)).or_default();
                    sightings.push(Sighting {
                        second: one.second,
                        utc_offset: one.utc_offset,
                        is_strong: one.rssi >= settings.min_rssi,
                    });
                }
                SessionizeIn::Drop(device) => drops.push(device),
                SessionizeIn::Settled(hour) => {
                    self.uses.add(hour.brand, hour.store, diff);
                    let (key, sums) = restored(&hour);
                    self.deltas.add(key, sums, diff);
                    self.deltas.end_contributor();
                }
                SessionizeIn::Over {
                    from,
                    brand,
                    before,
                    ..
                } => over.push((brand, before, from)),
                SessionizeIn::Closed(_, brand, before) => self.close_days(brand, before),
                SessionizeIn::Ask(asked) => questions.push(asked),
            }
        }
        // Pings in the epoch of a retraction come after it.
        drops.iter().for_each(|device| self.drop_device(device));
        let mut pings = Vec::with_capacity(sightings_by_device.len());
        for ((device, is_random), sightings) in sightings_by_device {
            pings.push((device, is_random, sightings.len() as u64));
            self.add_sightings(device, is_random, sightings);
        }
        let uncounted = pings.iter().filter(|of| self.is_over(&of.0, of.1));
        self.stats.pings_not_sampled(uncounted.map(|of| of.2).sum());
        self.contributions.add_up(&mut self.deltas);
        out.extend(
            self.deltas
                .drain()
                .map(|(key, sums)| (SessionizeOut::Sum(key, sums), 1)),
        );
        over.sort_unstable();
        for (brand, before, from) in over {
            self.end_days(from, brand, before, out);
        }
        let used = self.uses.drain().into_iter();
        out.extend(used.map(|((brand, label), diff)| (SessionizeOut::Used(brand, label), diff)));
        if !questions.is_empty() {
            self.answer(&questions, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Token;

    #[test]
    fn who_is_put_out_and_counts_again_in_an_epoch_has_changed_nothing() {
        let brand = BrandId(0);
        // One of each part counts.
        let settings = BrandSettings {
            max_devices: PARTS,
            ..BrandSettings::default()
        };
        let settings = Settings {
            brands: [(brand, settings)].into(),
        };
        let (stats, salt_cache) = (Rc::default(), Rc::default());
        let mut presence = Sessionize::new(settings.into(), stats, salt_cache, 1);
        let ping = |token| {
            let ping = TokenizedPing {
                brand,
                store: Label::of("s"),
                token: Token(token),
                random: false,
                salt_day: 0,
                second: 7,
                utc_offset: 0,
                rssi: -60,
            };
            (SessionizeIn::Ping(ping), 1)
        };
        let mut epoch = |updates: Vec<(SessionizeIn, Diff)>| {
            let mut out = Vec::new();
            presence.apply_epoch(0, updates, &mut out);
            let sums = out.into_iter().filter_map(|(update, _)| match update {
                SessionizeOut::Sum(_, sums) => Some(sums),
                _ => None,
            });
            sums.fold(Aggregate::default(), |mut all, sums| {
                all.add(&sums, 1);
                all
            })
        };
        let first = epoch(vec![ping(30), ping(20), ping(10)]);
        assert_eq!(
            first,
            Aggregate::of(&[0, 1, 0, 1])
                .with_contributors(1)
                .changed_by(10)
        );
        // The second replaces the first, and yields to a smaller one.
        let dropped = DeviceDay {
            brand,
            store: Label::of("s"),
            salt_day: 0,
            token: Token(10),
        };
        let then = epoch(vec![ping(5), (SessionizeIn::Drop(dropped), 1)]);
        assert_eq!(then, Aggregate::default().changed_by(10).changed_by(5));
    }
}
