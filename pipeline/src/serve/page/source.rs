//! What the page shows of a configured source: nothing secret of it.

use tributary_config::model::{Kind, Source};

/// A configured source.
pub(super) struct SourceRow {
    /// Its name.
    pub(super) name: String,
    /// The kind of its records.
    pub(super) kind: Kind,
    /// Its format.
    pub(super) format: &'static str,
    /// Who can write to it: `verified` or `open`.
    pub(super) trust: &'static str,
}

impl SourceRow {
    /// The row of a source.
    pub(super) fn of(source: &Source) -> SourceRow {
        SourceRow {
            name: source.name.clone(),
            kind: source.kind,
            format: source.format.name(),
            trust: if source.is_open() { "open" } else { "verified" },
        }
    }
}
