//! Questions to the running dataflow, and their answers.
//!
//! A question enters like any other input. Every operator that knows a part of the answer emits it at the end of the epoch,
//! and the parts travel to the worker that asked ([`crate::engine::QueryOperator`]). So an answer is exact for one epoch, on
//! any number of processes, without a lock. A question about records first goes to the identifiers that it names, and from
//! there to the identifier sets that contain them. Labels in replies receive their names last, from the worker that asked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::cell::{Cell, Family};
use crate::engine::{self, Query, broadcast};
use crate::facts::Conversion;
use crate::horizons::{Category, Horizons};
use crate::identity::components::Person;
use crate::label::{Channel, Label};
use crate::record::{
    Body, BrandId, Currency, Day, DeviceDay, IdKind, NoticeBox, Pseudonym, Record, RecordKey,
    SaleKind, UnmatchedStays,
};

/// A question to the dataflow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Question {
    /// The released cells of a brand, of one family or of all.
    Cells {
        /// The brand.
        brand: BrandId,
        /// The family.
        family: Option<Family>,
    },
    /// Why identifiers belong to one person: a shortest chain of links from any of `from` to any of `to`.
    Link {
        /// The brand.
        brand: BrandId,
        /// The pseudonyms of one clear value.
        from: Vec<Pseudonym>,
        /// The pseudonyms of another.
        to: Vec<Pseudonym>,
    },
    /// The persons behind an attribution cell, by path.
    Paths {
        /// The brand.
        brand: BrandId,
        /// The conversions in question.
        of: ConversionGroup,
        /// Only paths that contain this channel.
        channel: Channel,
    },
    /// The records with any of these identifiers.
    Records {
        /// The brand.
        brand: BrandId,
        /// The identifiers.
        naming: Arc<[Pseudonym]>,
    },
    /// The identifiers of some persons, given by identifier or by label.
    Members {
        /// The brand.
        brand: BrandId,
        /// Some of their identifiers.
        naming: Arc<[Pseudonym]>,
        /// Persons by their labels in the graph.
        persons: Arc<[Person]>,
    },
    /// The store days with pings of some devices, among the days whose salts are still known.
    DeviceDays {
        /// The brand.
        brand: BrandId,
        /// The brand's keyed hashes of the devices.
        devices: Arc<[Pseudonym]>,
    },
    /// The records past their retention period.
    Expired {
        /// The brand.
        brand: BrandId,
        /// The retention horizon of each category.
        horizons: Horizons,
    },
    /// What remains of the sightings on the salt days before `before`.
    Settle {
        /// The brand.
        brand: BrandId,
        /// The first salt day that is not settled.
        before: Day,
    },
    /// The first salt day of which any worker still accepts sightings.
    AcceptedSightings {
        /// The brand.
        brand: BrandId,
    },
    /// The identifier sets with any of these identifiers that have an interaction since `since`.
    ActiveSince {
        /// The brand.
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

/// The operator that a question is sent to first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Respondent {
    /// [`crate::consent_state`], which passes it to [`crate::policy_filter`] for each identifier set.
    ConsentState,
    /// [`crate::policy_filter`].
    PolicyFilter,
    /// [`crate::sessionize`].
    Sessionize,
    /// [`crate::matching`].
    Matching,
    /// [`crate::identity::graph`].
    Graph,
    /// [`crate::person`].
    Persons,
    /// [`crate::cells`].
    Cells,
}

impl Question {
    /// The brand of the question.
    pub fn brand(&self) -> BrandId {
        match self {
            Question::Cells { brand, .. }
            | Question::Link { brand, .. }
            | Question::Paths { brand, .. }
            | Question::Records { brand, .. }
            | Question::Members { brand, .. }
            | Question::DeviceDays { brand, .. }
            | Question::Expired { brand, .. }
            | Question::Settle { brand, .. }
            | Question::AcceptedSightings { brand }
            | Question::ActiveSince { brand, .. } => *brand,
        }
    }

    /// The operator that the question is sent to first.
    pub fn respondent(&self) -> Respondent {
        match self {
            Question::Records { .. } | Question::ActiveSince { .. } => Respondent::ConsentState,
            Question::Expired { .. } => Respondent::PolicyFilter,
            Question::DeviceDays { .. } => Respondent::Sessionize,
            Question::Settle { .. } | Question::AcceptedSightings { .. } => Respondent::Matching,
            Question::Link { .. } | Question::Members { .. } => Respondent::Graph,
            Question::Paths { .. } => Respondent::Persons,
            Question::Cells { .. } => Respondent::Cells,
        }
    }

    /// The keys of the states that the question is sent to, as in [`Query::key`]: the identifiers, the brand of a graph, or
    /// all of `peers` workers.
    pub fn keys(&self, peers: u64) -> Vec<u128> {
        match self {
            Question::Records { naming, .. } | Question::ActiveSince { naming, .. } => {
                naming.to_vec()
            }
            // Every worker knows the same of it.
            Question::AcceptedSightings { brand } => vec![brand.0.into()],
            Question::Link { brand, .. } | Question::Members { brand, .. } => vec![brand.0.into()],
            Question::Expired { .. }
            | Question::DeviceDays { .. }
            | Question::Settle { .. }
            | Question::Paths { .. }
            | Question::Cells { .. } => broadcast(peers, u128::from).collect(),
        }
    }
}

/// A question with its sender and the key of the state that answers it.
pub type RoutedQuestion = Query<Question>;

/// A part of an answer, addressed to the worker that asked.
pub type Answer = engine::Answer<Reply>;

/// The content of a part of an answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reply {
    /// One released cell.
    Cell(Cell),
    /// The chain between two identifiers.
    Link {
        /// Whether either side occurs in any record.
        known: [bool; 2],
        /// Whether either side is a hub, which identifies nobody.
        hub: [bool; 2],
        /// The chain, or `None` if they are not one person.
        hops: Option<Vec<Hop>>,
    },
    /// A current record, whether it counts or not, before its labels have names.
    Record(RecordKey, Box<Record>),
    /// A current record with the names of its labels, in the order of [`labels`].
    NamedRecord(RecordKey, Box<Record>, Vec<Option<Arc<str>>>),
    /// An identifier of a person.
    Member(Pseudonym, IdKind, Person),
    /// A device has pings in a store on an open salt day.
    DeviceSeen(DeviceDay),
    /// A device may have pings in a store on an open salt day, but they were not stored because of the device limit.
    DeviceNotSampled(DeviceDay),
    /// A settled visit, or a member of the panel, that sightings leave behind.
    Settled(RecordKey, Box<Record>),
    /// The stays of a store and salt day that were not matched, by the day in the brand's zone. One part with the number 0 says
    /// that the salt day has anything to settle.
    Unmatched(UnmatchedStays),
    /// The first salt day of which any worker still accepts sightings. There is no such part before all workers have said theirs.
    AcceptedSightings(Day),
    /// A record past the retention period of its own category.
    Expired(RecordKey, Category),
    /// A cookie past its retention period.
    OldCookie(Pseudonym),
    /// An identifier of a set without recent interactions, whose records expire if its person is inactive.
    Inactive(Pseudonym),
    /// The identifiers of a set with an interaction since the given time.
    Active(Vec<Pseudonym>),
    /// The persons of one worker with a path in the group, before its labels have names.
    Path {
        /// The brand whose names the labels have.
        brand: BrandId,
        /// The channels, oldest first, repeats in a row once.
        path: Vec<Channel>,
        /// Distinct persons.
        persons: u64,
        /// Their conversions.
        conversions: u64,
    },
    /// The same with names: source, medium and campaign of each channel.
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
        Body::Contact { channel: of, .. } | Body::Exposure { channel: of, .. } => {
            let Channel {
                source: from,
                medium,
                campaign,
            } = *of;
            ([source, from, medium, campaign, none], 4)
        }
        Body::Sale { store, .. }
        | Body::Sighting { store, .. }
        | Body::SettledVisit { store, .. }
        | Body::Refund { store, .. }
        | Body::Restatement { store, .. }
        | Body::Adjustment { store, .. } => ([source, *store, none, none, none], 2),
        Body::Spend {
            platform,
            channel: of,
            ..
        } => ([source, *platform, of.source, of.medium, of.campaign], 5),
        Body::Wallet {
            store, channel: of, ..
        } => ([source, *store, of.source, of.medium, of.campaign], 5),
        Body::Identify
        | Body::PartnerLink
        | Body::PanelMember { .. }
        | Body::Consent { .. }
        | Body::Right { .. } => ([source, none, none, none, none], 1),
    };
    let boxes = match &record.body {
        Body::Consent { boxes, .. } => boxes.as_deref().unwrap_or_default(),
        _ => &[],
    };
    let labels = labels.into_iter().take(count);
    labels.chain(boxes.iter().flat_map(NoticeBox::labels))
}

/// One link of a chain: the kinds of its identifiers, never their values, and its earliest supporting record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hop {
    /// The kind of the nearer identifier.
    pub from: IdKind,
    /// The kind of the farther identifier.
    pub to: IdKind,
    /// The source of the earliest record with both identifiers.
    pub source: Label,
    /// The day of that record.
    pub day: Day,
}
