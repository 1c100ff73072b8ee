//! Retention: what is past its time is dropped, day after day.
//!
//! Told of everything in the order of arrival, a [`RetentionModel`] passes over what is held whenever a UTC day begins by the
//! clock, and adds a drop of every record that is past its time. What is past its time follows from what is held at that
//! moment and from the day alone:
//!
//! - a web record but orders and their refunds, a sale, refund or adjustment, and a statement of consent, each that is
//!   older than the months of its category;
//! - all such web records of a cookie that a web record older than the months names, be it an order;
//! - of a person without a record within the months, rights aside, whatever is older, but statements
//!   of consent and rights.
//!
//! Besides, what is older than the months of its own category when it arrives never counts.
//!
//! By the same clock links end: before a pass its day becomes their reference time.
//!
//! The months are whole calendar months, counted back from the day of the brand's time zone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, Body, BrandId, IdKind, Pseudonym, Record, RecordKey, SaleKind,
};
use tributary_operators::settings::{BrandSettings, Settings};

use crate::consent::allowed_records;
use crate::identity::Identity;
use crate::person::Person;
use crate::stored::held;

const DAY: i64 = 86_400_000;

/// For how many calendar months a brand holds what.
#[derive(Clone, Debug)]
pub struct RetentionPeriods {
    /// Web records, from the first of their cookie.
    pub cookies: i32,
    /// Sales, refunds, adjustments.
    pub transactions: i32,
    /// Statements of consent.
    pub consent: i32,
    /// Persons, from the last record that names them.
    pub identification: i32,
    /// Whose days and months they are.
    pub zone: TimeZone,
}

/// The moments before which things are past their time, Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Cutoffs {
    /// Web records.
    pub web: i64,
    /// Sales, refunds, adjustments.
    pub transactions: i64,
    /// Statements of consent.
    pub consent: i64,
    /// The last record that names a person.
    pub persons: i64,
}

impl RetentionPeriods {
    /// What is past its time on the day of a moment, Unix milliseconds.
    pub fn cutoffs(&self, now: i64) -> Cutoffs {
        let before = |months: i32| {
            let today = Timestamp::from_millisecond(now).ok()?;
            let today = today.to_zoned(self.zone.clone()).start_of_day().ok()?;
            let first = today.date().checked_sub(months.months()).ok()?;
            let begin = first.to_zoned(self.zone.clone()).ok()?;
            Some(begin.timestamp().as_millisecond())
        };
        let before = |months| before(months).unwrap_or(i64::MIN);
        Cutoffs {
            web: before(self.cookies),
            transactions: before(self.transactions),
            consent: before(self.consent),
            persons: before(self.identification),
        }
    }
}

impl Cutoffs {
    /// Before when a record is past its own time; never where it stays.
    fn own(&self, body: &Body) -> i64 {
        match body {
            body if is_visit(body) => self.web,
            Body::Sale { .. } | Body::Refund { .. } | Body::Adjustment { .. } => self.transactions,
            Body::Consent { .. } => self.consent,
            _ => i64::MIN,
        }
    }

    /// Before when anything may be past its time.
    fn latest(&self) -> i64 {
        let sooner = self.web.max(self.transactions);
        sooner.max(self.consent).max(self.persons)
    }
}

fn is_visit(body: &Body) -> bool {
    matches!(body, Body::Contact { .. } | Body::Identify)
}

/// Whether a record comes from the web: a visit, or what an online shop says of money.
fn is_from_the_web(body: &Body) -> bool {
    is_visit(body)
        || match body {
            Body::Sale { kind, .. } | Body::Adjustment { kind, .. } => *kind == SaleKind::Order,
            Body::Refund { store, .. } => *store == Label::ABSENT,
            _ => false,
        }
}

/// The beginnings of the UTC days that begin where the clock has_expired on to a time, from a day or from nowhere: Unix
/// milliseconds.
fn days(from: Option<i64>, to: i64) -> impl Iterator<Item = i64> {
    let today = to.div_euclid(DAY);
    (from.unwrap_or(today) + 1..=today).map(|day| day * DAY)
}

/// Keeps the retention of a world by its clock.
pub struct RetentionModel<'a> {
    settings: &'a Settings,
    periods: &'a BTreeMap<BrandId, RetentionPeriods>,
    /// The day of the clock, days since 1970; none before it was read.
    day: Option<i64>,
    events: Vec<Event>,
    /// The oldest of what may be held in each brand, so that days on which nothing can be past its time cost nothing.
    oldest: BTreeMap<BrandId, i64>,
    dropped: u64,
}

impl<'a> RetentionModel<'a> {
    /// Keeps it for the brands that have periods.
    pub fn new(
        settings: &'a Settings,
        periods: &'a BTreeMap<BrandId, RetentionPeriods>,
    ) -> RetentionModel<'a> {
        RetentionModel {
            settings,
            periods,
            day: None,
            events: Vec::new(),
            oldest: BTreeMap::new(),
            dropped: 0,
        }
    }

    /// The clock stands at a time, Unix milliseconds; an earlier one than before turns nothing back. For each day that
    /// has begun a pass is made, and what is past its time is dropped at a place in the order of arrival: behind all
    /// events so far, and not behind those to come.
    pub fn advance_clock(&mut self, at: i64, place: Arrival) {
        for now in days(self.day, at) {
            self.pass(now, place);
        }
        self.day = self.day.max(Some(at.div_euclid(DAY)));
    }

    /// Something arrives at a time, Unix milliseconds. A record that is past its own time by then never counts. Whether it
    /// was taken.
    pub fn receive(&mut self, event: Event, at: i64) -> bool {
        let (brand, own, ts) = match &event {
            Event::Put { record, .. } => (record.brand, Some(&record.body), record.ts),
            Event::Evidence { brand, ts, .. } => (*brand, None, *ts),
            _ => {
                self.add(event);
                return true;
            }
        };
        let is_past = self.periods.get(&brand).is_some_and(|periods| {
            let cutoffs = periods.cutoffs(at);
            ts < own.map_or(cutoffs.consent, |body| cutoffs.own(body))
        });
        if !is_past {
            self.add(event);
        }
        !is_past
    }

    /// Something happens.
    pub fn add(&mut self, event: Event) {
        if let Event::Put { record, .. } = &event
            && !matches!(record.body, Body::Spend { .. } | Body::Right { .. })
        {
            let oldest = self.oldest.entry(record.brand).or_insert(record.ts);
            *oldest = record.ts.min(*oldest);
        }
        self.events.push(event);
    }

    /// All that has happened, with what was dropped for its age.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many records were dropped for their age.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn pass(&mut self, now: i64, arrival: Arrival) {
        for (&id, settings) in &self.settings.brands {
            let link_time = settings.link_ttl.iter().any(Option::is_some).then_some(now);
            if let Some(at) = link_time {
                self.events.push(Event::LinkTime { brand: id, at });
            }
            let Some(periods) = self.periods.get(&id) else {
                continue;
            };
            let cutoffs = periods.cutoffs(now);
            if self
                .oldest
                .get(&id)
                .is_none_or(|oldest| *oldest >= cutoffs.latest())
            {
                continue;
            }
            let mut held = held(&self.events);
            held.retain(|_, record| record.brand == id);
            let expired = expired_records(settings, &cutoffs, &held, link_time);
            let stays = held.iter().filter(|(key, _)| !expired.contains(key));
            let stays =
                stays.filter(|(_, r)| !matches!(r.body, Body::Spend { .. } | Body::Right { .. }));
            match stays.map(|(_, record)| record.ts).min() {
                Some(oldest) => self.oldest.insert(id, oldest),
                None => self.oldest.remove(&id),
            };
            self.dropped += expired.len() as u64;
            let drops = expired.into_iter().map(|key| Event::Drop { key, arrival });
            self.events.extend(drops);
        }
    }
}

/// What of the records held of a brand is past its time.
fn expired_records(
    settings: &BrandSettings,
    cutoffs: &Cutoffs,
    held: &BTreeMap<RecordKey, Record>,
    link_time: Option<i64>,
) -> BTreeSet<RecordKey> {
    let cookies = |record: &Record| -> Vec<Pseudonym> {
        let ids = record.ids.ids().iter();
        ids.filter(|id| id.kind == IdKind::Cookie)
            .map(|id| id.pseudonym)
            .collect()
    };
    let placed_early = held
        .values()
        .filter(|record| is_from_the_web(&record.body) && record.ts < cutoffs.web);
    let old_cookies: BTreeSet<Pseudonym> = placed_early.flat_map(cookies).collect();
    let idle = idle(settings, cutoffs.persons, held, link_time);

    let has_expired = |record: &Record| {
        let names = |pseudonyms: &BTreeSet<Pseudonym>| {
            let mut ids = record.ids.ids().iter();
            ids.any(|id| pseudonyms.contains(&id.pseudonym))
        };
        let stays_with_idle = matches!(record.body, Body::Consent { .. } | Body::Right { .. });
        record.ts < cutoffs.own(&record.body)
            || is_visit(&record.body) && names(&old_cookies)
            || !stays_with_idle && record.ts < cutoffs.persons && names(&idle)
    };
    let expired = held.iter().filter(|(_, record)| has_expired(record));
    expired.map(|(key, _)| *key).collect()
}

/// The identifiers of the persons without interaction since: no record names any of their identifiers that is not
/// older, but for rights.
fn idle(
    settings: &BrandSettings,
    since: i64,
    held: &BTreeMap<RecordKey, Record>,
    link_time: Option<i64>,
) -> BTreeSet<Pseudonym> {
    let records: Vec<&Record> = held.values().collect();
    let identity = Identity::of(settings, &allowed_records(settings, &records, link_time));
    let newer = records
        .iter()
        .filter(|record| record.ts >= since && !matches!(record.body, Body::Right { .. }));
    let named: BTreeSet<Pseudonym> = newer
        .flat_map(|record| record.ids.ids().iter().map(|id| id.pseudonym))
        .collect();
    let is_idle = |person: &Person| {
        let members = identity.members(&BTreeSet::from([*person]));
        members.is_disjoint(&named)
    };
    identity.members(&identity.persons().filter(is_idle).collect())
}
