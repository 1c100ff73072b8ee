//! Horizons: the retention period of each category of records, and which records have passed it.
//!
//! A retention pass fixes the [`Horizons`] of its day. Whether a record is past them is a function
//! of the record and the horizons alone.
//!
//! On most days no record has expired, and no record is scanned: for each brand a lower bound on
//! the times of its records of each category is known ([`EarliestHeld`]). A retraction does not
//! raise this bound before the next scan, so it may be too early, but it is never too late. It
//! never changes the result of a pass, only whether the pass has to scan.

use serde::{Deserialize, Serialize};

use crate::record::{Body, Record};

/// A category of records with a common retention period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Category {
    /// Web records: contacts and identifications. Their period starts with the first record of
    /// their cookie.
    Cookies,
    /// Sales, refunds and adjustments.
    Transactions,
    /// Statements of consent, with the evidence for them.
    Consent,
    /// All records of inactive persons.
    Identification,
    /// Sightings by partners, from which visits follow.
    Visits,
    /// Exposures to advertisements that partners report.
    Exposures,
}

impl Category {
    /// Every category, in the order of their discriminants.
    pub const ALL: [Category; 6] = [
        Category::Cookies,
        Category::Transactions,
        Category::Consent,
        Category::Identification,
        Category::Visits,
        Category::Exposures,
    ];

    /// The category of a record by its content, or `None` if it has no retention period of its own.
    pub fn of(body: &Body) -> Option<Category> {
        match body {
            Body::Contact { .. } | Body::Identify => Some(Category::Cookies),
            Body::Exposure { .. } => Some(Category::Exposures),
            Body::Sighting { .. } | Body::SettledVisit { .. } | Body::PanelMember { .. } => {
                Some(Category::Visits)
            }
            Body::PartnerLink => Some(Category::Identification),
            Body::Wallet { kind, .. } => Some(match kind.touch() {
                Some(_) => Category::Cookies,
                None => Category::Identification,
            }),
            Body::Sale { .. }
            | Body::Refund { .. }
            | Body::Restatement { .. }
            | Body::Adjustment { .. } => Some(Category::Transactions),
            Body::Consent { .. } => Some(Category::Consent),
            // Spend is not personal, and a right applies until it is withdrawn.
            Body::Spend { .. } | Body::Right { .. } => None,
        }
    }

    /// The name of the category. The configuration key appends `_months`.
    pub fn name(self) -> &'static str {
        match self {
            Category::Cookies => "cookies",
            Category::Transactions => "transactions",
            Category::Consent => "consent",
            Category::Identification => "identification",
            Category::Visits => "visits",
            Category::Exposures => "exposures",
        }
    }

    /// A description, for people, of when its period starts.
    pub fn from(self) -> &'static str {
        match self {
            Category::Cookies => {
                "the placement of the cookie: its first stored web record, including orders; for records without a cookie, their own time"
            }
            Category::Transactions | Category::Consent | Category::Visits | Category::Exposures => {
                "the record's own time"
            }
            Category::Identification => {
                "the person's last interaction: the newest stored record of any kind that names them"
            }
        }
    }

    /// A description, for people, of what is deleted when its period ends.
    pub fn goes(self) -> &'static str {
        match self {
            Category::Cookies => "all web records of the cookie except orders and their refunds",
            Category::Transactions => "sales, orders, refunds and adjustments",
            Category::Consent => "consent statements and their evidence",
            Category::Visits => "sightings by partners, and the visits that follow from them",
            Category::Exposures => "exposures that partners report",
            Category::Identification => {
                "all records of the person except consent statements and rights"
            }
        }
    }
}

/// The retention horizon of each category, Unix milliseconds. A record is past its retention period
/// if its time is before the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Horizons {
    /// For web records, compared with the placement of their cookie: its first record.
    pub cookies: i64,
    /// For sales, refunds and adjustments, compared with their own time.
    pub transactions: i64,
    /// For statements of consent, compared with their own time.
    pub consent: i64,
    /// For persons, compared with their last interaction.
    pub identification: i64,
    /// For sightings, compared with their own time.
    pub visits: i64,
    /// For exposures, compared with their own time.
    pub exposures: i64,
}

impl Horizons {
    /// The horizon of a category.
    pub fn of(&self, category: Category) -> i64 {
        match category {
            Category::Cookies => self.cookies,
            Category::Transactions => self.transactions,
            Category::Consent => self.consent,
            Category::Identification => self.identification,
            Category::Visits => self.visits,
            Category::Exposures => self.exposures,
        }
    }

    /// The category of a record whose own time is before the horizon of that category, else `None`.
    pub fn expired_category(&self, record: &Record) -> Option<Category> {
        // A person is active by all of its records, so that none of them expires by itself.
        Category::of(&record.body)
            .filter(|category| *category != Category::Identification)
            .filter(|category| record.ts < self.of(*category))
    }

    /// Whether a record shows that its person is active: an interaction that is not before the
    /// horizon.
    pub(crate) fn is_recent(&self, record: &Record) -> bool {
        is_interaction(record) && record.ts >= self.identification
    }

    /// Whether a record is deleted if its person is inactive.
    pub(crate) fn goes_with_person(&self, record: &Record) -> bool {
        record.ts < self.identification && Category::of(&record.body).is_some_and(goes_with_person)
    }
}

/// Whether a record is an interaction of its data subject. All records are, except spend and
/// rights, which others may enter.
pub(crate) fn is_interaction(record: &Record) -> bool {
    !matches!(record.body, Body::Right { .. } | Body::Spend { .. })
}

/// Whether records of a category are deleted with their inactive person. Statements of consent have
/// a period of their own.
pub(crate) fn goes_with_person(category: Category) -> bool {
    category != Category::Consent
}

/// Lower bounds on the times of the current records of one brand, Unix milliseconds; `i64::MAX`
/// without records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EarliestHeld {
    /// By [`Category`].
    held: [i64; Category::ALL.len()],
    /// For the placement of cookies: the earliest web record of any category.
    placed: i64,
}

impl Default for EarliestHeld {
    fn default() -> Self {
        EarliestHeld {
            held: [i64::MAX; Category::ALL.len()],
            placed: i64::MAX,
        }
    }
}

impl EarliestHeld {
    /// Lowers the bounds to include a record.
    pub(crate) fn note(&mut self, record: &Record) {
        if let Some(category) = Category::of(&record.body) {
            let oldest = &mut self.held[category as usize];
            *oldest = record.ts.min(*oldest);
        }
        if record.body.is_web() {
            self.placed = record.ts.min(self.placed);
        }
    }

    /// Whether any current record may be past the horizons. A `false` is certain.
    pub(crate) fn may_have_expired(&self, horizons: &Horizons) -> bool {
        let mut all = Category::ALL.into_iter().zip(self.held);
        self.placed < horizons.cookies
            || all.any(|(category, oldest)| {
                oldest < horizons.of(category)
                    || goes_with_person(category) && oldest < horizons.identification
            })
    }
}
