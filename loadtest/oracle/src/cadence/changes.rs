//! The contributors that changed a cell, and what their number requires of the release gate.
//!
//! The oracle identifies contributors by name. The product marks each one in 128 bits by a hash, so
//! two contributors may share a bit, and a contributor that leaves and returns is a new one. The
//! oracle therefore knows a lower and an upper bound on the number that the product counts, and
//! derives an [`Obligation`] instead of an exact decision.

use std::collections::BTreeSet;

use super::contributors::Contributor;

/// The contributors that changed something since it was last published.
#[derive(Clone, Default)]
pub(super) struct Changes {
    /// Those that the product has certainly counted.
    pub(super) certain: BTreeSet<Contributor>,
    /// Those that the product may have counted, each with its number of earlier departures. A
    /// superset of `certain` when departures are ignored.
    pub(super) possible: BTreeSet<(Contributor, u32)>,
}

impl Changes {
    /// Adds a contributor that has left and returned `departures` times before.
    pub(super) fn add(&mut self, contributor: Contributor, departures: u32) {
        self.certain.insert(contributor);
        self.possible.insert((contributor, departures));
    }

    /// Adds all contributors of another set.
    pub(super) fn extend(&mut self, other: &Changes) {
        self.certain.extend(&other.certain);
        self.possible.extend(&other.possible);
    }

    /// Compares the number of contributors with `k_delta`.
    ///
    /// Fewer than `k_delta` possible contributors must wait. At least `2 * k_delta` certain ones
    /// must be released, since that many names practically never share so many bits that fewer than
    /// `k_delta` bits are set. Anything in between may do either.
    pub(super) fn obligation(&self, k_delta: u64) -> Obligation {
        match (self.certain.len() as u64, self.possible.len() as u64) {
            (_, possible) if possible < k_delta => Obligation::MustWait,
            (certain, _) if certain >= 2 * k_delta => Obligation::MustRelease,
            _ => Obligation::Either,
        }
    }
}

/// What the gate must do with a change. The order is that of strictness: the minimum of several
/// obligations is the one that binds a group that is released as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Obligation {
    /// The published values must stay.
    MustWait,
    /// Both the published and the current values are correct.
    Either,
    /// The current values must be published.
    MustRelease,
}
