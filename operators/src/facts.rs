//! Facts: the meaning of a record for the operators downstream.
//!
//! Every record with identifiers is an [`IdSetUse`] for the identity graph. A contact or a counted sale is a [`Fact`] of a
//! person, or of nobody. [`crate::routing`] converts records into them.

use differential_dataflow::consolidation::consolidate_slice;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::label::{Channel, Label};
use crate::record::{BrandId, Currency, Day, IdSet, RecordId, SaleKind, SaleName, TouchKind};

/// A web contact of a person. The derived order is the order of paths: time, then the bytes of the id, then the
/// source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Contact {
    /// Unix milliseconds.
    pub ts: i64,
    /// The record's id.
    pub id: RecordId,
    /// The record's source.
    pub source: Label,
    /// Its channel.
    pub channel: Channel,
    /// The day in the brand's zone.
    pub day: Day,
    /// Impression, click or view.
    pub kind: TouchKind,
    /// Whether the contact is a touchpoint that may be credited.
    pub touch: bool,
    /// Whether the contact may occur in the path of an in-store transaction.
    pub joins: bool,
}

/// A counted sale, net of refunds, or a visit to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Conversion {
    /// Unix milliseconds.
    pub ts: i64,
    /// The name by which refunds refer to the sale.
    pub name: SaleName,
    /// The record's source.
    pub source: Label,
    /// The day in the brand's zone.
    pub day: Day,
    /// Order, transaction or visit.
    pub kind: SaleKind,
    /// The store; absent for an order.
    pub store: Label,
    /// The net amount in minor units, not negative; 0 for a visit.
    pub left: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// Whether the conversion may be joined with web contacts.
    pub joins: bool,
    /// What a visit consists of; `None` for a sale.
    pub visit: Option<Visit>,
}

impl Conversion {
    /// Whether it is a visit that follows from sightings, not from the scans of a wallet pass.
    pub fn is_stay(&self) -> bool {
        self.visit.is_some_and(|visit| visit.scans == 0)
    }
}

/// What a visit to a store consists of: the scans of a wallet pass that belong together, or none for a stay that partners saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Visit {
    /// How much of a conversion it is, in millionths.
    pub weight: u32,
    /// The time of the last scan, or the end of the stay, Unix milliseconds.
    pub until: i64,
    /// Scans, redemptions included; 0 for a stay.
    pub scans: u32,
    /// Redemptions.
    pub redemptions: u32,
    /// Whether there is a transaction with the same pass.
    pub with_transaction: bool,
}

/// A redemption of a voucher.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Redemption {
    /// The record's id.
    pub id: RecordId,
    /// The record's source.
    pub source: Label,
    /// The channel of the voucher.
    pub channel: Channel,
    /// The store.
    pub store: Label,
    /// The day in the brand's zone.
    pub day: Day,
}

/// An event in the history of a person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fact {
    /// A web contact.
    Contact(Contact),
    /// A counted sale, or a visit.
    Conversion(Conversion),
    /// A redemption of a voucher.
    Redemption(Redemption),
    /// A partner reports something of the person in a month: `year * 12 + (month - 1)`.
    Panel(i32),
}

/// The changes of one owner's facts in one epoch; usually one.
pub(crate) type FactChanges = SmallVec<[(Fact, i64); 1]>;

/// Consolidates changes: sorts them and removes those that cancel out.
pub(crate) fn net(changes: &mut FactChanges) {
    let left = consolidate_slice(changes);
    changes.truncate(left);
}

/// Orders sorted changes for the fewest moves in a sorted list: retractions from last to first, then insertions from
/// first to last.
pub(crate) fn in_cheap_order(changes: FactChanges) -> impl Iterator<Item = (Fact, i64)> {
    let (come, go): (FactChanges, FactChanges) =
        changes.into_iter().partition(|(_, diff)| *diff > 0);
    go.into_iter().rev().chain(come)
}

/// The occurrence of an identifier set in one record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdSetUse {
    /// The brand.
    pub brand: BrandId,
    /// The identifiers, at least one.
    pub set: IdSet,
    /// The source of the record.
    pub source: Label,
    /// The record's day.
    pub day: Day,
    /// Whether the record is also a fact.
    pub is_fact: bool,
}

impl Fact {
    /// The hash that represents the record as a contributor if it has no person.
    pub(crate) fn contributor(&self) -> u64 {
        match self {
            Fact::Contact(contact) => Label::of(&contact.id).0,
            Fact::Conversion(conversion) => conversion.name.0 as u64,
            Fact::Redemption(redemption) => Label::of(&redemption.id).0,
            // It counts for persons alone.
            Fact::Panel(_) => 0,
        }
    }
}
