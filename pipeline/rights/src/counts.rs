//! The effects of a request, as counts.

use serde::{Deserialize, Serialize};

/// The effects of a request, as numbers. They identify nobody, so that they may
/// appear in a status, a receipt and the audit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Counts {
    /// Cells whose values changed.
    pub cells: u64,
    /// Dead letters removed or rewritten.
    pub dead_letters: u64,
    /// Ledger entries that were erased.
    pub ledger_entries: u64,
    /// Files with erased entries that could not be overwritten before they were
    /// removed. Left out where it is 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub not_overwritten: u64,
    /// Messages of the input stream removed or rewritten.
    pub raw_messages: u64,
    /// Records that were disclosed, corrected, restricted or retracted.
    pub records: u64,
    /// Entries that were added to the objection list.
    pub suppressions: u64,
}

/// Whether a count is 0.
fn is_zero(count: &u64) -> bool {
    *count == 0
}
