//! Retention: what is held for the same time, and what of it is past that time.
//!
//! A pass asks the dataflow with the [`Cutoffs`] of its day; which questions that are, one after the other, an [`Inquiry`]
//! knows, and what comes of it is [`Past`]. On most days nothing has run out, and then nothing is looked at either: of
//! each brand it is known before which time nothing of a category is held. Such a bound may lie too early, since what is
//! taken back does not move it until somebody has looked; it never lies too late, so that it changes no answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ask::{Question, Reply};
use crate::event::Event;
use crate::identity::components::Person;
use crate::record::{Arrival, Body, BrandId, IdKind, Pseudonym, Record, RecordKey};

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
                "the placement of the cookie, which is its first web record held, orders among them; its own time where a record has no cookie"
            }
            Category::Transactions | Category::Consent => "the record's own time",
            Category::Identification => {
                "the last interaction of the person: the newest record held that names it, of whatever kind"
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

    /// Adds what is past its time: a key, or a cookie that was placed too long ago, whose web records all go.
    pub(crate) fn judge(&self, key: RecordKey, record: &Record, out: &mut Vec<Reply>) {
        if let Some(category) = self.past_on_its_own(record) {
            out.push(Reply::Expired(key, category));
        }
        if record.body.is_web() && record.ts < self.cookies {
            let ids = record.ids.ids().iter();
            let cookies = ids.filter(|id| id.kind == IdKind::Cookie);
            out.extend(cookies.map(|id| Reply::OldCookie(id.pseudonym)));
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
fn goes_with_person(category: Category) -> bool {
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

    /// Whether [`Cutoffs::judge`] may have something to say of what is held.
    pub(crate) fn reach_behind(&self, cutoffs: &Cutoffs) -> bool {
        let mut all = Category::ALL.into_iter().zip(self.held);
        self.placed < cutoffs.cookies
            || all.any(|(category, oldest)| {
                oldest < cutoffs.of(category)
                    || goes_with_person(category) && oldest < cutoffs.identification
            })
    }
}

/// What is past its time in one brand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The records, by what makes them one and the same, each with the category by which it goes: its own where that
    /// has passed, else that of its cookie or its person.
    pub records: BTreeMap<RecordKey, Category>,
    /// Cookies that were placed too long ago.
    pub cookies: u64,
    /// Persons of whom nothing has happened for too long, and of whom records go for that alone.
    pub persons: u64,
}

impl Past {
    /// How many records go by a category.
    pub fn count(&self, category: Category) -> u64 {
        self.records.values().filter(|by| **by == category).count() as u64
    }

    /// That each of the records is taken back, at a place in the order of arrival.
    pub fn drops(&self, arrival: Arrival) -> Vec<Event> {
        let keys = self.records.keys();
        keys.map(|key| Event::Drop { key: *key, arrival }).collect()
    }
}

/// The questions that find what of a brand is past its time, each of which depends on the answers before. Where nothing
/// is, one question is all.
pub struct Inquiry {
    brand: BrandId,
    cutoffs: Cutoffs,
    asked: Asked,
    /// Identifiers that were not named for so long that their persons may be idle.
    quiet: Vec<Pseudonym>,
    /// The identifiers of those who are idle.
    idle: BTreeMap<Pseudonym, Person>,
    past: Past,
}

/// What was asked for.
enum Asked {
    Expired,
    OfCookies,
    Members,
    Recent,
    OfPersons,
}

impl Inquiry {
    /// Begins, with the first question.
    pub fn new(brand: BrandId, cutoffs: Cutoffs) -> (Inquiry, Question) {
        let inquiry = Inquiry {
            brand,
            cutoffs,
            asked: Asked::Expired,
            quiet: Vec::new(),
            idle: BTreeMap::new(),
            past: Past::default(),
        };
        (inquiry, Question::Expired { brand, cutoffs })
    }

    /// Takes all answers to the last question, and says the next; none where all is known.
    pub fn told(&mut self, replies: Vec<Reply>) -> Option<Question> {
        match self.asked {
            Asked::Expired => self.expired(replies).or_else(|| self.ask_members()),
            Asked::OfCookies => {
                for reply in replies {
                    if let Reply::NamedRecord(key, record, _) = reply
                        && Category::of(&record.body) == Some(Category::Cookies)
                    {
                        self.past.records.entry(key).or_insert(Category::Cookies);
                    }
                }
                self.ask_members()
            }
            Asked::Members => {
                let members = replies.into_iter().filter_map(|reply| match reply {
                    Reply::Member(pseudonym, _, person) => Some((pseudonym, person)),
                    _ => None,
                });
                self.idle = members.collect();
                self.ask_recent()
            }
            Asked::Recent => {
                let recent = replies.into_iter().filter_map(|reply| match reply {
                    Reply::Recent(ids) => Some(ids),
                    _ => None,
                });
                let ids = recent.flatten();
                let active: BTreeSet<Person> =
                    ids.filter_map(|id| self.idle.get(&id).copied()).collect();
                self.idle.retain(|_, person| !active.contains(person));
                self.asked = Asked::OfPersons;
                self.records_naming(self.idle.keys().copied().collect())
            }
            Asked::OfPersons => {
                self.of_persons(replies);
                None
            }
        }
    }

    /// What was found.
    pub fn past(self) -> Past {
        self.past
    }

    fn expired(&mut self, replies: Vec<Reply>) -> Option<Question> {
        let mut cookies = BTreeSet::new();
        for reply in replies {
            match reply {
                Reply::Expired(key, category) => drop(self.past.records.insert(key, category)),
                Reply::OldCookie(cookie) => drop(cookies.insert(cookie)),
                Reply::Quiet(id) => self.quiet.push(id),
                _ => {}
            }
        }
        self.past.cookies = cookies.len() as u64;
        self.asked = Asked::OfCookies;
        self.records_naming(cookies.into_iter().collect())
    }

    /// Who is idle is of interest only where there is something that would go with a person.
    fn ask_members(&mut self) -> Option<Question> {
        self.asked = Asked::Members;
        let naming = std::mem::take(&mut self.quiet);
        (!naming.is_empty()).then(|| Question::Whole {
            brand: self.brand,
            naming: naming.into(),
            persons: Arc::new([]),
        })
    }

    fn ask_recent(&mut self) -> Option<Question> {
        self.asked = Asked::Recent;
        (!self.idle.is_empty()).then(|| Question::Recent {
            brand: self.brand,
            naming: self.idle.keys().copied().collect(),
            since: self.cutoffs.identification,
        })
    }

    fn of_persons(&mut self, replies: Vec<Reply>) {
        let mut gone: BTreeSet<Person> = BTreeSet::new();
        for reply in replies {
            let Reply::NamedRecord(key, record, _) = reply else {
                continue;
            };
            let goes = Category::of(&record.body).is_some_and(goes_with_person);
            if !goes || record.ts >= self.cutoffs.identification {
                continue;
            }
            let entry = self.past.records.entry(key);
            if *entry.or_insert(Category::Identification) == Category::Identification {
                let ids = record.ids.ids().iter();
                gone.extend(ids.filter_map(|id| self.idle.get(&id.pseudonym)));
            }
        }
        self.past.persons = gone.len() as u64;
    }

    fn records_naming(&self, naming: Arc<[Pseudonym]>) -> Option<Question> {
        let brand = self.brand;
        (!naming.is_empty()).then_some(Question::Records { brand, naming })
    }
}
