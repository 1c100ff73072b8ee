//! Sessionize: sensor pings become runs, visits and passers-by.
//!
//! A device is known by its token (see [`crate::salt`]): it has unrelated tokens in two stores or on two days, and once the
//! salt is deleted nobody can identify it. Of the pings of a token the operator stores only the runs that they form
//! ([`runs`]). That is exact, because pings are never retracted one by one, only by device and salt day. So memory grows
//! with the devices of the open days, not with their pings. Of a store and day at most `max_devices` devices count, and as
//! many with random addresses ([`tokens`]).
//!
//! A salt day is **closed** when all workers have finished it. In that epoch it settles: its tokens become totals per store
//! and hour, and numbers of devices per store that came in exactly the same hours, which leave the operator to be stored, and the tokens are dropped. The cells already include the contribution
//! of the tokens, so no cell changes. After a restart the totals return as [`SessionizeIn::Settled`], and
//! [`SessionizeIn::Closed`] removes the pings that the ledger may still hold. The three may arrive in any order; each ping
//! counts exactly once.
//!
//! For a brand with partners the visits of each token also go to [`crate::matching`], without the token.

mod contribution;
mod open_days;
mod runs;
mod tokens;

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, CellKey};
use crate::ask::{Question, Reply, RoutedQuestion};
use crate::current_settings::CurrentSettings;
use crate::delta_buffer::DeltaBuffer;
use crate::engine::{Diff, Epoch, KeyedOperator, QueryOperator};
use crate::label::Label;
use crate::matching::{DeviceVisits, MatchIn, StoreDay};
use crate::record::{BrandId, Day, DeviceDay, SettledDevices, SettledHour, TokenizedPing};
use crate::salt::SaltCache;
use crate::settings::BrandSettings;
use crate::stats::Stats;
use contribution::{restored, restored_devices};
use open_days::{OpenDays, TakenDay};
use runs::Sighting;

pub use runs::{MAX_GAP, Runs};
pub use tokens::{PARTS, part};

/// The input of [`Sessionize`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SessionizeIn {
    /// A ping of a token.
    Ping(TokenizedPing),
    /// Retracts the pings of a device on a salt day that entered before this epoch.
    Drop(DeviceDay),
    /// The totals of an hour of a salt day that settled before a restart.
    Settled(SettledHour),
    /// The devices of a salt day that settled before a restart.
    SettledDevices(SettledDevices),
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
}

/// The output of [`Sessionize`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SessionizeOut {
    /// A change of a cell.
    Sum(CellKey, Aggregate),
    /// An open day or a settled total uses a store label of a brand.
    Used(BrandId, Label),
    /// This worker's part of the totals of a salt day in one hour of a store.
    Settled(Day, SettledHour),
    /// This worker's part of the devices of a salt day that came in exactly some hours.
    SettledDevices(SettledDevices),
    /// To the matching of visits and sightings.
    Match(MatchIn),
    /// This worker has settled all of a brand's salt days before the given one.
    Closed(BrandId, Day),
}

/// The operator. State: the runs of every token of the open days, and for each brand the progress of its salt days.
pub struct Sessionize {
    settings: CurrentSettings,
    stats: Rc<Stats>,
    /// The salts of the open days, by which questions about devices are answered.
    salt_cache: Rc<RefCell<SaltCache>>,
    /// The number of workers that must finish a day before it settles.
    peers: u64,
    /// The tokens of the open days.
    open_days: OpenDays,
    /// The first unfinished day of each brand on each worker.
    over: FxHashMap<BrandId, FxHashMap<u64, Day>>,
    /// The first open salt day of each brand.
    closed: FxHashMap<BrandId, Day>,
    deltas: DeltaBuffer,
}

impl Sessionize {
    /// An operator without pings, on one of `peers` workers. The salts in the cache identify the devices of a
    /// question.
    pub fn new(
        settings: CurrentSettings,
        stats: Rc<Stats>,
        salt_cache: Rc<RefCell<SaltCache>>,
        peers: u64,
    ) -> Sessionize {
        Sessionize {
            open_days: OpenDays::new(settings.clone()),
            settings,
            stats,
            salt_cache,
            peers,
            over: FxHashMap::default(),
            closed: FxHashMap::default(),
            deltas: DeltaBuffer::default(),
        }
    }

    /// Whether the pings of a salt day no longer count.
    fn is_closed(&self, brand: BrandId, day: Day) -> bool {
        self.closed.get(&brand).is_some_and(|before| day < *before)
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
        let days = self.open_days.take_days(brand, first);
        // Without pings there is nothing to store.
        if !days.is_empty() {
            out.push((SessionizeOut::Closed(brand, first), 1));
        }
        for TakenDay {
            salt_day,
            visits,
            totals,
            ..
        } in days
        {
            let mut stores: Vec<StoreDay> =
                visits.into_iter().map(|((store, _), _)| store).collect();
            stores.dedup();
            let closes = stores.into_iter().map(MatchIn::Close);
            out.extend(closes.map(|close| (SessionizeOut::Match(close), 1)));
            let (hours, devices) = totals.settled(brand, salt_day);
            for hour in hours {
                self.open_days.uses.add(brand, hour.store, 1);
                out.push((SessionizeOut::Settled(salt_day, hour), 1));
            }
            let devices = devices.into_iter();
            out.extend(devices.map(|of| (SessionizeOut::SettledDevices(of), 1)));
        }
    }

    /// Closes days that settled before a restart: their settled totals already include the pings that were read
    /// again.
    fn close_days(&mut self, brand: BrandId, before: Day, out: &mut Vec<(SessionizeOut, Diff)>) {
        let closed = self.closed.entry(brand).or_insert(before);
        *closed = (*closed).max(before);
        for mut day in self.open_days.take_days(brand, before) {
            emit_visits(day.visits, -1, out);
            for (key, sums) in day.deltas.drain() {
                self.deltas.add(key, sums, -1);
                self.deltas.end_contributor();
            }
        }
    }
}

/// Emits changes of visits that may be matched, `sign` times.
fn emit_visits(
    visits: Vec<((StoreDay, DeviceVisits), Diff)>,
    sign: Diff,
    out: &mut Vec<(SessionizeOut, Diff)>,
) {
    out.extend(visits.into_iter().map(|((store, visits), diff)| {
        let visits = MatchIn::Visits(store, visits);
        (SessionizeOut::Match(visits), sign * diff)
    }));
}

impl KeyedOperator for Sessionize {
    type In = SessionizeIn;
    type Out = SessionizeOut;
    const NAME: &'static str = "Sessionize";

    /// By the store and the part of the token. The limit of devices applies to each part, so that the parts of a store
    /// may be on different workers.
    fn route(update: &SessionizeIn) -> u64 {
        match update {
            SessionizeIn::Ping(TokenizedPing { store, token, .. })
            | SessionizeIn::Drop(DeviceDay { store, token, .. }) => {
                store.0.wrapping_add(part(*token) as u64)
            }
            SessionizeIn::Settled(settled) => settled.store.0,
            SessionizeIn::SettledDevices(settled) => settled.store.0,
            SessionizeIn::Over { target, .. } | SessionizeIn::Closed(target, ..) => *target,
        }
    }

    fn entries(&self) -> usize {
        self.open_days.len()
    }

    fn bytes(&self) -> usize {
        self.open_days.bytes()
    }

    fn apply_epoch(
        &mut self,
        _: Epoch,
        updates: Vec<(SessionizeIn, Diff)>,
        out: &mut Vec<(SessionizeOut, Diff)>,
    ) {
        self.settings.take_change();
        self.open_days.settings.take_change();
        let (mut drops, mut over) = (Vec::new(), Vec::new());
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
                        offline_cookie: one.offline_cookie,
                    });
                }
                SessionizeIn::Drop(device) => drops.push(device),
                SessionizeIn::Settled(hour) => {
                    self.open_days.uses.add(hour.brand, hour.store, diff);
                    if let Some(settings) = self.settings.brands.get(&hour.brand) {
                        let (key, sums) = restored(&hour, settings);
                        self.deltas.add(key, sums, diff);
                        self.deltas.end_contributor();
                    }
                }
                SessionizeIn::SettledDevices(devices) => {
                    let settings = self.settings.brands.get(&devices.brand);
                    if settings.is_some_and(BrandSettings::has_ladder) {
                        for (key, sums) in restored_devices(&devices) {
                            self.deltas.add(key, sums, diff);
                            self.deltas.end_contributor();
                        }
                    }
                }
                SessionizeIn::Over {
                    from,
                    brand,
                    before,
                    ..
                } => over.push((brand, before, from)),
                SessionizeIn::Closed(_, brand, before) => self.close_days(brand, before, out),
            }
        }
        // Pings in the epoch of a retraction come after it.
        drops
            .iter()
            .for_each(|device| self.open_days.drop_device(device));
        let mut pings = Vec::with_capacity(sightings_by_device.len());
        for ((device, is_random), sightings) in sightings_by_device {
            pings.push((device, is_random, sightings.len() as u64));
            if !self.is_closed(device.brand, device.salt_day) {
                self.open_days.add_sightings(device, is_random, sightings);
            }
        }
        let uncounted = pings
            .iter()
            .filter(|of| self.open_days.is_over(&of.0, of.1));
        self.stats.pings_not_sampled(uncounted.map(|of| of.2).sum());
        emit_visits(self.open_days.take_visits(), 1, out);
        self.open_days.add_up(&mut self.deltas);
        self.deltas.drain_into(SessionizeOut::Sum, out);
        over.sort_unstable();
        for (brand, before, from) in over {
            self.end_days(from, brand, before, out);
        }
        let used = self.open_days.uses.drain().into_iter();
        out.extend(used.map(|((brand, label), diff)| (SessionizeOut::Used(brand, label), diff)));
    }
}

impl QueryOperator for Sessionize {
    type Question = Question;
    type Reply = Reply;

    /// Answers [`Question::DeviceDays`]. The salts of the open days are known, so the tokens of the devices can be computed.
    fn answer(&mut self, query: RoutedQuestion, replies: &mut Vec<Reply>) {
        let Question::DeviceDays { brand, devices } = query.question else {
            return;
        };
        let salts = self.salt_cache.borrow();
        for (salt_day, store, tokens) in self.open_days.stores(brand) {
            let devices = devices.iter();
            for token in devices.filter_map(|id| salts.token(brand, salt_day, store, *id)) {
                let device = DeviceDay {
                    brand,
                    store,
                    salt_day,
                    token,
                };
                if tokens.iter().any(|of| of.holds(token)) {
                    replies.push(Reply::DeviceSeen(device));
                }
                if tokens.iter().any(|of| of.refuses(token)) {
                    replies.push(Reply::DeviceNotSampled(device));
                }
            }
        }
        replies.sort_unstable();
        replies.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Token;
    use crate::settings::Settings;

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
                offline_cookie: None,
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
