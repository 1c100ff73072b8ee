//! The events of a random world, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, Body, BrandId, DeviceDay, Ping, Record, RecordKey, Token,
};

use super::bodies;
use super::pick::pick;
use super::records::RecordGenerator;
use super::vocabulary::{labels, store, vocabulary};

/// The events of `size` steps; with `with_consent`, a quarter of the steps concern consent and
/// rights.
pub(super) fn write_history(
    rng: &mut ChaCha8Rng,
    brands: &[BrandId],
    size: usize,
    with_consent: bool,
) -> Vec<Event> {
    let generators = brands
        .iter()
        .map(|brand| RecordGenerator::new(rng, *brand, size / brands.len()));
    let mut writer = HistoryWriter {
        generators: generators.collect(),
        vocabulary: vocabulary()
            .map(|word| (Label::of(word), word.into()))
            .collect(),
        announced: BTreeSet::new(),
        arrived: Arrival::default(),
        puts: Vec::new(),
        held: BTreeMap::new(),
        pings: Vec::new(),
        events: Vec::new(),
    };
    for _ in 0..size {
        match with_consent && rng.random_bool(0.25) {
            true => writer.add_request(rng),
            false => writer.add_random_event(rng),
        }
    }
    writer.events
}

/// An inserted record: key, version, record.
pub(super) type Put = (RecordKey, i64, Record);

/// The state of a random world while its history is written.
pub(super) struct HistoryWriter {
    /// A generator of records for each brand.
    pub(super) generators: Vec<RecordGenerator>,
    /// The names of all labels.
    vocabulary: BTreeMap<Label, Arc<str>>,
    /// The labels whose names were announced for a brand.
    announced: BTreeSet<(BrandId, Label)>,
    /// The last position in the order of arrival.
    arrived: Arrival,
    /// All inserted records.
    puts: Vec<Put>,
    /// The stored record of each key, with its version.
    pub(super) held: BTreeMap<RecordKey, (i64, Record)>,
    /// All pings.
    pings: Vec<Ping>,
    /// The history so far.
    events: Vec<Event>,
}

impl HistoryWriter {
    /// Adds one random step that does not concern consent.
    ///
    /// | probability | step |
    /// | --- | --- |
    /// | 44 % | a record |
    /// | 6 % | another report of an earlier sale |
    /// | 8 % | a journey |
    /// | 9 % | a correction |
    /// | 5 % | an exact duplicate |
    /// | 8 % | a drop, in 2 % followed by a correction |
    /// | 14 % | pings of one device, or in 2 % of many |
    /// | 2 % | a repeated ping |
    /// | 4 % | the erasure of a device from a store's day |
    fn add_random_event(&mut self, rng: &mut ChaCha8Rng) {
        match rng.random_range(0..100) {
            0..=43 => {
                let (key, record) = self.generator(rng).record(rng);
                self.put(key, version(rng), record);
            }
            44..=49 => {
                // A few tries find a sale among the earlier records, if there is one.
                let earlier: Vec<Put> = (0..4).filter_map(|_| self.earlier(rng)).collect();
                let is_sale = |put: &&Put| matches!(put.2.body, Body::Sale { .. });
                if let Some((_, _, sale)) = earlier.iter().find(is_sale) {
                    let generator = self.generator_of(sale.brand);
                    let duplicate_sale = generator.duplicate_sale(rng, sale);
                    if let Some((key, record)) = duplicate_sale {
                        self.put(key, 0, record);
                    }
                }
            }
            50..=57 => {
                for (key, record) in self.generator(rng).journey(rng) {
                    self.put(key, 0, record);
                }
            }
            58..=66 => self.correct_earlier(rng),
            67..=71 => {
                // The very same again.
                if let Some((key, version, record)) = self.earlier(rng) {
                    self.put(key, version, record);
                }
            }
            72..=77 => self.drop_earlier(rng),
            78..=79 => {
                self.drop_earlier(rng);
                self.correct_earlier(rng);
            }
            80..=91 => self.add_ping_burst(rng),
            92..=93 => self.add_crowd(rng),
            94..=95 => {
                if let Some(ping) = self.random_ping(rng).map(|place| self.pings[place]) {
                    self.add_ping(ping);
                }
            }
            _ => {
                // A device is erased from a store's day.
                if let Some(place) = self.random_ping(rng) {
                    let ping = self.pings[place];
                    let device = DeviceDay {
                        brand: ping.brand,
                        store: ping.store,
                        salt_day: ping.salt_day,
                        token: Token(ping.device),
                    };
                    self.events.push(Event::DropDevice { device });
                }
            }
        }
    }

    /// The generator of a random brand.
    pub(super) fn generator(&mut self, rng: &mut ChaCha8Rng) -> &mut RecordGenerator {
        let place = rng.random_range(0..self.generators.len());
        &mut self.generators[place]
    }

    /// The generator of a brand.
    pub(super) fn generator_of(&mut self, brand: BrandId) -> &mut RecordGenerator {
        let place = self.generators.iter().position(|of| of.brand == brand);
        &mut self.generators[place.unwrap_or_default()]
    }

    /// A random inserted record, mostly a recent one, if there is any.
    pub(super) fn earlier(&self, rng: &mut ChaCha8Rng) -> Option<Put> {
        let from = match rng.random_bool(0.5) {
            true => self.puts.len().saturating_sub(10),
            false => 0,
        };
        let recent = self.puts.get(from..).filter(|recent| !recent.is_empty())?;
        recent.get(rng.random_range(0..recent.len())).cloned()
    }

    /// Corrects an inserted record.
    fn correct_earlier(&mut self, rng: &mut ChaCha8Rng) {
        if let Some((key, before, record)) = self.earlier(rng) {
            let generator = self.generator_of(record.brand);
            let record = generator.correction(rng, &record);
            let version = match rng.random_bool(0.5) {
                true => before,
                false => version(rng),
            };
            self.put(key, version, record);
        }
    }

    /// Inserts a record.
    pub(super) fn put(&mut self, key: RecordKey, version: i64, record: Record) {
        self.announce_labels(record.brand, &labels(&record));
        self.puts.push((key, version, record.clone()));
        if self.held.get(&key).is_none_or(|held| version >= held.0) {
            self.held.insert(key, (version, record.clone()));
        }
        let arrival = self.arrive();
        self.events.push(Event::Put {
            key,
            version,
            arrival,
            record,
        });
    }

    /// Drops the key of an inserted record.
    fn drop_earlier(&mut self, rng: &mut ChaCha8Rng) {
        if let Some((key, _, _)) = self.earlier(rng) {
            self.drop_key(key);
        }
    }

    /// Drops a key.
    pub(super) fn drop_key(&mut self, key: RecordKey) {
        self.held.remove(&key);
        let arrival = self.arrive();
        self.events.push(Event::Drop { key, arrival });
    }

    /// The next position: mostly the next line but one of the same message, so that a retraction
    /// fits between two positions.
    fn arrive(&mut self) -> Arrival {
        self.arrived.line += 2;
        if self.arrived.line > 7 {
            self.arrived.message += 1;
            self.arrived.line = 0;
        }
        self.arrived
    }

    /// Adds up to seven pings of a device, with gaps up to more than half an hour.
    fn add_ping_burst(&mut self, rng: &mut ChaCha8Rng) {
        let store = store(rng);
        let generator = self.generator(rng);
        let brand = generator.brand;
        let (device, random) = generator.pools.device(rng);
        let mut second = generator.pools.moment(rng).div_euclid(1000);
        let mut pings = Vec::new();
        for _ in 0..rng.random_range(1..8) {
            pings.push(Ping {
                brand,
                store,
                device,
                random,
                salt_day: generator.pools.salt_day(second),
                second,
                // Hardly ever two pings of one second disagree about the clock.
                utc_offset: generator.pools.utc_offset(second)
                    + 3_600 * i32::from(rng.random_bool(0.01)),
                rssi: pick(rng, [-127, -90, -76, -75, -74, -60, -50, 20]),
                offline_cookie: rng.random_bool(0.3).then(|| bodies::cookie(rng)),
            });
            second += pick(rng, [0, 1, 30, 59, 60, 61, 600, 1799, 1800, 1801, 3600]);
        }
        self.announce_labels(brand, &[store]);
        let first = pings.first().map_or(second, |ping| ping.second);
        for ping in pings {
            self.add_ping(ping);
        }
        for _ in 0..pick(rng, [0, 0, 0, 1, 1, 2]) {
            let generator = self.generator_of(brand);
            let (key, record) = generator.sighting_near(rng, store, first);
            self.put(key, 0, record);
        }
    }

    /// Adds pings of many new devices in a store within a few seconds.
    fn add_crowd(&mut self, rng: &mut ChaCha8Rng) {
        let store = store(rng);
        let generator = self.generator(rng);
        let brand = generator.brand;
        let first = generator.pools.moment(rng).div_euclid(1000);
        let random = rng.random_bool(0.5);
        let mut pings = Vec::new();
        for _ in 0..rng.random_range(8..40) {
            let second = first + rng.random_range(0..3);
            pings.push(Ping {
                brand,
                store,
                device: rng.random(),
                random,
                salt_day: generator.pools.salt_day(second),
                second,
                utc_offset: generator.pools.utc_offset(second),
                rssi: pick(rng, [-90, -60]),
                offline_cookie: None,
            });
        }
        self.announce_labels(brand, &[store]);
        pings.into_iter().for_each(|ping| self.add_ping(ping));
    }

    /// Adds a ping.
    fn add_ping(&mut self, ping: Ping) {
        self.pings.push(ping);
        self.events.push(Event::Ping { ping });
    }

    /// The index of a random ping, if there is any.
    fn random_ping(&self, rng: &mut ChaCha8Rng) -> Option<usize> {
        (!self.pings.is_empty()).then(|| rng.random_range(0..self.pings.len()))
    }

    /// Announces the names of labels that were not announced before.
    fn announce_labels(&mut self, brand: BrandId, labels: &[Label]) {
        for label in labels {
            if let Some(word) = self
                .vocabulary
                .get(label)
                .filter(|_| self.announced.insert((brand, *label)))
            {
                self.events.push(Event::LabelName {
                    brand,
                    label: *label,
                    word: word.clone(),
                });
            }
        }
    }
}

/// A random version, mostly 0.
pub(super) fn version(rng: &mut ChaCha8Rng) -> i64 {
    match rng.random_range(0..12) {
        0 => 1,
        1 => 2,
        2 => -1,
        3 => pick(rng, [i64::MIN, i64::MAX, 3, 1]),
        _ => 0,
    }
}
