//! Aggregates: the contributions that operators send to the cells.
//!
//! A cell is a sum over its contributions, so operators send only the differences that a change makes, keyed by [`CellKey`]
//! and summed per epoch and worker. The key also names parts that are never published by themselves: the transitions of the
//! Markov chains, which are sums too and are solved only on release, and the contributors of takings that the gate needs.

use serde::{Deserialize, Serialize};

pub use crate::cell::{BrandMonth, CellKey, Credited, Lacks, Month, MonthGroup, TrafficMonth};

/// The difference that a change makes to a cell: up to five values in the order of
/// [`crate::cell::Family::values`], the contributors that the release gate counts, and who they are in 128 bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Aggregate {
    /// The values, zero beyond those of the family.
    pub values: [i128; 5],
    /// The number of contributors: distinct persons, and records without a person.
    pub contributors: i64,
    /// The contributors whose contribution changed, in either direction, as a set of 128 bits by hash. Two contributors may share
    /// a bit, so the number of bits is at most the number of contributors.
    pub changed: u128,
}

impl Aggregate {
    /// An aggregate of the first values, the others zero, without contributors.
    pub fn of(values: &[i128]) -> Aggregate {
        let mut sums = Aggregate::default();
        for (slot, value) in sums.values.iter_mut().zip(values) {
            *slot = *value;
        }
        sums
    }

    /// The same aggregate with a number of contributors.
    pub fn with_contributors(mut self, contributors: i64) -> Aggregate {
        self.contributors = contributors;
        self
    }

    /// The same aggregate as a change by a contributor, given by any hash.
    pub fn changed_by(mut self, who: u64) -> Aggregate {
        use std::hash::BuildHasher;
        // The upper bits of this hash are the well mixed ones.
        self.changed |= 1 << (rustc_hash::FxBuildHasher.hash_one(who) >> 57);
        self
    }

    /// Adds `count` times the other.
    pub fn add(&mut self, other: &Aggregate, count: i64) {
        for (slot, value) in self.values.iter_mut().zip(&other.values) {
            *slot += value * i128::from(count);
        }
        self.contributors += other.contributors * count;
        self.changed |= other.changed;
    }

    /// Whether values and contributors are zero, regardless of changes.
    pub fn is_zero(&self) -> bool {
        self.values == [0; 5] && self.contributors == 0
    }
}
