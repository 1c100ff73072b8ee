//! What advertising and location partners report: where a device was seen, what it was shown, and which identifiers belong
//! together.

use serde::{Deserialize, Serialize};

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
