//! The outcome of the comparison at a start, and the text that explains a
//! refusal.

use std::collections::BTreeMap;

use tributary_config::model::Config;
use tributary_rights::Head;

use super::super::files;
use crate::durability::location::ledger_options;

/// What the comparison found.
#[derive(Clone, Debug, Default)]
pub struct LossReport {
    /// What is missing, shorter, older or damaged, a sentence each.
    pub losses: Vec<String>,
    /// For each brand, the last entry of its audit log that a receipt at the broker
    /// names.
    pub(super) receipted: BTreeMap<String, u64>,
    /// For each brand, the highest entry that any receipt names, including those of
    /// a log that was lost.
    pub published: BTreeMap<String, Head>,
    /// Whether the ledger records file heads, which proves that they were published
    /// to the broker.
    pub(super) is_named: bool,
}

impl LossReport {
    /// The last entry of a brand's log that has a receipt at the broker, or 0.
    pub fn receipted(&self, brand: &str) -> u64 {
        self.receipted.get(brand).copied().unwrap_or(0)
    }

    /// The text that explains to the operator why the start is refused, and what to
    /// restore.
    pub fn refusal(&self, config: &Config) -> String {
        let ledger = ledger_options(config).directory;
        format!(
            "the records of rights requests do not fit together, so that somebody who objected could be counted \
             again:\n  - {}\nRestore {}, {} and the stream {} as they were at one time. To go on with what is there, \
             without what is lost: tributary run --accept-loss",
            self.losses.join("\n  - "),
            ledger.display(),
            files::directory(config).display(),
            config.nats.rights_stream
        )
    }
}
