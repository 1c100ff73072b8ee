//! Retention: what is past its time is retracted and leaves the ledger.
//!
//! Every day and at every start the dataflow is asked what is past its time, by category and in whole calendar months,
//! and that is taken back like anything else: the numbers follow, and the ledger is written anew without it. Input goes on
//! meanwhile, so that only what was judged is taken back: a correction that came after the first question stays, and is
//! judged by the next pass. Process 0 asks for a whole cluster, and the dataflow tells every process what was retracted.
//! What came in is gone by then, because the input stream is short-lived. A replay does the same by the clock of its trace
//! ([`crate::replay`]), and whoever only wants to know asks and takes nothing back ([`crate::services::going`]).
//!
//! A pass moves the time by which links are judged, too: from then on a record that is older than the `link_ttl` of a kind
//! no longer links identifiers of that kind. That is kept in the ledger, so that a restart finds the same persons.
//!
//! What is past its own time when it comes is left out at once ([`AtArrival`]), by the time of its arrival, so that it makes
//! no difference what came before it and whether a pass was made since.
//!
//! [`Category`] says what belongs together and from when its time counts. Spend is nobody's and stays. A right that
//! stands stays until it is withdrawn or its person erased.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use tokio::sync::{mpsc, oneshot, watch};
use tributary_config::model::{Brand, Config};
use tributary_connectors::clock::BrandClock;
use tributary_ledger::ErasureFilter;
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::record::{Body, BrandId, Day, Record};
pub use tributary_operators::retention_query::{Category, ExpiredSet};
use tributary_operators::retention_query::{Horizons, RetentionQuery};

use crate::asks::Asks;
use crate::clock::Clocks;
use crate::commits::{Erasure, Word};
use crate::http::State;

/// How often it is looked whether a day has begun.
const LOOK: Duration = Duration::from_secs(60);

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

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

    /// The first day on which a record is gone for its own category's sake, `2027-12-24`; none where it stays.
    pub fn until(&self, record: &Record) -> Option<String> {
        let months = self.months(Category::of(&record.body)?);
        let day = Timestamp::from_millisecond(record.ts).ok()?;
        let day = day.to_zoned(self.zone.clone()).date();
        let gone = day
            .checked_add(span(months)?)
            .ok()?
            .checked_add(1.day())
            .ok()?;
        Some(gone.to_string())
    }
}

fn span(months: u32) -> Option<Span> {
    Span::new().try_months(i64::from(months)).ok()
}

/// Judges what arrives: a record that is past its retention by then never counts, whatever is held or comes later.
#[derive(Clone)]
pub struct AtArrival {
    brands: BTreeMap<BrandId, OfBrand>,
}

#[derive(Clone)]
struct OfBrand {
    retention: Retention,
    clock: BrandClock,
    /// The cutoffs of the day of the arrival before.
    of_day: Option<(Day, Horizons)>,
}

impl AtArrival {
    /// By the retentions of a configuration's brands.
    pub fn new(config: &Config) -> AtArrival {
        let brands = config.brands.iter().map(|brand| {
            let of_brand = OfBrand {
                retention: Retention::of(brand),
                clock: BrandClock::new(&brand.timezone, 0),
                of_day: None,
            };
            (BrandId::of(&brand.name), of_brand)
        });
        AtArrival {
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

/// The worker is on its way out.
#[derive(Debug, thiserror::Error)]
#[error("the worker stops")]
pub struct Stopping;

/// That the links of some brands are judged by the UTC day of `now`, Unix milliseconds, from here on.
pub fn link_times(brands: impl IntoIterator<Item = BrandId>, now: i64) -> Vec<Event> {
    let at = now.div_euclid(DAY) * DAY;
    let brands = brands.into_iter();
    brands.map(|brand| Event::LinkTime { brand, at }).collect()
}

/// The brands of a configuration whose records do not link for good.
pub fn with_link_ttl(config: &Config) -> Vec<BrandId> {
    let ends = |brand: &&Brand| brand.identity.link_ttl.values().any(Option::is_some);
    let brands = config.brands.iter().filter(ends);
    brands.map(|brand| BrandId::of(&brand.name)).collect()
}

/// Asks what of a brand is past its time at `now`, Unix milliseconds, and says as of the end of which epoch: what changed
/// later was not judged.
///
/// # Errors
/// [`Stopping`] where the dataflow ends before it has answered.
pub async fn past(
    asks: &Asks,
    brand: BrandId,
    retention: &Retention,
    now: i64,
) -> Result<(ExpiredSet, Epoch), Stopping> {
    let (mut inquiry, first) = RetentionQuery::new(brand, retention.cutoffs(now));
    let (replies, as_of) = asks.ask_as_of(first).await.ok_or(Stopping)?;
    let mut next = inquiry.advance(replies);
    while let Some(question) = next {
        let replies = asks.ask(question).await.ok_or(Stopping)?;
        next = inquiry.advance(replies);
    }
    Ok((inquiry.into_expired(), as_of))
}

/// Keeps the retention of a running worker.
pub struct Keeper {
    /// The configuration.
    pub config: Config,
    /// The way to the dataflow.
    pub asks: Asks,
    /// The way to the ledger.
    pub words: mpsc::UnboundedSender<Word>,
    /// Where it is told when a pass was made, and what it took back.
    pub state: Arc<State>,
    /// The clocks: nothing is taken back while they disagree.
    pub clocks: Arc<Clocks>,
}

impl Keeper {
    /// Makes a pass at the start and whenever a day begins, until `stop`.
    ///
    /// # Errors
    /// None but that the worker stops.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), Stopping> {
        let mut last = None;
        loop {
            let reading = self.clocks.read();
            let today = reading.wall.div_euclid(DAY);
            if last != Some(today) && reading.agrees() {
                self.pass(reading.wall, last.is_none()).await?;
                last = Some(today);
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Takes back what is past its time. Process 0 asks for all, and every process hears what was retracted; each looks
    /// after the evidence in its own ledger.
    async fn pass(&self, now: i64, first: bool) -> Result<(), Stopping> {
        let links = link_times(with_link_ttl(&self.config), now);
        if self.config.workers.process == 0 && !links.is_empty() {
            self.asks.tell(links).await.ok_or(Stopping)?;
        }
        for brand in &self.config.brands {
            let id = BrandId::of(&brand.name);
            let retention = Retention::of(brand);
            let (past, as_of) = match self.config.workers.process {
                0 => past(&self.asks, id, &retention, now).await?,
                _ => Default::default(),
            };
            let records = past.records.len() as u64;
            // Old evidence is looked for once a day, because it means to read the ledger.
            if records == 0 && first {
                self.state.metrics.retention_pass(&brand.name, now, 0);
                continue;
            }
            if records > 0 {
                let keys = past.records.keys().copied();
                self.asks.expire(keys, as_of).await.ok_or(Stopping)?;
            }
            // Behind what the ledger has heard of the records, so that they are gone, too, when this is done.
            let (done, gone) = oneshot::channel();
            let forget = ErasureFilter {
                evidence_before: [(id, retention.cutoffs(now).consent)].into_iter().collect(),
                ..ErasureFilter::default()
            };
            let erasure = Erasure { forget, done };
            self.words
                .send(Word::Erase(erasure))
                .map_err(|_| Stopping)?;
            let entries = gone.await.map_err(|_| Stopping)?;
            self.state.metrics.retention_pass(&brand.name, now, records);
            tracing::info!(
                brand = brand.name,
                records,
                cookies = past.cookies,
                persons = past.persons,
                entries,
                "retracted records past their retention"
            );
        }
        Ok(())
    }
}
