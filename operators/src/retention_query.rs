//! Retention query: finds the records of a brand that are past their retention period.
//!
//! A retention pass starts with the [`Horizons`] of its day. A [`RetentionQuery`] is the sequence of questions to the
//! dataflow that it needs, and its result is an [`ExpiredSet`]. The periods are defined in [`crate::horizons`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ask::{Question, Reply};
use crate::event::Event;
use crate::horizons::goes_with_person;
pub use crate::horizons::{Category, Horizons};
use crate::identity::components::Person;
use crate::record::{Arrival, BrandId, IdKind, Pseudonym, Record, RecordKey};

impl Horizons {
    /// Appends the record if it has expired, and its cookie if that was placed before the horizon: all web records of
    /// such a cookie expire.
    pub(crate) fn judge(&self, key: RecordKey, record: &Record, out: &mut Vec<Reply>) {
        if let Some(category) = self.expired_category(record) {
            out.push(Reply::Expired(key, category));
        }
        if record.body.is_web() && record.ts < self.cookies {
            let ids = record.ids.ids().iter();
            let cookies = ids.filter(|id| id.kind == IdKind::Cookie);
            out.extend(cookies.map(|id| Reply::OldCookie(id.pseudonym)));
        }
    }
}

/// The expired records of one brand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpiredSet {
    /// The records by key, each with the category that expires it: its own, else that of its cookie or its person.
    pub records: BTreeMap<RecordKey, Category>,
    /// The number of expired cookies.
    pub cookies: u64,
    /// The number of inactive persons with records that expire for that reason alone.
    pub persons: u64,
}

impl ExpiredSet {
    /// The number of records that a category expires.
    pub fn count(&self, category: Category) -> u64 {
        self.records.values().filter(|by| **by == category).count() as u64
    }

    /// The events that retract the records, at a position in the order of arrival.
    pub fn drops(&self, arrival: Arrival) -> Vec<Event> {
        let keys = self.records.keys();
        keys.map(|key| Event::Drop { key: *key, arrival }).collect()
    }
}

/// The questions that find the expired records of a brand. Each depends on the previous answers; if nothing has
/// expired, there is only one.
pub struct RetentionQuery {
    brand: BrandId,
    /// The retention horizon of each category.
    horizons: Horizons,
    /// The question that awaits its answers.
    stage: Stage,
    /// Identifiers without recent interactions, whose persons may be inactive.
    quiet: Vec<Pseudonym>,
    /// The identifiers of inactive persons.
    idle: BTreeMap<Pseudonym, Person>,
    /// The records that were found so far.
    expired_set: ExpiredSet,
}

/// The question that awaits its answers.
enum Stage {
    /// The records that expire by themselves, the expired cookies, and the candidates for inactive persons.
    Expired,
    /// The records of the expired cookies.
    OfCookies,
    /// All identifiers of the candidates.
    Members,
    /// Which of these identifiers had an interaction recently.
    Recent,
    /// The records of the persons that had none.
    OfPersons,
}

impl RetentionQuery {
    /// Starts a query. Returns it with its first question.
    pub fn new(brand: BrandId, horizons: Horizons) -> (RetentionQuery, Question) {
        let inquiry = RetentionQuery {
            brand,
            horizons,
            stage: Stage::Expired,
            quiet: Vec::new(),
            idle: BTreeMap::new(),
            expired_set: ExpiredSet::default(),
        };
        (inquiry, Question::Expired { brand, horizons })
    }

    /// Takes all answers to the last question and returns the next one, or `None` at the end.
    pub fn advance(&mut self, replies: Vec<Reply>) -> Option<Question> {
        match self.stage {
            Stage::Expired => self.expired(replies).or_else(|| self.ask_members()),
            Stage::OfCookies => {
                for reply in replies {
                    if let Reply::NamedRecord(key, record, _) = reply
                        && Category::of(&record.body) == Some(Category::Cookies)
                    {
                        self.expired_set
                            .records
                            .entry(key)
                            .or_insert(Category::Cookies);
                    }
                }
                self.ask_members()
            }
            Stage::Members => {
                let members = replies.into_iter().filter_map(|reply| match reply {
                    Reply::Member(pseudonym, _, person) => Some((pseudonym, person)),
                    _ => None,
                });
                self.idle = members.collect();
                self.ask_recent()
            }
            Stage::Recent => {
                let recent = replies.into_iter().filter_map(|reply| match reply {
                    Reply::Active(ids) => Some(ids),
                    _ => None,
                });
                let ids = recent.flatten();
                let active: BTreeSet<Person> =
                    ids.filter_map(|id| self.idle.get(&id).copied()).collect();
                self.idle.retain(|_, person| !active.contains(person));
                self.stage = Stage::OfPersons;
                self.records_naming(self.idle.keys().copied().collect())
            }
            Stage::OfPersons => {
                self.of_persons(replies);
                None
            }
        }
    }

    /// The result.
    pub fn into_expired(self) -> ExpiredSet {
        self.expired_set
    }

    /// Takes the expired records of all categories, and asks for the records of expired cookies.
    fn expired(&mut self, replies: Vec<Reply>) -> Option<Question> {
        let mut cookies = BTreeSet::new();
        for reply in replies {
            match reply {
                Reply::Expired(key, category) => {
                    self.expired_set.records.insert(key, category);
                }
                Reply::OldCookie(cookie) => drop(cookies.insert(cookie)),
                Reply::Inactive(id) => self.quiet.push(id),
                _ => {}
            }
        }
        self.expired_set.cookies = cookies.len() as u64;
        self.stage = Stage::OfCookies;
        self.records_naming(cookies.into_iter().collect())
    }

    /// Inactive persons matter only if they have records to delete.
    fn ask_members(&mut self) -> Option<Question> {
        self.stage = Stage::Members;
        let naming = std::mem::take(&mut self.quiet);
        (!naming.is_empty()).then(|| Question::Members {
            brand: self.brand,
            naming: naming.into(),
            persons: Arc::new([]),
        })
    }

    /// Asks which of the candidates had an interaction recently.
    fn ask_recent(&mut self) -> Option<Question> {
        self.stage = Stage::Recent;
        (!self.idle.is_empty()).then(|| Question::ActiveSince {
            brand: self.brand,
            naming: self.idle.keys().copied().collect(),
            since: self.horizons.identification,
        })
    }

    /// Takes the records of inactive persons.
    fn of_persons(&mut self, replies: Vec<Reply>) {
        let mut persons: BTreeSet<Person> = BTreeSet::new();
        for reply in replies {
            let Reply::NamedRecord(key, record, _) = reply else {
                continue;
            };
            let goes = Category::of(&record.body).is_some_and(goes_with_person);
            if !goes || record.ts >= self.horizons.identification {
                continue;
            }
            let entry = self.expired_set.records.entry(key);
            if *entry.or_insert(Category::Identification) == Category::Identification {
                let ids = record.ids.ids().iter();
                persons.extend(ids.filter_map(|id| self.idle.get(&id.pseudonym)));
            }
        }
        self.expired_set.persons = persons.len() as u64;
    }

    /// The question for the records with some identifiers, if there are any.
    fn records_naming(&self, naming: Arc<[Pseudonym]>) -> Option<Question> {
        let brand = self.brand;
        (!naming.is_empty()).then_some(Question::Records { brand, naming })
    }
}
