//! The heads that a process publishes to the broker.

use serde::{Deserialize, Serialize};
use tributary_connectors::nats::subject as subjects;
use tributary_ledger::Watermark;
use tributary_rights::{Head, LedgerWatermark};

/// What a process publishes of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PublishedHeads {
    pub ledger: LedgerWatermark,
    pub objections: Head,
    /// How many identifiers the list keeps out.
    pub kept_out: u64,
}

/// Where a process publishes its heads.
pub(super) fn subject(process: usize) -> String {
    subjects::cluster_topic("heads", &process.to_string())
}

/// How far a ledger is, as the other files note it.
pub fn mark(of: Watermark) -> LedgerWatermark {
    LedgerWatermark::new(of.ledger, of.manifest, of.commits)
}
