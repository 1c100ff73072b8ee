//! Facts: what a held record means to the stages behind it.
//!
//! Every record that names somebody is a [`IdSetUse`] for the identity graph. A contact and a sale
//! that counts are [`Fact`]s that belong to a person, or to nobody. How a record becomes them stands in
//! [`crate::routing`].

use std::sync::Arc;

use differential_dataflow::consolidation::consolidate_slice;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::label::{Channel, Label};
use crate::record::{BrandId, Currency, Day, IdSet, SaleKind, SaleName, TouchKind};

/// A web contact of somebody. The order is the order of paths: time, then the id's bytes, then the
/// source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Contact {
    /// Unix milliseconds.
    pub ts: i64,
    /// The record's id.
    pub id: Arc<str>,
    /// The record's source.
    pub source: Label,
    /// Its channel.
    pub channel: Channel,
    /// The day in the brand's zone.
    pub day: Day,
    /// Impression, click or view.
    pub kind: TouchKind,
    /// Whether it may be credited.
    pub touch: bool,
    /// Whether it may stand in the path of what happened at a till.
    pub joins: bool,
}

/// A sale that counts, with what refunds have left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Conversion {
    /// Unix milliseconds.
    pub ts: i64,
    /// What refunds call the sale.
    pub name: SaleName,
    /// The record's source.
    pub source: Label,
    /// The day in the brand's zone.
    pub day: Day,
    /// Order or transaction.
    pub kind: SaleKind,
    /// The store; absent for an order.
    pub store: Label,
    /// What is left of the amount, minor units, not negative.
    pub left: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// Whether what led to it may be looked for in the web.
    pub joins: bool,
}

/// Something that happened to somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fact {
    /// A web contact.
    Contact(Contact),
    /// A sale that counts.
    Conversion(Conversion),
}

/// The changes of the facts of one owner in one epoch: mostly one.
pub(crate) type FactChanges = SmallVec<[(Fact, i64); 1]>;

/// Brings changes into order and nets what cancels out.
pub(crate) fn net(changes: &mut FactChanges) {
    let left = consolidate_slice(changes);
    changes.truncate(left);
}

/// Changes that are in order, as sorted lists take them with the fewest moves: what goes from the last to the first, then
/// what comes from the first to the last.
pub(crate) fn in_cheap_order(changes: FactChanges) -> impl Iterator<Item = (Fact, i64)> {
    let (come, go): (FactChanges, FactChanges) =
        changes.into_iter().partition(|(_, diff)| *diff > 0);
    go.into_iter().rev().chain(come)
}

/// That the identifiers of a set stood in one record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdSetUse {
    /// The tenant.
    pub brand: BrandId,
    /// The identifiers, at least one.
    pub set: IdSet,
    /// Where the record came from.
    pub source: Label,
    /// The record's day.
    pub day: Day,
    /// Whether the record is a fact of somebody besides.
    pub is_fact: bool,
}

impl Fact {
    /// A hash that stands for the record where no person stands behind it.
    pub(crate) fn contributor(&self) -> u64 {
        match self {
            Fact::Contact(contact) => Label::of(&contact.id).0,
            Fact::Conversion(conversion) => conversion.name.0 as u64,
        }
    }
}
