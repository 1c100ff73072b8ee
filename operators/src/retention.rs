//! Retention: the questions that find what of a brand is past its time.
//!
//! A pass asks the dataflow with the [`Cutoffs`] of its day; which questions that are, one after the other, an [`Inquiry`]
//! knows, and what comes of it is [`Past`]. How long what is held stands in [`crate::horizons`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ask::{Question, Reply};
use crate::event::Event;
use crate::horizons::goes_with_person;
pub use crate::horizons::{Category, Cutoffs};
use crate::identity::components::Person;
use crate::record::{Arrival, BrandId, IdKind, Pseudonym, Record, RecordKey};

impl Cutoffs {
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
