//! Histories of a crowd around the thresholds of the default gate.
//!
//! The crowd clicks, buys, passes stores, states its consent, and is corrected, refunded and
//! erased, with releases that are minutes, days and months apart. Each person has one identifier,
//! so that it is known which contributors changed which cell. A record changes at most once per
//! epoch, so that the order of changes does not matter.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand::rngs::StdRng;
use tributary_operators::allowed_uses::AllowedUses;
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, BrandId, DeviceDay, IdKind, Ping, Pseudonym, RecordKey, Right, Token,
};
use tributary_operators::settings::{BrandSettings, Settings};

use super::runner::Steps;
use super::shop::{self, DAY, MINUTE, brand, click, erased, known_by, refund, sale_in, words};

/// Noon of the twentieth day, Unix milliseconds.
pub const START: i64 = 20 * DAY + DAY / 2;

/// The stores.
const STORES: [&str; 2] = ["s", "t"];
/// The channels.
const CHANNELS: [&str; 3] = ["a", "b", "c"];

/// The default gate, in some worlds with a device limit below the number of devices.
///
/// Every cell has more than twice `k_delta` contributors, because exactly as many could share bits,
/// so that a cell with these contributors alone would never be closed.
pub fn settings(rng: &mut StdRng) -> Settings {
    let gate = brand(50, 10);
    let max_devices = [64, 128, 100_000][rng.random_range(0..3)];
    let brands = gate.brands.into_iter();
    let brands = brands.map(|(id, brand)| {
        let brand = BrandSettings {
            k_traffic: 20,
            max_devices,
            has_partners: true,
            ..brand
        };
        (id, brand)
    });
    Settings {
        brands: brands.collect(),
    }
}

/// The state of a crowd.
struct Crowd {
    /// The number of persons so far.
    people: u128,
    /// By what those are known who are no customers.
    kinds: BTreeMap<u128, IdKind>,
    /// The sales: person, name and day.
    bought: Vec<(u128, String, i64)>,
    /// The records of stays and scans.
    visited: Vec<String>,
    /// All pings.
    pings: Vec<Ping>,
    /// The number of statements so far.
    statements: u64,
}

/// A random history with the time of each release.
pub fn history(rng: &mut StdRng) -> Steps {
    history_of(rng, 10)
}

/// The same, in which people come to stores as well, with wallet passes or seen by partners.
pub fn history_with_visits(rng: &mut StdRng) -> Steps {
    history_of(rng, 14)
}

/// A random history of so many kinds of acts.
fn history_of(rng: &mut StdRng, acts: u32) -> Steps {
    let mut crowd = Crowd {
        people: 0,
        kinds: BTreeMap::new(),
        bought: Vec::new(),
        visited: Vec::new(),
        pings: Vec::new(),
        statements: 0,
    };
    let (mut now, mut steps) = (START, Steps::new());
    let all_words = [&STORES[..], &CHANNELS[..]].concat();
    steps.push((words(&all_words), now));
    for step in 1..rng.random_range(5..10) {
        let mut events = Vec::new();
        for _ in 0..rng.random_range(0..4) {
            let day = rng.random_range(0..4);
            match rng.random_range(0..acts) {
                0..4 => crowd.buy(rng, step, day, &mut events),
                10..13 => crowd.come(rng, step, day, &mut events),
                13 => crowd.erase_visits(rng, &mut events),
                4 => crowd.erase_sales(rng, &mut events),
                5 => crowd.refund_sales(rng, &mut events),
                6..8 => crowd.visit(rng, day % 2, &mut events),
                8 => crowd.erase_devices(rng, &mut events),
                _ => crowd.state(rng, &mut events),
            }
        }
        now += [MINUTE, MINUTE, DAY, 3 * DAY, 8 * DAY, 100 * DAY][rng.random_range(0..6)];
        let (mut keys, mut dropped) = (BTreeSet::<RecordKey>::new(), BTreeSet::new());
        events.retain(|event| match event {
            Event::Put { key, .. } | Event::Drop { key, .. } => keys.insert(*key),
            Event::DropDevice { device } => dropped.insert(*device),
            _ => true,
        });
        // Pings in the epoch in which a device is dropped count after the drop.
        events.sort_by_key(|event| !matches!(event, Event::DropDevice { .. }));
        for event in &mut events {
            if let Event::Put { arrival, .. } | Event::Drop { arrival, .. } = event {
                arrival.message = step;
            }
        }
        steps.push((events, now));
    }
    steps
}

impl Crowd {
    /// Between 1 and 150 new persons click, and most of them buy.
    fn buy(&mut self, rng: &mut StdRng, step: u64, day: i64, events: &mut Vec<Event>) {
        let store = STORES[rng.random_range(0..2)];
        for buyer in 0..[1, 3, 9, 10, 11, 60, 90, 150][rng.random_range(0..8)] {
            self.people += 1;
            let (person, channel) = (self.people, CHANNELS[rng.random_range(0..3)]);
            events.push(click(person, channel, day, buyer % 600));
            // Some only look.
            if rng.random_bool(0.9) {
                let name = format!("{step} {person}");
                let amount = rng.random_range(1..999);
                events.push(sale_in(store, person, &name, day, amount));
                self.bought.push((person, name, day));
            }
        }
    }

    /// Between 1 and 150 new persons click and come to a store, where partners see some of them, and others show their pass.
    fn come(&mut self, rng: &mut StdRng, step: u64, day: i64, events: &mut Vec<Event>) {
        let store = STORES[rng.random_range(0..2)];
        let is_seen = rng.random_bool(0.7);
        for visitor in 0..[1, 3, 9, 10, 11, 60, 90, 150][rng.random_range(0..8)] {
            self.people += 1;
            let (person, channel) = (self.people, CHANNELS[rng.random_range(0..3)]);
            let name = format!("{step} {person}");
            let kind = if is_seen {
                IdKind::Device
            } else {
                IdKind::Wallet
            };
            self.kinds.insert(person, kind);
            if is_seen {
                // Some see two channels, before or after they come.
                for (chance, channel) in [(0.7, channel), (0.1, CHANNELS[0])] {
                    if rng.random_bool(chance) {
                        let day = (day + rng.random_range(-1..2)).max(0);
                        let click = click(person, channel, day, visitor % 600);
                        events.push(known_by(IdKind::Device, click));
                    }
                }
                if rng.random_bool(0.95) {
                    let mark = format!("{name} in the panel");
                    events.push(shop::panel_member(person, &mark, day));
                    self.visited.push(mark);
                }
                let weight = [1, 333_333, 500_000, 1_000_000, 1_000_000][rng.random_range(0..5)];
                let at = (day, visitor);
                events.push(shop::settled_visit((store, person), &name, at, weight));
            } else {
                events.push(shop::scan(store, person, &name, day));
            }
            self.visited.push(name);
        }
    }

    /// Stays and scans are erased.
    fn erase_visits(&mut self, rng: &mut StdRng, events: &mut Vec<Event>) {
        for _ in 0..[1, 2, 9, 10, 40][rng.random_range(0..5)].min(self.visited.len()) {
            let place = rng.random_range(0..self.visited.len());
            events.push(erased(&self.visited.swap_remove(place)));
        }
    }

    /// Sales are erased.
    fn erase_sales(&mut self, rng: &mut StdRng, events: &mut Vec<Event>) {
        for _ in 0..[1, 2, 9, 10, 40][rng.random_range(0..5)].min(self.bought.len()) {
            let place = rng.random_range(0..self.bought.len());
            let (_, name, _) = self.bought.swap_remove(place);
            events.push(erased(&name));
        }
    }

    /// Sales are refunded in full or in part.
    fn refund_sales(&mut self, rng: &mut StdRng, events: &mut Vec<Event>) {
        for _ in 0..[1, 5, 12, 30][rng.random_range(0..4)] {
            let place = rng.random_range(0..self.bought.len().max(1));
            if let Some((person, name, day)) = self.bought.get(place) {
                let amount = rng.random_bool(0.5).then(|| rng.random_range(1..99));
                events.push(refund(*person, name, *day, amount));
            }
        }
    }

    /// Pings of new and known devices in a store within an hour.
    fn visit(&mut self, rng: &mut StdRng, day: i64, events: &mut Vec<Event>) {
        let store = Label::of(STORES[rng.random_range(0..2)]);
        let is_random = rng.random_bool(0.2);
        let hour = day * DAY / 1_000 + 3_600 * 9;
        for _ in 0..[1, 3, 9, 10, 11, 60, 90, 150][rng.random_range(0..8)] {
            let known = match self.pings.is_empty() || rng.random_bool(0.7) {
                true => None,
                false => Some(self.pings[rng.random_range(0..self.pings.len())]),
            };
            let device = known.map_or_else(|| rng.random(), |ping| ping.device);
            let random = known.map_or(is_random, |ping| ping.random);
            let first = hour + rng.random_range(0..1_800);
            for second in [0, 70, 140].into_iter().take(rng.random_range(1..4)) {
                let ping = Ping {
                    brand: BrandId(0),
                    store,
                    device,
                    random,
                    salt_day: day as i32,
                    second: first + second,
                    utc_offset: 0,
                    rssi: -60,
                    offline_cookie: None,
                };
                self.pings.push(ping);
                events.push(Event::Ping { ping });
            }
        }
    }

    /// Devices are erased from a store's day.
    fn erase_devices(&mut self, rng: &mut StdRng, events: &mut Vec<Event>) {
        for _ in 0..[1, 2, 9, 10, 40][rng.random_range(0..5)].min(self.pings.len()) {
            let ping = &self.pings[rng.random_range(0..self.pings.len())];
            events.push(Event::DropDevice { device: of(ping) });
        }
    }

    /// Persons state their consent, or exercise or withdraw a restriction.
    fn state(&mut self, rng: &mut StdRng, events: &mut Vec<Event>) {
        let is_right = rng.random_bool(0.2);
        for _ in 0..[1, 9, 10, 11, 60, 150, 300][rng.random_range(0..7)].min(self.people) {
            self.statements += 1;
            let (person, number) = (rng.random_range(1..=self.people), self.statements);
            let statement = match is_right {
                true => shop::right(person, number, Right::Restriction, rng.random_bool(0.7)),
                false => {
                    let allowed = [AllowedUses::ALL, AllowedUses::NONE][rng.random_range(0..2)];
                    shop::consent(person, number, allowed)
                }
            };
            events.push(match self.kinds.get(&person) {
                Some(kind) => known_by(*kind, statement),
                None => statement,
            });
        }
    }
}

/// The device of a ping. A history names a device by the input of its token.
fn of(ping: &Ping) -> DeviceDay {
    DeviceDay {
        brand: ping.brand,
        store: ping.store,
        salt_day: ping.salt_day,
        // A history names a device by what it is hashed to.
        token: Token(ping.device as Pseudonym),
    }
}

/// Drops of every record and device of some events.
pub fn retractions<'a>(events: impl Iterator<Item = &'a Event>, arrival: Arrival) -> Vec<Event> {
    let (mut keys, mut devices) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        match event {
            Event::Put { key, .. } => drop(keys.insert(*key)),
            Event::Ping { ping } => drop(devices.insert(of(ping))),
            _ => {}
        }
    }
    let keys = keys.into_iter().map(|key| Event::Drop { key, arrival });
    let devices = devices
        .into_iter()
        .map(|device| Event::DropDevice { device });
    devices.chain(keys).collect()
}

/// Appends the retraction of everything, and releases until old days are published.
pub fn then_retract_everything(mut steps: Steps) -> Steps {
    let mut now = steps.last().map_or(START, |(_, now)| *now);
    let arrival = Arrival {
        message: u64::MAX,
        line: 0,
    };
    let erasures = retractions(steps.iter().flat_map(|(events, _)| events), arrival);
    steps.push((erasures, now + MINUTE));
    for _ in 0..4 {
        now += 8 * DAY;
        steps.push((Vec::new(), now));
    }
    steps
}
