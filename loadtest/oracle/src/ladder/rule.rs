//! What the ladder needs to know beyond the settings of a brand.

/// A value that is null: the removal effect of several channels in one cell.
pub const NULL_VALUE: i128 = i128::MIN;

/// What a brand's settings do not say yet.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The most that one contributor may hold of a cell, percent; 100 allows all.
    pub dominance: u64,
    /// Whether a pattern is taken over only if it shows nothing small of any earlier release, instead of the last alone.
    pub all_releases: bool,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            dominance: 80,
            all_releases: false,
        }
    }
}
