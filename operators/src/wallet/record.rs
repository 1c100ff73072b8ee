//! What the operator learns: records of a pass, and the transactions that name it.

use serde::{Deserialize, Serialize};

use crate::label::Label;
use crate::record::{BrandId, Day, Pseudonym, RecordId, WalletPlatform, WalletType};

/// The pass that a record names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PassKey {
    /// The brand.
    pub brand: BrandId,
    /// The pseudonym of its token.
    pub pass: Pseudonym,
}

/// A record of a pass, or a transaction that names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WalletUpdate {
    /// The pass.
    pub key: PassKey,
    /// What happened.
    pub entry: WalletEntry,
}

/// What happened to a pass.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WalletEntry {
    /// A wallet record.
    Record(WalletRecord),
    /// A transaction in a store at a time, Unix milliseconds.
    Transaction(Label, i64),
}

/// A wallet record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WalletRecord {
    /// Unix milliseconds.
    pub ts: i64,
    /// The record's id.
    pub id: RecordId,
    /// The record's source.
    pub source: Label,
    /// The day in the brand's zone.
    pub day: Day,
    /// What happened.
    pub kind: WalletType,
    /// The platform.
    pub platform: WalletPlatform,
    /// A hash of the device that holds the pass; 0 without one.
    pub holder: u64,
    /// The store of a scan.
    pub store: Label,
    /// The key of the identifiers by which the record belongs to a person.
    pub set: u128,
    /// Whether a visit may be joined with web contacts.
    pub joins: bool,
}
