//! What the ladder needs to know beyond the settings of a brand.

use std::collections::BTreeSet;

use tributary_operators::label::Label;

/// A value that is null: the removal effect of several channels in one cell.
pub const NULL_VALUE: i128 = i128::MIN;

/// What a brand's settings do not say yet.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The most that one contributor may hold of a cell, percent; 100 allows all.
    pub dominance: u64,
    /// Sources that anybody can write to: whoever comes from them is not among the contributors of a conversion.
    pub open_sources: BTreeSet<Label>,
    /// Whether a pattern is taken over only if it shows nothing small of any earlier release, instead of the last alone.
    pub all_releases: bool,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            dominance: 80,
            open_sources: BTreeSet::new(),
            all_releases: false,
        }
    }
}
