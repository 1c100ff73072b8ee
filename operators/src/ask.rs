//! Questions to the running dataflow, and their answers.
//!
//! A question enters like any other input, is answered by every stage that knows a part of the answer
//! at the end of its epoch, and the parts go back to the worker that asked. So an answer is exact for one
//! epoch, on any number of processes, without a lock.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Family};
use crate::facts::Conversion;
use crate::horizons::{Category, Horizons};
use crate::identity::components::Person;
use crate::label::{Channel, Label};
use crate::record::{
    Body, BrandId, Currency, Day, DeviceDay, IdKind, Pseudonym, Record, RecordKey, SaleKind,
};

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Question {
    /// The released cells of a brand, of one family or of all.
    Cells {
        /// The tenant.
        brand: BrandId,
        /// The family.
        family: Option<Family>,
    },
    /// Why identifiers are one person: a shortest chain between any of `from` and any of `to`.
    Link {
        /// The tenant.
        brand: BrandId,
        /// The pseudonyms of one clear value.
        from: Vec<Pseudonym>,
        /// The pseudonyms of another.
        to: Vec<Pseudonym>,
    },
    /// Why an attribution cell is what it is: the persons behind it by path.
    Paths {
        /// The tenant.
        brand: BrandId,
        /// The conversions in question.
        of: ConversionGroup,
        /// Only paths that hold this channel.
        channel: Channel,
    },
    /// The records that name any of these identifiers.
    Records {
        /// The tenant.
        brand: BrandId,
        /// The identifiers.
        naming: Arc<[Pseudonym]>,
    },
    /// The identifiers of the persons that hold any of these, or that are these.
    Members {
        /// The tenant.
        brand: BrandId,
        /// Some of their identifiers.
        naming: Arc<[Pseudonym]>,
        /// Persons by their labels in the graph.
        persons: Arc<[Person]>,
    },
    /// What was heard of devices, on the days whose salts are still known.
    DeviceDays {
        /// The tenant.
        brand: BrandId,
        /// The brand's keyed hashes of the devices.
        devices: Arc<[Pseudonym]>,
    },
    /// What is past its retention.
    Expired {
        /// The tenant.
        brand: BrandId,
        /// From when on each category is held.
        horizons: Horizons,
    },
    /// Which sets of identifiers that name any of these are named by a record that is not older, rights aside.
    ActiveSince {
        /// The tenant.
        brand: BrandId,
        /// The identifiers.
        naming: Arc<[Pseudonym]>,
        /// Unix milliseconds.
        since: i64,
    },
}

/// The conversions behind the attribution cells of one kind, store, day and currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConversionGroup {
    /// Order or transaction.
    pub kind: SaleKind,
    /// The store; absent for orders.
    pub store: Label,
    /// The day in the brand's zone.
    pub day: Day,
    /// The currency.
    pub currency: Currency,
}

impl ConversionGroup {
    /// Whether a conversion belongs to the group.
    pub fn holds(&self, conversion: &Conversion) -> bool {
        let Conversion {
            kind,
            store,
            day,
            currency,
            ..
        } = *conversion;
        *self
            == ConversionGroup {
                kind,
                store,
                day,
                currency,
            }
    }
}

impl Question {
    /// The brand that is asked about.
    pub fn brand(&self) -> BrandId {
        match self {
            Question::Cells { brand, .. }
            | Question::Link { brand, .. }
            | Question::Paths { brand, .. }
            | Question::Records { brand, .. }
            | Question::Members { brand, .. }
            | Question::DeviceDays { brand, .. }
            | Question::Expired { brand, .. }
            | Question::ActiveSince { brand, .. } => *brand,
        }
    }
}

/// A question with the way back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoutedQuestion {
    /// The worker that asked.
    pub asker: u64,
    /// The worker that is asked, where every worker is.
    pub target: u64,
    /// The asker's number for it.
    pub number: u64,
    /// The question.
    pub question: Question,
}

impl RoutedQuestion {
    /// A part of the answer.
    pub fn answer(&self, reply: Reply) -> Answer {
        Answer {
            asker: self.asker,
            number: self.number,
            reply,
        }
    }
}

/// A part of an answer, on its way back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Answer {
    /// The worker that asked.
    pub asker: u64,
    /// Its number for the question.
    pub number: u64,
    /// The part.
    pub reply: Reply,
}

/// What one stage of one worker knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reply {
    /// One released cell.
    Cell(Cell),
    /// The chain between two identifiers.
    Link {
        /// Whether either side is held at all.
        known: [bool; 2],
        /// Whether either side is a hub and identifies nobody.
        hub: [bool; 2],
        /// The chain; none where they are not one person.
        hops: Option<Vec<Hop>>,
    },
    /// A record that is held, whether it counts or not, before its words are known.
    Record(RecordKey, Box<Record>),
    /// The same with the words of its labels: source, and what [`labels`] gives, in that order.
    NamedRecord(RecordKey, Box<Record>, Vec<Option<Arc<str>>>),
    /// An identifier of a person.
    Member(Pseudonym, IdKind, Person),
    /// Something was heard of a device on a salt day that is not closed.
    DeviceSeen(DeviceDay),
    /// Something may have been heard of a device on a salt day that is not closed, and was refused: too many smaller
    /// tokens are there.
    DeviceNotSampled(DeviceDay),
    /// A record that is past the time of its own category.
    Expired(RecordKey, Category),
    /// A cookie that was placed too long ago.
    OldCookie(Pseudonym),
    /// An identifier of a set that no record has named for so long that its records go, if nothing else happened of the
    /// person.
    Inactive(Pseudonym),
    /// The identifiers of a set that a record has named since.
    Active(Vec<Pseudonym>),
    /// Persons of one worker whose conversions in the group took a path, before its words are known.
    Path {
        /// Their brand, whose words name the channels.
        brand: BrandId,
        /// The channels, oldest first, repeats in a row once.
        path: Vec<Channel>,
        /// Distinct persons.
        persons: u64,
        /// Their conversions.
        conversions: u64,
    },
    /// The same in words: source, medium and campaign of each channel.
    NamedPath {
        /// The channels, oldest first, repeats in a row once.
        path: Vec<[Option<Arc<str>>; 3]>,
        /// Distinct persons.
        persons: u64,
        /// Their conversions.
        conversions: u64,
    },
}

/// The labels of a record: its source, then those of its body in the order of its fields.
pub fn labels(record: &Record) -> impl Iterator<Item = Label> {
    let (source, none) = (record.source, Label::ABSENT);
    let (labels, count) = match &record.body {
        Body::Contact { channel: of, .. } => {
            let Channel {
                source: from,
                medium,
                campaign,
            } = *of;
            ([source, from, medium, campaign, none], 4)
        }
        Body::Sale { store, .. } | Body::Refund { store, .. } | Body::Adjustment { store, .. } => {
            ([source, *store, none, none, none], 2)
        }
        Body::Spend {
            platform,
            channel: of,
            ..
        } => ([source, *platform, of.source, of.medium, of.campaign], 5),
        Body::Identify | Body::Consent { .. } | Body::Right { .. } => {
            ([source, none, none, none, none], 1)
        }
    };
    labels.into_iter().take(count)
}

/// One link of a chain: no values, only kinds, and the record that supports it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hop {
    /// The kind of the nearer identifier.
    pub from: IdKind,
    /// The kind of the farther identifier.
    pub to: IdKind,
    /// The source of the first record that holds both.
    pub source: Label,
    /// The day of that record.
    pub day: Day,
}
