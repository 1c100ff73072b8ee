//! A sale as it was reported, before refunds.

use serde::{Deserialize, Serialize};

use crate::label::Label;
use crate::record::{Currency, Day, RecordId};

/// A sale as a store or an online shop reported it. The derived order decides which of several orders with one name counts:
/// those of verified sources first, then the earliest `(ts, id)`, then the least source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sale {
    /// Whether anybody can write to the source.
    pub is_open: bool,
    /// Unix milliseconds.
    pub ts: i64,
    /// The id of the record.
    pub id: RecordId,
    /// The source of the record.
    pub source: Label,
    /// The day in the brand's zone.
    pub day: Day,
    /// The store; absent for an order.
    pub store: Label,
    /// Minor units, not negative.
    pub amount: i64,
    /// The currency of the amount.
    pub currency: Currency,
    /// The key of the record's identifiers; 0 for none.
    pub set: u128,
    /// Whether the sale may be joined with web contacts.
    pub joins: bool,
}
