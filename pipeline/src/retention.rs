//! Retention: what is past its time is retracted and leaves the ledger.
//!
//! Every day and at every start the dataflow is asked what is past its time, by category and in whole calendar months,
//! and that is taken back like anything else: the numbers follow, and the ledger is written anew without it. What came
//! in is gone by then, because the input stream is short-lived.
//!
//! [`Category`] says what belongs together and from when its time counts. Spend is nobody's and stays. A right that
//! stands stays until it is withdrawn or its person erased.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use tokio::sync::{mpsc, oneshot, watch};
use tributary_config::model::{Brand, Config};
use tributary_ledger::Forget;
use tributary_operators::ask::{Cutoffs, Question, Reply};
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, Body, BrandId, Pseudonym, Record, RecordKey};

use crate::asks::Asks;
use crate::commits::{Erasure, Word};
use crate::http::State;

/// How often it is looked whether a day has begun.
const LOOK: Duration = Duration::from_secs(60);

/// What is held for the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Web records.
    Cookies,
    /// Sales, refunds, adjustments.
    Transactions,
    /// Statements of consent.
    Consent,
    /// Persons of whom nothing happens any more.
    Identification,
}

impl Category {
    /// Every category.
    pub const ALL: [Category; 4] = [
        Category::Cookies,
        Category::Transactions,
        Category::Consent,
        Category::Identification,
    ];

    /// The category of a record for its own sake; none where it stays.
    pub fn of(body: &Body) -> Option<Category> {
        match body {
            Body::Contact { .. } | Body::Identify => Some(Category::Cookies),
            Body::Sale { .. } | Body::Refund { .. } | Body::Adjustment { .. } => {
                Some(Category::Transactions)
            }
            Body::Consent { .. } => Some(Category::Consent),
            Body::Spend { .. } | Body::Right { .. } => None,
        }
    }

    /// Its name; in the configuration `_months` follows.
    pub fn name(self) -> &'static str {
        match self {
            Category::Cookies => "cookies",
            Category::Transactions => "transactions",
            Category::Consent => "consent",
            Category::Identification => "identification",
        }
    }

    /// From when its time counts.
    pub fn from(self) -> &'static str {
        match self {
            Category::Cookies => {
                "the placement of the cookie, which is its first record held; its own time where a record has no cookie"
            }
            Category::Transactions | Category::Consent => "the record's own time",
            Category::Identification => {
                "the last touch or conversion of the person that counts in a number"
            }
        }
    }

    /// What goes when it has passed.
    pub fn goes(self) -> &'static str {
        match self {
            Category::Cookies => "all web records of the cookie but orders and their refunds",
            Category::Transactions => "sales, orders, refunds and adjustments",
            Category::Consent => "statements of consent and their evidence",
            Category::Identification => {
                "all records of the person but statements of consent and rights"
            }
        }
    }
}

/// For how long the records of a brand are held, calendar months.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// What identifies a person, from the last interaction.
    pub identification: u32,
    /// Sales, from their time.
    pub transactions: u32,
    /// Web records, from the placement of their cookie.
    pub cookies: u32,
    /// Statements of consent, from their time.
    pub consent: u32,
}

impl Retention {
    /// The retention that a brand has chosen.
    pub fn of(brand: &Brand) -> Retention {
        let chosen = &brand.retention;
        Retention {
            identification: chosen.identification_months,
            transactions: chosen.transactions_months,
            cookies: chosen.cookies_months,
            consent: chosen.consent_months,
        }
    }

    /// From when on each category is held on the day of `now`, Unix milliseconds: so many calendar months before the
    /// day began.
    pub fn cutoffs(&self, now: i64, zone: &TimeZone) -> Cutoffs {
        Cutoffs {
            web: before(now, self.cookies, zone),
            transactions: before(now, self.transactions, zone),
            consent: before(now, self.consent, zone),
        }
    }

    /// From when on a person's last interaction keeps it, Unix milliseconds.
    pub fn idle(&self, now: i64, zone: &TimeZone) -> i64 {
        before(now, self.identification, zone)
    }

    /// The months of a category.
    pub fn months(&self, category: Category) -> u32 {
        match category {
            Category::Cookies => self.cookies,
            Category::Transactions => self.transactions,
            Category::Consent => self.consent,
            Category::Identification => self.identification,
        }
    }

    /// The first day on which a record is gone for its own category's sake, `2027-12-24`; none where it stays.
    pub fn until(&self, record: &Record, zone: &TimeZone) -> Option<String> {
        let months = self.months(Category::of(&record.body)?);
        let day = Timestamp::from_millisecond(record.ts).ok()?;
        let day = day.to_zoned(zone.clone()).date();
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

/// The beginning of the day so many calendar months before that of `now`. Where the calendar ends, nothing is past
/// its time.
fn before(now: i64, months: u32, zone: &TimeZone) -> i64 {
    let begin = || {
        let day = Timestamp::from_millisecond(now).ok()?;
        let day = day.to_zoned(zone.clone()).date();
        let day = day.checked_sub(span(months)?).ok()?;
        Some(
            day.to_zoned(zone.clone())
                .ok()?
                .timestamp()
                .as_millisecond(),
        )
    };
    begin().unwrap_or(i64::MIN)
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

/// What is past its time in one brand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The records, by what makes them one and the same.
    pub keys: BTreeSet<RecordKey>,
    /// Records past the time of their own category.
    pub expired: u64,
    /// Cookies that were placed too long ago.
    pub cookies: u64,
    /// Persons of whom nothing has happened for too long.
    pub persons: u64,
}

/// Asks what of a brand is past its time at `now`, Unix milliseconds.
///
/// # Errors
/// [`Stopping`] where the dataflow ends before it has answered.
pub async fn past(asks: &Asks, brand: BrandId, config: &Brand, now: i64) -> Result<Past, Stopping> {
    let retention = Retention::of(config);
    let ask = |question| async move { asks.ask(question).await.ok_or(Stopping) };
    let mut past = Past::default();
    let cutoffs = retention.cutoffs(now, &config.timezone);
    let mut cookies = BTreeSet::new();
    for reply in ask(Question::Expired { brand, cutoffs }).await? {
        match reply {
            Reply::Expired(key) => drop(past.keys.insert(key)),
            Reply::OldCookie(cookie) => drop(cookies.insert(cookie)),
            _ => {}
        }
    }
    past.expired = past.keys.len() as u64;
    past.cookies = cookies.len() as u64;
    if !cookies.is_empty() {
        let naming: Arc<[Pseudonym]> = cookies.into_iter().collect();
        for reply in ask(Question::Records { brand, naming }).await? {
            if let Reply::NamedRecord(key, record, _) = reply
                && matches!(record.body, Body::Contact { .. } | Body::Identify)
            {
                past.keys.insert(key);
            }
        }
    }
    let since = retention.idle(now, &config.timezone);
    let idle = ask(Question::Idle { brand, since }).await?.into_iter();
    let persons: Arc<[u64]> = idle
        .filter_map(|reply| match reply {
            Reply::Idle(person) => Some(person),
            _ => None,
        })
        .collect();
    past.persons = persons.len() as u64;
    if persons.is_empty() {
        return Ok(past);
    }
    let naming = Arc::new([]);
    let members = ask(Question::Whole {
        brand,
        naming,
        persons,
    })
    .await?
    .into_iter();
    let naming: Arc<[Pseudonym]> = members
        .filter_map(|reply| match reply {
            Reply::Member(pseudonym, _) => Some(pseudonym),
            _ => None,
        })
        .collect();
    for reply in ask(Question::Records { brand, naming }).await? {
        // A person of whom nothing happens may still have said what is allowed, and that is kept for its own time.
        if let Reply::NamedRecord(key, record, _) = reply
            && record.ts < since
            && !matches!(record.body, Body::Consent { .. } | Body::Right { .. })
        {
            past.keys.insert(key);
        }
    }
    Ok(past)
}

/// Takes records back.
pub fn drops(past: &Past) -> Vec<Event> {
    let arrival = Arrival {
        message: u64::MAX,
        line: u32::MAX,
    };
    let keys = past.keys.iter();
    keys.map(|key| Event::Drop { key: *key, arrival }).collect()
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
}

impl Keeper {
    /// Makes a pass at the start and whenever a day begins, until `stop`.
    ///
    /// # Errors
    /// None but that the worker stops.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), Stopping> {
        let mut last = None;
        loop {
            let now = Timestamp::now();
            let today = now.to_zoned(TimeZone::UTC).date();
            if last != Some(today) {
                self.pass(now.as_millisecond(), last.is_none()).await?;
                last = Some(today);
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Takes back what is past its time.
    async fn pass(&self, now: i64, first: bool) -> Result<(), Stopping> {
        for (brand, number) in self.config.brands.iter().zip(0..) {
            let id = BrandId(number);
            let past = past(&self.asks, id, brand, now).await?;
            let records = past.keys.len() as u64;
            // Old evidence is looked for once a day, because it means to read the ledger.
            if records == 0 && first {
                self.state.metrics.retention_pass(&brand.name, now, 0);
                continue;
            }
            // Every process asks before any has taken back, so that each finds what its own ledger holds.
            if self.config.workers.hosts.len() > 1 {
                tokio::time::sleep(2 * LOOK).await;
            }
            self.asks.tell(drops(&past)).await.ok_or(Stopping)?;
            let (done, gone) = oneshot::channel();
            let consent = Retention::of(brand).cutoffs(now, &brand.timezone).consent;
            let forget = Forget {
                records: past.keys.iter().copied().collect(),
                evidence_before: [(id, consent)].into_iter().collect(),
                ..Forget::default()
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
                "retracted what was past its retention"
            );
        }
        Ok(())
    }
}
