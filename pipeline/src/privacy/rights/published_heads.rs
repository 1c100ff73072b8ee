//! The heads that a process publishes to the broker.

use serde::{Deserialize, Serialize};
use tributary_connectors::nats::subject as subjects;
use tributary_ledger::Mark;
use tributary_rights::{Head, LedgerMark};

/// What a process publishes of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PublishedHeads {
    pub ledger: LedgerMark,
    pub objections: Head,
    /// How many identifiers the list keeps out.
    pub kept_out: u64,
}

/// Where a process publishes its heads.
pub(super) fn subject(process: usize) -> String {
    subjects::of_process("heads", &process.to_string())
}

/// How far a ledger is, as the other files note it.
pub fn mark(of: Mark) -> LedgerMark {
    LedgerMark::new(of.ledger, of.manifest, of.commits)
}
