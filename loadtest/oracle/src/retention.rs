//! Retention: records past their retention period are dropped, day by day.
//!
//! A [`RetentionModel`] receives all events in the order of arrival. Whenever the clock reaches a
//! new UTC day it makes a pass over the stored records, and appends a drop of every record that has
//! expired. Which records have expired depends on the stored records and the day alone:
//!
//! - a contact, an identification, a sale, a refund, an adjustment or a statement of consent that
//!   is older than the months of its category;
//! - every contact and identification of a cookie that occurs in a web record older than the months
//!   of cookies, orders included;
//! - a push or an open of a wallet pass that is older than the months of cookies;
//! - a sighting or an exposure that a partner reports, older than the months of its category;
//! - of a person without a record within the months of identification, rights aside, every older
//!   record except statements of consent and rights.
//!
//! A record older than the months of its own category on arrival never counts. Links end by the
//! same clock: before a pass its day becomes the time as of which their age is determined.
//!
//! Periods are whole calendar months, counted back from the current day in the brand's time zone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, Body, BrandId, Day, IdKind, Pseudonym, Record, RecordKey, SaleKind,
};
use tributary_operators::settings::{BrandSettings, Settings};

use crate::consent::allowed_records;
use crate::identity::Identity;
use crate::matching::settle;
use crate::person::Person;
use crate::stored::{fold_events, held};
use crate::touch::contact_of;

/// One day in milliseconds.
const DAY: i64 = 86_400_000;

/// The retention periods of a brand, in calendar months.
#[derive(Clone, Debug)]
pub struct RetentionPeriods {
    /// For contacts and identifications, from the first record of their cookie.
    pub cookies: i32,
    /// For sales, refunds and adjustments.
    pub transactions: i32,
    /// For statements of consent.
    pub consent: i32,
    /// For persons, from the last record with one of their identifiers.
    pub identification: i32,
    /// For sightings by partners.
    pub visits: i32,
    /// For exposures that partners report.
    pub exposures: i32,
    /// The time zone of the brand, which defines its days and months.
    pub zone: TimeZone,
}

/// The times before which records have expired, Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Cutoffs {
    /// For contacts and identifications.
    pub web: i64,
    /// For sales, refunds and adjustments.
    pub transactions: i64,
    /// For statements of consent.
    pub consent: i64,
    /// For the last record of a person.
    pub persons: i64,
    /// For sightings by partners.
    pub visits: i64,
    /// For exposures that partners report.
    pub exposures: i64,
}

impl RetentionPeriods {
    /// The cutoffs on the day of a time, Unix milliseconds.
    ///
    /// ```
    /// use tributary_oracle::retention::RetentionPeriods;
    ///
    /// let periods = RetentionPeriods {
    ///     cookies: 1,
    ///     transactions: 12,
    ///     consent: 12,
    ///     identification: 3,
    ///     visits: 12,
    ///     exposures: 12,
    ///     zone: jiff::tz::TimeZone::UTC,
    /// };
    /// let noon: jiff::Timestamp = "2024-03-31T12:00:00Z".parse().unwrap();
    /// let cutoffs = periods.cutoffs(noon.as_millisecond());
    /// // The month of February 29 ended on March 29: of February nothing is left.
    /// let first: jiff::Timestamp = "2024-03-01T00:00:00Z".parse().unwrap();
    /// assert_eq!(cutoffs.web, first.as_millisecond());
    /// ```
    pub fn cutoffs(&self, now: i64) -> Cutoffs {
        let before = |months: i32| {
            let today = Timestamp::from_millisecond(now).ok()?;
            let today = today.to_zoned(self.zone.clone()).start_of_day().ok()?;
            let mut first = today.date().checked_sub(months.months()).ok()?;
            // A record stays to the end of the day on which its months are over.
            while first.checked_add(months.months()).ok()? < today.date() {
                first = first.tomorrow().ok()?;
            }
            let begin = first.to_zoned(self.zone.clone()).ok()?;
            Some(begin.timestamp().as_millisecond())
        };
        let before = |months| before(months).unwrap_or(i64::MIN);
        Cutoffs {
            web: before(self.cookies),
            transactions: before(self.transactions),
            consent: before(self.consent),
            persons: before(self.identification),
            visits: before(self.visits),
            exposures: before(self.exposures),
        }
    }
}

impl Cutoffs {
    /// The cutoff for the own time of a record; the earliest time if the record has no period.
    fn own(&self, body: &Body) -> i64 {
        match body {
            body if is_of_cookies(body) => self.web,
            Body::Sale { .. }
            | Body::Refund { .. }
            | Body::Restatement { .. }
            | Body::Adjustment { .. } => self.transactions,
            Body::Consent { .. } => self.consent,
            Body::Sighting { .. } | Body::SettledVisit { .. } | Body::PanelMember { .. } => {
                self.visits
            }
            Body::Exposure { .. } => self.exposures,
            _ => i64::MIN,
        }
    }

    /// The latest of the cutoffs: no newer record can have expired.
    fn latest(&self) -> i64 {
        let sooner = self.web.max(self.transactions);
        let of_partners = self.visits.max(self.exposures);
        sooner.max(self.consent).max(self.persons).max(of_partners)
    }
}

/// Whether a record has the period of cookies: a contact, an identification, or a message to the holder of a pass.
fn is_of_cookies(body: &Body) -> bool {
    let is_exposure = matches!(body, Body::Exposure { .. });
    is_visit(body) || contact_of(body).is_some() && !is_exposure
}

/// Whether a record is a contact or an identification.
fn is_visit(body: &Body) -> bool {
    matches!(body, Body::Contact { .. } | Body::Identify)
}

/// Whether a record comes from the web: a contact, an identification, an order, or a refund or
/// adjustment of one.
fn is_from_the_web(body: &Body) -> bool {
    is_visit(body)
        || match body {
            Body::Sale { kind, .. } | Body::Adjustment { kind, .. } => *kind == SaleKind::Order,
            Body::Refund { store, .. } | Body::Restatement { store, .. } => *store == Label::ABSENT,
            _ => false,
        }
}

/// The starts of the UTC days after `from` up to `to`, Unix milliseconds. `from` is a day, `to` a
/// time.
fn days(from: Option<i64>, to: i64) -> impl Iterator<Item = i64> {
    let today = to.div_euclid(DAY);
    (from.unwrap_or(today) + 1..=today).map(|day| day * DAY)
}

/// Applies the retention periods of all brands to a sequence of events.
///
/// The caller alternates [`Self::advance_clock`] and [`Self::receive`]; [`Self::events`] are then
/// the input of [`crate::fold_events`].
pub struct RetentionModel<'a> {
    settings: &'a Settings,
    periods: &'a BTreeMap<BrandId, RetentionPeriods>,
    /// The day of the clock, in days since 1970; `None` before it was first set.
    day: Option<i64>,
    /// All events so far, with the drops of expired records.
    events: Vec<Event>,
    /// A lower bound on the time of the stored records of each brand, so that days without expired
    /// records cost nothing.
    oldest: BTreeMap<BrandId, i64>,
    /// The number of expired records.
    dropped: u64,
    /// For a brand and a time in Unix milliseconds, the first salt day whose sightings are not settled;
    /// `None` if they never are.
    settles: Option<Unsettled<'a>>,
    /// The salt days of each brand with sightings that are not settled.
    sightings: BTreeMap<BrandId, BTreeSet<Day>>,
}

/// See [`RetentionModel::settling`].
type Unsettled<'a> = Box<dyn Fn(BrandId, i64) -> Option<Day> + 'a>;

impl<'a> RetentionModel<'a> {
    /// A model for the brands with retention periods.
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
            settles: None,
            sightings: BTreeMap::new(),
        }
    }

    /// Lets the passes settle sightings. `first` is the first salt day of a brand that is not settled at a
    /// time, Unix milliseconds; `None` for a brand whose sightings never are.
    pub fn settling(self, first: impl Fn(BrandId, i64) -> Option<Day> + 'a) -> RetentionModel<'a> {
        RetentionModel {
            settles: Some(Box::new(first)),
            ..self
        }
    }

    /// Advances the clock to a time, Unix milliseconds; an earlier time than before has no effect.
    /// Makes a pass for each day that has begun, and drops expired records at `place` in the order
    /// of arrival, which is after all events so far and before all later ones.
    pub fn advance_clock(&mut self, at: i64, place: Arrival) {
        for now in days(self.day, at) {
            // Both look at what was stored before.
            let settled = self.settle(now);
            self.pass(now, place);
            settled.into_iter().for_each(|event| self.add(event));
        }
        self.day = self.day.max(Some(at.div_euclid(DAY)));
    }

    /// Adds an event that arrives at a time, Unix milliseconds, unless it is a record that has
    /// expired by then. Returns whether it was added.
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

    /// Adds an event unconditionally.
    pub fn add(&mut self, event: Event) {
        if let Event::Put { record, .. } = &event
            && !matches!(record.body, Body::Spend { .. } | Body::Right { .. })
        {
            let oldest = self.oldest.entry(record.brand).or_insert(record.ts);
            *oldest = record.ts.min(*oldest);
        }
        if let Event::Put { record, .. } = &event
            && let Body::Sighting { salt_day, .. } = record.body
        {
            let days = self.sightings.entry(record.brand).or_default();
            days.insert(salt_day);
        }
        self.events.push(event);
    }

    /// The events that settle sightings at a time, Unix milliseconds.
    fn settle(&mut self, now: i64) -> Vec<Event> {
        let mut events = Vec::new();
        for (&id, settings) in &self.settings.brands {
            let first = self.settles.as_ref().and_then(|first| first(id, now));
            let days = self.sightings.entry(id).or_default();
            let Some(before) = first.filter(|before| days.range(..*before).next().is_some()) else {
                continue;
            };
            *days = days.split_off(&before);
            let held = fold_events(&self.events);
            events.extend(settle((id, settings), &held, before));
        }
        events
    }

    /// All events so far, with the drops of expired records.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The number of records dropped because they expired.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Drops the expired records of all brands at a time, Unix milliseconds.
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

/// The stored records of a brand that have expired, by the three rules of this module.
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
            || is_of_cookies(&record.body) && names(&old_cookies)
            || !stays_with_idle && record.ts < cutoffs.persons && names(&idle)
    };
    let expired = held.iter().filter(|(_, record)| has_expired(record));
    expired.map(|(key, _)| *key).collect()
}

/// The identifiers of persons without interaction: no record with any of their identifiers is newer
/// than `since`, rights aside.
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
