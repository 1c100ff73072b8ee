//! The records of a random world: their sources, contents, times and identifiers.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tributary_operators::label::Label;
use tributary_operators::record::{Body, BrandId, IdSet, Record, RecordKey, SaleKind, SaleName};

use super::bodies::{self, Bodies};
use super::pick::pick;
use super::pools::Pools;
use super::statements::{self, StatementTimes};
use super::vocabulary::{CHANNELS, PARTNERS, PASSES, PLATFORMS, SHARED_IDS, TILLS, WEB, channel};

/// One hour in milliseconds.
const MS_PER_HOUR: i64 = 3_600_000;
/// One day in milliseconds.
const MS_PER_DAY: i64 = 24 * MS_PER_HOUR;

/// Generates the records of one brand.
pub(super) struct RecordGenerator {
    /// The brand.
    pub(super) brand: BrandId,
    /// Its population.
    pub(super) pools: Pools,
    /// The contents and names that it has used.
    bodies: Bodies,
    /// The times of its statements.
    statement_times: StatementTimes,
}

impl RecordGenerator {
    /// A generator with a random population.
    pub(super) fn new(rng: &mut ChaCha8Rng, brand: BrandId, size: usize) -> RecordGenerator {
        RecordGenerator {
            brand,
            pools: Pools::random(rng, size),
            bodies: Bodies::new(size),
            statement_times: StatementTimes::default(),
        }
    }

    /// A record with its key, which is new or, by chance, known.
    pub(super) fn record(&mut self, rng: &mut ChaCha8Rng) -> (RecordKey, Record) {
        if rng.random_bool(0.06) {
            return self.spend(rng);
        }
        let web_or_till = [WEB[0], WEB[0], WEB[1], TILLS[0], TILLS[1]];
        let source = match rng.random_range(0..10) {
            0..=1 => PASSES,
            2 => PARTNERS,
            _ => pick(rng, web_or_till),
        };
        let id = match rng.random_bool(0.2) {
            true => pick(rng, SHARED_IDS).to_string(),
            false => self.bodies.fresh_id(),
        };
        let record = self.random_record(rng, Label::of(source), &id);
        (self.key(source, &id), record)
    }

    /// The path of a household to a purchase: up to eight contacts in the order of time, some at
    /// the same time, and mostly a sale.
    pub(super) fn journey(&mut self, rng: &mut ChaCha8Rng) -> Vec<(RecordKey, Record)> {
        let home = self.pools.home(rng);
        let mut ts = self.pools.moment(rng);
        let mut records = Vec::new();
        for _ in 0..rng.random_range(1..9) {
            let (source, id) = (pick(rng, WEB), self.bodies.fresh_id());
            let body = bodies::contact(rng);
            records.push(self.step(rng, source, &id, ts, home, body));
            ts += pick(rng, [0, 0, 1, 2, 24, 30]) * MS_PER_HOUR;
        }
        let id = self.bodies.fresh_id();
        match rng.random_range(0..6) {
            0..=1 => {
                let body = self.bodies.order(rng, &id);
                records.push(self.step(rng, WEB[0], &id, ts, home, body));
            }
            2..=3 => {
                let body = self.bodies.transaction(rng, &id);
                records.push(self.step(rng, TILLS[0], &id, ts, home, body));
            }
            _ => {}
        }
        records
    }

    /// The same sale reported by another source of its kind, or by the same source under another
    /// ID: mostly at the same time, with another amount. `None` if the record is not a sale.
    pub(super) fn duplicate_sale(
        &mut self,
        rng: &mut ChaCha8Rng,
        record: &Record,
    ) -> Option<(RecordKey, Record)> {
        let Body::Sale { kind, name, .. } = record.body else {
            return None;
        };
        let (source, id) = match kind {
            // A transaction is named by its id.
            SaleKind::Transaction | SaleKind::Visit => (pick(rng, TILLS), record.id.to_string()),
            SaleKind::Order => match rng.random_range(0..4) {
                0..=1 => (pick(rng, WEB), record.id.to_string()),
                2 => (pick(rng, WEB), pick(rng, SHARED_IDS).to_string()),
                _ => (pick(rng, WEB), self.bodies.fresh_id()),
            },
        };
        let ts = record.ts + pick(rng, [0, 0, 0, 1, -1]) * MS_PER_HOUR;
        let home = self.pools.home(rng);
        let name = match name.is_of_record() {
            true => SaleName::of_record(&id),
            false => name,
        };
        let body = self.bodies.sale(rng, kind, name);
        Some(self.step(rng, source, &id, ts, home, body))
    }

    /// A record of a journey with its key; it always has an identifier.
    fn step(
        &self,
        rng: &mut ChaCha8Rng,
        source: &str,
        id: &str,
        ts: i64,
        home: usize,
        body: Body,
    ) -> (RecordKey, Record) {
        let record = Record {
            brand: self.brand,
            source: Label::of(source),
            id: id.into(),
            ts,
            day: self.pools.day(ts.div_euclid(1000)),
            ids: self.pools.ids(rng, home, 1),
            body,
        };
        (self.key(source, id), record)
    }

    /// A statement with its key, which is new or, by chance, known. `near` is a record of the
    /// person that makes it.
    ///
    /// Half of the statements near another statement state the opposite, after all others. Three of
    /// ten are attached to a record and have no ID.
    pub(super) fn statement(
        &mut self,
        rng: &mut ChaCha8Rng,
        near: Option<&Record>,
    ) -> (RecordKey, Record) {
        let source = pick(rng, [WEB[0], WEB[1], TILLS[0], TILLS[1]]);
        let id = match rng.random_bool(0.05) {
            true => pick(rng, SHARED_IDS).to_string(),
            false => self.bodies.fresh_id(),
        };
        let mut record = self.random_statement(rng, Label::of(source), &id, near);
        // Some ride on a record: the same source and identifiers under a key of their own.
        let rides = rng.random_bool(0.3);
        let opposite = near.and_then(|near| Some((near, statements::opposite(&near.body)?)));
        if let Some((near, opposite)) = opposite.filter(|_| rng.random_bool(0.5)) {
            record.ids = near.ids.clone();
            record.ts = self.statement_times.after_all();
            record.day = self.pools.day(record.ts.div_euclid(1000));
            record.body = opposite;
        }
        if rides {
            record.id = "".into();
            return (self.attached_key(&record), record);
        }
        (self.key(source, &id), record)
    }

    /// A statement that replaces the content of a record.
    pub(super) fn restate(&mut self, rng: &mut ChaCha8Rng, record: &Record) -> Record {
        let other = self.random_statement(rng, record.source, &record.id, Some(record));
        match rng.random_range(0..4) {
            0 => Record {
                ts: record.ts,
                day: record.day,
                ..other
            },
            1 => Record {
                ids: record.ids.clone(),
                ..other
            },
            _ => other,
        }
    }

    /// A statement under an ID. `near` is a record of the person that makes it.
    fn random_statement(
        &mut self,
        rng: &mut ChaCha8Rng,
        source: Label,
        id: &str,
        near: Option<&Record>,
    ) -> Record {
        let any = self.pools.moment(rng);
        let ts = self.statement_times.next(rng, any);
        let ids = match near.filter(|_| rng.random_bool(0.8)) {
            Some(near) => statements::about(rng, &near.ids),
            None => {
                let home = self.pools.home(rng);
                self.pools.ids(rng, home, 0)
            }
        };
        Record {
            brand: self.brand,
            source,
            id: id.into(),
            ts,
            day: self.pools.day(ts.div_euclid(1000)),
            ids,
            body: statements::statement(rng),
        }
    }

    /// Another content under the key of a record: everything new, or only its identifiers, its time
    /// or its body. A row of spend keeps its platform and channel, which are its key.
    pub(super) fn correction(&mut self, rng: &mut ChaCha8Rng, record: &Record) -> Record {
        let mut correction = record.clone();
        if let Body::Spend {
            platform, channel, ..
        } = record.body
        {
            correction.body = bodies::spend(rng, platform, channel);
            return correction;
        }
        let other = self.random_record(rng, record.source, &record.id);
        match rng.random_range(0..5) {
            0 => correction.ids = other.ids,
            1 => (correction.ts, correction.day) = (other.ts, other.day),
            2 => correction.body = other.body,
            _ => correction = other,
        }
        // A sighting ends no earlier than it begins.
        if let Body::Sighting {
            salt_day, until, ..
        } = &mut correction.body
        {
            *salt_day = self.pools.salt_day(correction.ts.div_euclid(1000));
            *until = correction.ts.max(*until);
        }
        correction
    }

    /// A sighting of a household's device near a second, in a store.
    pub(super) fn sighting_near(
        &mut self,
        rng: &mut ChaCha8Rng,
        store: Label,
        second: i64,
    ) -> (RecordKey, Record) {
        let id = match rng.random_bool(0.05) {
            true => pick(rng, SHARED_IDS).to_string(),
            false => self.bodies.fresh_id(),
        };
        let mut record = self.random_record(rng, Label::of(PARTNERS), &id);
        record.ts = second * 1000 + pick(rng, [0, 0, 999, -60_000, 600_000, -1_800_000, 5_400_000]);
        let second = record.ts.div_euclid(1000);
        record.day = self.pools.day(second);
        let salt_day = self.pools.salt_day(second);
        record.body = match bodies::sighting(rng, record.ts, salt_day) {
            Body::Sighting {
                until,
                blur,
                cookie,
                ..
            } => Body::Sighting {
                store,
                salt_day,
                until,
                blur,
                cookie,
            },
            other => other,
        };
        (self.key(PARTNERS, &id), record)
    }

    /// A record of a source under an ID.
    fn random_record(&mut self, rng: &mut ChaCha8Rng, source: Label, id: &str) -> Record {
        let ts = self.pools.moment(rng);
        let home = self.pools.home(rng);
        Record {
            brand: self.brand,
            source,
            id: id.into(),
            ts,
            day: self.pools.day(ts.div_euclid(1000)),
            ids: match source {
                _ if source == Label::of(PASSES) => self.pools.ids_of_pass(rng, home),
                _ if source == Label::of(PARTNERS) => self.pools.ids_of_phone(rng, home),
                _ => self.pools.ids(rng, home, 0),
            },
            body: match TILLS.map(Label::of).contains(&source) {
                _ if source == Label::of(PASSES) => bodies::wallet(rng),
                _ if source == Label::of(PARTNERS) => {
                    let salt_day = self.pools.salt_day(ts.div_euclid(1000));
                    bodies::of_partner(rng, ts, salt_day)
                }
                true => self.bodies.till(rng, id),
                false => self.bodies.web(rng, id),
            },
        }
    }

    /// What a platform charged on a day, with the key of platform, channel and day.
    fn spend(&mut self, rng: &mut ChaCha8Rng) -> (RecordKey, Record) {
        let (platform, words) = (pick(rng, PLATFORMS), pick(rng, CHANNELS));
        let date = self.pools.moment(rng).div_euclid(MS_PER_DAY);
        let [source, medium, campaign] = words.map(str::as_bytes);
        let parts = [
            platform.as_bytes(),
            source,
            medium,
            campaign,
            &date.to_le_bytes(),
        ];
        let record = Record {
            brand: self.brand,
            source: Label::of(WEB[0]),
            id: "".into(),
            ts: date * MS_PER_DAY,
            day: date as i32,
            ids: IdSet::empty(),
            body: bodies::spend(rng, Label::of(platform), channel(words)),
        };
        (RecordKey::of(&self.brand.0.to_string(), &parts), record)
    }

    /// The key of a statement that is attached to a record: one for each combination of content,
    /// identifiers and day.
    fn attached_key(&self, record: &Record) -> RecordKey {
        let said = format!("{:?}", record.body);
        let (set, day) = (record.ids.key().to_le_bytes(), record.day.to_le_bytes());
        RecordKey::of(&self.brand.0.to_string(), &[said.as_bytes(), &set, &day])
    }

    /// The key of a record: its source and ID.
    fn key(&self, source: &str, id: &str) -> RecordKey {
        RecordKey::of(
            &self.brand.0.to_string(),
            &[source.as_bytes(), id.as_bytes()],
        )
    }
}
