//! What advertising and location partners report: where a device was seen, what it was shown, and which identifiers belong
//! together.

use serde::{Deserialize, Serialize};

use crate::label::Label;
use crate::record::brand::{BrandId, Day};
use crate::record::identifier::Pseudonym;

/// By what a sighting tells which of a store's visits it may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SightingCookie {
    /// By its time alone.
    None,
    /// By the offline cookie of the store's box, too.
    Cookie(u32),
    /// By the MAC address that a captive portal saw: its keyed hash, as that of a ping. It is replaced by the cookie of its
    /// store and salt day before any operator or the ledger sees the record.
    Mac(Pseudonym),
}

/// The stays of a store on one day that were not matched, of a salt day that is settled. They belong to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnmatchedStays {
    /// The brand.
    pub brand: BrandId,
    /// The store.
    pub store: Label,
    /// The day in the brand's time zone.
    pub day: Day,
    /// Their number.
    pub stays: i64,
}
