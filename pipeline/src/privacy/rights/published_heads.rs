//! The heads that a process publishes to the broker, so that a start can detect
//! an outdated copy of its files.

use serde::{Deserialize, Serialize};
use tributary_connectors::nats::subject as subjects;
use tributary_ledger::Watermark;
use tributary_rights::{Head, LedgerWatermark};

/// Heads of a process, as JSON on its own subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PublishedHeads {
    /// Watermark of its ledger.
    pub ledger: LedgerWatermark,
    /// Head of its objection list.
    pub objections: Head,
    /// Number of identifiers on the list.
    pub kept_out: u64,
    /// Head of its tombstones; absent before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Head>,
}

/// Subject on which the process of this name publishes its heads.
pub fn subject(process: &str) -> String {
    subjects::cluster_topic("heads", process)
}

/// Converts a ledger's watermark to the form in which the other files record
/// it.
pub fn mark(of: Watermark) -> LedgerWatermark {
    LedgerWatermark::new(of.ledger, of.manifest, of.commits)
}
