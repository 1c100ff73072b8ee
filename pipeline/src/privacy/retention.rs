//! Retention: how long the records of a brand are stored, by category and in
//! whole calendar months (GDPR, Article 5(1)(e)).
//!
//! [`Category`] defines which records belong together and from which time their
//! retention counts. Spend concerns no person and stays. A right in effect
//! stays until it is withdrawn or its person is erased.
//!
//! A record that is past its own retention when it arrives is refused at once
//! ([`ArrivalFilter`]), as of its own arrival, so that neither the records
//! before it nor the passes since affect the decision. A record that passes its
//! retention later is retracted by a pass ([`crate::privacy::retention_pass`]).

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

/// Retention of a brand's records.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Months per category, from the configuration.
    chosen: tributary_config::model::Retention,
    /// Time zone of the brand, in whose calendar months count.
    zone: TimeZone,
}

impl Retention {
    /// Retention of a brand.
    pub fn of(brand: &Brand) -> Retention {
        Retention {
            chosen: brand.retention.clone(),
            zone: brand.timezone.clone(),
        }
    }

    /// Calendar months of a category.
    pub fn months(&self, category: Category) -> u32 {
        match category {
            Category::Cookies => self.chosen.cookies_months,
            Category::Transactions => self.chosen.transactions_months,
            Category::Consent => self.chosen.consent_months,
            Category::Identification => self.chosen.identification_months,
            Category::Visits => self.chosen.visits_months,
            Category::Exposures => self.chosen.exposures_months,
        }
    }

    /// The first day of a category that is stored on the day of `now`, Unix
    /// milliseconds: the earliest whose months end on that day or later, so that it
    /// agrees with [`until`](Self::until) at the ends of months too. `None` before
    /// the beginning of the calendar: nothing is past its retention.
    pub fn first_day(&self, category: Category, now: i64) -> Option<Date> {
        let today = Timestamp::from_millisecond(now).ok()?;
        let today = today.to_zoned(self.zone.clone()).date();
        let months = span(self.months(category))?;
        let day = today.checked_sub(months).ok()?;
        // Where the month before is shorter, its last day stands for a day that it lacks.
        match day.checked_add(months) {
            Ok(end) if end < today => day.tomorrow().ok(),
            _ => Some(day),
        }
    }

    /// For each category, the time in Unix milliseconds from which records are
    /// stored on the day of `now`: the beginning of its first day.
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
            visits: from(Category::Visits),
            exposures: from(Category::Exposures),
        }
    }

    /// The first day after the retention of a record's own category, in ISO 8601;
    /// `None` if the record stays.
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

/// A span of calendar months; `None` if it exceeds the calendar.
fn span(months: u32) -> Option<Span> {
    Span::new().try_months(i64::from(months)).ok()
}

/// Refuses records that are past their retention when they arrive. Each thread
/// has its own, because it caches the cutoffs of a day.
#[derive(Clone)]
pub struct ArrivalFilter {
    /// State by brand.
    brands: BTreeMap<BrandId, OfBrand>,
}

/// Retention and clock of a brand.
#[derive(Clone)]
struct OfBrand {
    /// The retention.
    retention: Retention,
    /// Maps a time to a day of the brand.
    clock: BrandClock,
    /// Cutoffs of the day of the previous arrival.
    of_day: Option<(Day, Horizons)>,
}

impl ArrivalFilter {
    /// A filter for the brands of a configuration.
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

    /// Whether an event that arrived at `at`, Unix milliseconds, was past the
    /// retention of its category.
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

    /// Cutoffs of a brand on the day of an arrival; `None` for an unknown brand.
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

/// The purposes for which a record is used.
pub fn purposes(body: &Body) -> &'static [&'static str] {
    match body {
        Body::Contact { .. } => &["attribution", "campaign counts", "identity"],
        Body::Identify => &["identity"],
        Body::Sale { .. }
        | Body::Refund { .. }
        | Body::Restatement { .. }
        | Body::Adjustment { .. } => &["attribution", "store and order counts", "identity"],
        Body::Wallet { kind, .. } if kind.touch().is_some() => &[
            "attribution",
            "campaign counts",
            "wallet pass counts",
            "identity",
        ],
        Body::Wallet { .. } => &["attribution of visits", "wallet pass counts", "identity"],
        Body::Sighting { .. } | Body::SettledVisit { .. } | Body::PanelMember { .. } => {
            &["attribution of visits", "identity"]
        }
        Body::Exposure { .. } => &["attribution", "campaign counts", "identity"],
        Body::PartnerLink => &["identity"],
        Body::Spend { .. } => &["return on spend"],
        Body::Consent { .. } => &["proof of consent"],
        Body::Right { .. } => &["respect of the right"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retention(months: u32) -> Retention {
        let text = format!(
            "[[brand]]\nname = \"acme\"\ntimezone = \"Europe/Paris\"\nsecret_env = \"SECRET\"\n\
             [brand.retention]\ncookies_months = {months}\n"
        );
        let secret = |name: &str| (name == "SECRET").then(|| tributary_testkit::SECRET.to_owned());
        let loaded = tributary_config::parse_in(&text, std::path::Path::new("t.toml"), &secret);
        Retention::of(loaded.unwrap().config.brands.first().unwrap())
    }

    fn noon(day: Date) -> i64 {
        let noon = day.at(12, 0, 0, 0).in_tz("Europe/Paris").unwrap();
        noon.timestamp().as_millisecond()
    }

    /// A record is stored on the day on which its months end, and on no later one.
    #[test]
    fn no_record_outlives_its_months() {
        let first: Date = "2023-12-01".parse().unwrap();
        for months in [1, 2, 6, 12, 13] {
            let retention = retention(months);
            // Two years with a leap day.
            for at in 0..800 {
                let day = first.checked_add(at.days()).unwrap();
                let last = day.checked_add(span(months).unwrap()).unwrap();
                let stored_from = |on: Date| retention.first_day(Category::Cookies, noon(on));
                assert!(stored_from(last).unwrap() <= day, "{day} on {last}");
                let next = last.tomorrow().unwrap();
                assert!(stored_from(next).unwrap() > day, "{day} on {next}");
            }
        }
    }
}
