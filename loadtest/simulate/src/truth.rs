//! What a world knows and its trace does not say.

/// A visit of a phone that carries an advertising identifier: what matching cannot know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueVisit {
    /// The advertising identifier.
    pub device: String,
    /// The store.
    pub store: String,
    /// The address that sensors hear, or what they make of it, as in the pings.
    pub sensed: String,
    /// The beginning, Unix milliseconds.
    pub from: i64,
    /// The end, Unix milliseconds.
    pub until: i64,
}
