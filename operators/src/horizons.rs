//! Horizons: how long each category of records is held, and which records are past that time.
//!
//! A pass over the retention fixes the horizons of its day as [`Cutoffs`]; whether a record is past them is a function of
//! the record and the cutoffs alone. On most days nothing has run out, and then nothing is looked at either: of each brand
//! it is known before which time nothing of a category is held ([`Oldest`]). Such a bound may lie too early, since what is
//! taken back does not move it until somebody has looked; it never lies too late, so that it changes no answer.

use serde::{Deserialize, Serialize};

use crate::record::{Body, Record};

/// What is held for the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
    /// Every category, in the order of their discriminants.
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
            // What platforms charged is nobody's, and a right stands until it is withdrawn.
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
                "the placement of the cookie: its first stored web record, including orders; for records without a cookie, their own time"
            }
            Category::Transactions | Category::Consent => "the record's own time",
            Category::Identification => {
                "the person's last interaction: the newest stored record of any kind that names them"
            }
        }
    }

    /// What goes when it has passed.
    pub fn goes(self) -> &'static str {
        match self {
            Category::Cookies => "all web records of the cookie except orders and their refunds",
            Category::Transactions => "sales, orders, refunds and adjustments",
            Category::Consent => "consent statements and their evidence",
            Category::Identification => {
                "all records of the person except consent statements and rights"
            }
        }
    }
}

/// From when on the records of each category are held, Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cutoffs {
    /// Web records, from the placement of their cookie: its first record.
    pub cookies: i64,
    /// Sales, refunds and adjustments.
    pub transactions: i64,
    /// Statements of consent.
    pub consent: i64,
    /// Persons, from the last that happened of them.
    pub identification: i64,
}

impl Cutoffs {
    /// That of a category.
    pub fn of(&self, category: Category) -> i64 {
        match category {
            Category::Cookies => self.cookies,
            Category::Transactions => self.transactions,
            Category::Consent => self.consent,
            Category::Identification => self.identification,
        }
    }

    /// The category of a record that is past its own time; none where it is not.
    pub fn past_on_its_own(&self, record: &Record) -> Option<Category> {
        Category::of(&record.body).filter(|category| record.ts < self.of(*category))
    }

    /// Whether a record shows that its person is not idle.
    pub(crate) fn is_recent(&self, record: &Record) -> bool {
        is_interaction(record) && record.ts >= self.identification
    }

    /// Whether a record goes if nothing happened of its person for too long.
    pub(crate) fn goes_with_person(&self, record: &Record) -> bool {
        record.ts < self.identification && Category::of(&record.body).is_some_and(goes_with_person)
    }
}

/// Whether a record is an interaction of whom it names: all are but rights, which somebody else may have entered.
pub(crate) fn is_interaction(record: &Record) -> bool {
    !matches!(record.body, Body::Right { .. } | Body::Spend { .. })
}

/// Whether records of a category go with their person. Somebody of whom nothing happens may still have said what is
/// allowed, and that is kept for its own time.
pub(crate) fn goes_with_person(category: Category) -> bool {
    category != Category::Consent
}

/// Of each category a time before which nothing is held, and one before which no cookie was placed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Oldest {
    held: [i64; Category::ALL.len()],
    placed: i64,
}

impl Default for Oldest {
    fn default() -> Self {
        Oldest {
            held: [i64::MAX; Category::ALL.len()],
            placed: i64::MAX,
        }
    }
}

impl Oldest {
    /// A record is held.
    pub(crate) fn note(&mut self, record: &Record) {
        if let Some(category) = Category::of(&record.body) {
            let oldest = &mut self.held[category as usize];
            *oldest = record.ts.min(*oldest);
        }
        if record.body.is_web() {
            self.placed = record.ts.min(self.placed);
        }
    }

    /// Whether anything that is held may be past its time.
    pub(crate) fn reach_behind(&self, cutoffs: &Cutoffs) -> bool {
        let mut all = Category::ALL.into_iter().zip(self.held);
        self.placed < cutoffs.cookies
            || all.any(|(category, oldest)| {
                oldest < cutoffs.of(category)
                    || goes_with_person(category) && oldest < cutoffs.identification
            })
    }
}
