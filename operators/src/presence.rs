//! Presence: sensor pings become runs, visits and passers-by.
//!
//! A device is known by its token, the keyed hash of what the sensor heard under a salt that is drawn
//! for the store and day; the same device has unrelated tokens in two stores or on two days, and once
//! the salt is gone nobody can find it again. The stage keeps the seconds at which a token was heard.
//! When some of them change, the runs of that token, store and day are laid out again, so that a late
//! ping reopens and merges what it must.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::engine::{Diff, Epoch, Stage};
use crate::label::Label;
use crate::record::{BrandId, Day, Ping, Pseudonym};
use crate::salt::Salts;
use crate::settings::{BrandSettings, Settings};
use crate::sums::{CellKey, Sums, Tally};

/// The longest silence within a run, seconds.
pub const MAX_GAP: i64 = 30 * 60;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Token {
    brand: BrandId,
    store: Label,
    salt_day: Day,
    token: Pseudonym,
    random: bool,
}

/// One second at which a token was heard: the offset from UTC, and how strongly.
type Heard = (i64, i32, i8);

/// What a token was heard as, a multiset in order.
#[derive(Default)]
struct Seconds {
    heard: BTreeMap<Heard, Diff>,
}

/// A run: its first and last second, the offset from UTC at its start, and how many of its seconds
/// are strong enough.
struct Run {
    first: i64,
    last: i64,
    utc_offset: i32,
    strong: u32,
}

impl Seconds {
    fn runs(&self, settings: &BrandSettings) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut seconds = self
            .heard
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(h, _)| *h)
            .peekable();
        while let Some((second, utc_offset, mut rssi)) = seconds.next() {
            // Within a second the strongest counts.
            while let Some(again) = seconds.next_if(|next| next.0 == second) {
                rssi = rssi.max(again.2);
            }
            let strong = u32::from(rssi >= settings.min_rssi);
            match runs.last_mut() {
                Some(run) if second - run.last <= MAX_GAP => {
                    run.last = second;
                    run.strong += strong;
                }
                _ => runs.push(Run {
                    first: second,
                    last: second,
                    utc_offset,
                    strong,
                }),
            }
        }
        runs
    }

    /// What the token contributes to the cells of its store and day.
    fn contribute(&self, token: &Token, settings: &BrandSettings, diff: Diff, tally: &mut Tally) {
        let runs = self.runs(settings);
        let presence: i64 = runs.iter().map(|run| run.last - run.first).sum();
        if presence > settings.max_presence {
            return;
        }
        let mut hours: Vec<CellKey> = Vec::new();
        for run in &runs {
            let local = run.first + i64::from(run.utc_offset);
            let hour = run.first - local.rem_euclid(3600);
            let key = CellKey::Visits {
                brand: token.brand,
                store: token.store,
                hour,
                utc_offset: run.utc_offset,
            };
            if !token.random {
                let dwell = run.last - run.first;
                let sums = if run.strong >= 2 && dwell >= settings.min_dwell {
                    Sums::of(&[1, 0, dwell.into()])
                } else {
                    Sums::of(&[0, 1])
                };
                tally.add(key.clone(), sums, diff);
            }
            // A device counts once in an hour, however many of its runs begin there.
            if !hours.contains(&key) {
                let device = if token.random {
                    [0, 0, 0, 0, 1]
                } else {
                    [0, 0, 0, 1, 0]
                };
                tally.add(key.clone(), Sums::of(&device).by(1), diff);
                hours.push(key);
            }
        }
    }
}

/// What the stage is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PresenceIn {
    /// A ping.
    Ping(Ping),
    /// A worker says that it will put in no more pings of a brand's salt days before one.
    Over {
        /// The worker that says so.
        from: u64,
        /// The worker that is told.
        target: u64,
        /// The tenant.
        brand: BrandId,
        /// The first salt day that may still have pings.
        before: Day,
    },
}

/// The stage. The seconds of every token.
pub struct Presence {
    settings: Arc<Settings>,
    salts: Salts,
    tokens: FxHashMap<Token, Seconds>,
    tally: Tally,
    peers: usize,
    /// Up to which day each worker has said that a brand's days are over.
    over: FxHashMap<BrandId, FxHashMap<u64, Day>>,
}

impl Presence {
    /// Has heard nothing yet. `peers` is the number of workers.
    pub fn new(settings: Arc<Settings>, peers: usize) -> Presence {
        Presence {
            settings,
            salts: Salts::default(),
            tokens: FxHashMap::default(),
            tally: Tally::default(),
            peers,
            over: FxHashMap::default(),
        }
    }

    /// A salt goes when no worker will need it any more.
    fn end_days(&mut self, from: u64, brand: BrandId, before: Day) {
        let over = self.over.entry(brand).or_default();
        let day = over.entry(from).or_insert(before);
        *day = (*day).max(before);
        if over.len() == self.peers
            && let Some(first) = over.values().min()
        {
            self.salts.destroy_before(brand, *first);
        }
    }
}

impl Stage for Presence {
    type In = PresenceIn;
    type Out = (CellKey, Sums);
    const NAME: &'static str = "Presence";

    // The salt of a store and day is drawn where its pings meet, so they all meet on one worker.
    fn route(update: &PresenceIn) -> u64 {
        use std::hash::BuildHasher;
        match update {
            PresenceIn::Ping(ping) => {
                rustc_hash::FxBuildHasher.hash_one((ping.brand, ping.store, ping.salt_day))
            }
            PresenceIn::Over { target, .. } => *target,
        }
    }

    fn step(
        &mut self,
        _: Epoch,
        updates: Vec<(PresenceIn, Diff)>,
        out: &mut Vec<((CellKey, Sums), Diff)>,
    ) {
        let mut changes: FxHashMap<Token, Vec<(Heard, Diff)>> = FxHashMap::default();
        let mut over = Vec::new();
        for (update, diff) in updates {
            let ping = match update {
                PresenceIn::Ping(ping) => ping,
                PresenceIn::Over {
                    from,
                    brand,
                    before,
                    ..
                } => {
                    over.push((from, brand, before));
                    continue;
                }
            };
            let Ping {
                brand,
                store,
                device,
                random,
                salt_day,
                second,
                utc_offset,
                rssi,
            } = ping;
            let token = self.salts.token(brand, store, salt_day, device);
            let token = Token {
                brand,
                store,
                salt_day,
                token,
                random,
            };
            changes
                .entry(token)
                .or_default()
                .push(((second, utc_offset, rssi), diff));
        }
        for (token, changes) in changes {
            let Some(settings) = self.settings.brands.get(usize::from(token.brand.0)) else {
                continue;
            };
            let seconds = self.tokens.entry(token).or_default();
            seconds.contribute(&token, settings, -1, &mut self.tally);
            for (heard, diff) in changes {
                let count = seconds.heard.entry(heard).or_default();
                *count += diff;
                if *count == 0 {
                    seconds.heard.remove(&heard);
                }
            }
            seconds.contribute(&token, settings, 1, &mut self.tally);
            if seconds.heard.is_empty() {
                self.tokens.remove(&token);
            }
        }
        out.extend(self.tally.drain().map(|sum| (sum, 1)));
        for (from, brand, before) in over {
            self.end_days(from, brand, before);
        }
    }
}
