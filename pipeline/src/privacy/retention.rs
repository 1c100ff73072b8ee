//! Retention: how long the records of a brand are held, by category and in whole calendar months.
//!
//! [`Category`] says which records belong together and from when their time counts. Spend is about nobody and stays. A right
//! in force stays until it is withdrawn or its person is erased.
//!
//! A record that is past its own retention when it arrives is refused at once ([`ArrivalFilter`]), by the time of its arrival,
//! so that neither the records before it nor the passes made since make a difference. What becomes past its retention later is
//! retracted by a pass ([`crate::privacy::retention_pass`]).

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use tributary_config::model::{Brand, Config};
use tributary_connectors::clock::BrandClock;
use tributary_operators::event::Event;
use tributary_operators::record::{Body, BrandId, Day, Record};
pub use tributary_operators::retention_query::Category;
use tributary_operators::retention_query::Horizons;

/// For how long the records of a brand are held.
#[derive(Clone, Debug)]
pub struct Retention {
    chosen: tributary_config::model::Retention,
    zone: TimeZone,
}

impl Retention {
    /// The retention that a brand has chosen, in the calendar of its time zone.
    pub fn of(brand: &Brand) -> Retention {
        Retention {
            chosen: brand.retention.clone(),
            zone: brand.timezone.clone(),
        }
    }

    /// The calendar months of a category.
    pub fn months(&self, category: Category) -> u32 {
        match category {
            Category::Cookies => self.chosen.cookies_months,
            Category::Transactions => self.chosen.transactions_months,
            Category::Consent => self.chosen.consent_months,
            Category::Identification => self.chosen.identification_months,
        }
    }

    /// The first day on which a category is held on the day of `now`, Unix milliseconds: so many calendar months
    /// before. None where the calendar ends: nothing is past its time.
    pub fn first_day(&self, category: Category, now: i64) -> Option<Date> {
        let day = Timestamp::from_millisecond(now).ok()?;
        let day = day.to_zoned(self.zone.clone()).date();
        day.checked_sub(span(self.months(category))?).ok()
    }

    /// From when on each category is held on the day of `now`, Unix milliseconds: from the beginning of its first day.
    pub fn cutoffs(&self, now: i64) -> Horizons {
        let from = |category| {
            let day = self.first_day(category, now)?;
            let begin = day.to_zoned(self.zone.clone()).ok()?;
            Some(begin.timestamp().as_millisecond())
        };
        let from = |category| from(category).unwrap_or(i64::MIN);
        Horizons {
            cookies: from(Category::Cookies),
            transactions: from(Category::Transactions),
            consent: from(Category::Consent),
            identification: from(Category::Identification),
        }
    }

    /// The first day after the retention of a record's own category, as `2027-12-24`; none where the record stays.
    pub fn until(&self, record: &Record) -> Option<String> {
        let months = self.months(Category::of(&record.body)?);
        let day = Timestamp::from_millisecond(record.ts).ok()?;
        let day = day.to_zoned(self.zone.clone()).date();
        let end = day
            .checked_add(span(months)?)
            .ok()?
            .checked_add(1.day())
            .ok()?;
        Some(end.to_string())
    }
}

fn span(months: u32) -> Option<Span> {
    Span::new().try_months(i64::from(months)).ok()
}

/// Judges what arrives: a record that is past its retention by then never counts, whatever is held or comes later.
#[derive(Clone)]
pub struct ArrivalFilter {
    brands: BTreeMap<BrandId, OfBrand>,
}

#[derive(Clone)]
struct OfBrand {
    retention: Retention,
    clock: BrandClock,
    /// The cutoffs of the day of the arrival before.
    of_day: Option<(Day, Horizons)>,
}

impl ArrivalFilter {
    /// By the retentions of a configuration's brands.
    pub fn new(config: &Config) -> ArrivalFilter {
        let brands = config.brands.iter().map(|brand| {
            let of_brand = OfBrand {
                retention: Retention::of(brand),
                clock: BrandClock::new(&brand.timezone, 0),
                of_day: None,
            };
            (BrandId::of(&brand.name), of_brand)
        });
        ArrivalFilter {
            brands: brands.collect(),
        }
    }

    /// Whether what arrived at a time, Unix milliseconds, was past the retention of its category.
    pub fn refuses(&mut self, event: &Event, at: i64) -> bool {
        match event {
            Event::Put { record, .. } => {
                let cutoffs = self.cutoffs(record.brand, at);
                cutoffs.is_some_and(|cutoffs| cutoffs.expired_category(record).is_some())
            }
            Event::Evidence { brand, ts, .. } => {
                let cutoffs = self.cutoffs(*brand, at);
                cutoffs.is_some_and(|cutoffs| *ts < cutoffs.consent)
            }
            _ => false,
        }
    }

    fn cutoffs(&mut self, brand: BrandId, at: i64) -> Option<Horizons> {
        let OfBrand {
            retention,
            clock,
            of_day,
        } = self.brands.get_mut(&brand)?;
        let day = clock.day(at);
        match of_day {
            Some((of, cutoffs)) if *of == day => Some(*cutoffs),
            _ => {
                let cutoffs = retention.cutoffs(at);
                *of_day = Some((day, cutoffs));
                Some(cutoffs)
            }
        }
    }
}

/// For what a record is used.
pub fn purposes(body: &Body) -> &'static [&'static str] {
    match body {
        Body::Contact { .. } => &["attribution", "campaign counts", "identity"],
        Body::Identify => &["identity"],
        Body::Sale { .. } | Body::Refund { .. } | Body::Adjustment { .. } => {
            &["attribution", "store and order counts", "identity"]
        }
        Body::Spend { .. } => &["return on spend"],
        Body::Consent { .. } => &["proof of consent"],
        Body::Right { .. } => &["respect of the right"],
    }
}
