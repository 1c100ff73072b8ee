//! Aggregates: the contributions that operators send to the cells.
//!
//! A cell is a sum over its contributions, so operators send only the differences that a change makes, keyed by [`CellKey`]
//! and summed per epoch and worker. The key also names parts that are never published by themselves: the transitions of the
//! Markov chains, which are sums too and are solved only on release, and the contributors of takings that the gate needs.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

pub use crate::cell::{CellKey, Credited, Month, MonthGroup};

/// The difference that a change makes to a cell: up to five values in the order of
/// [`crate::cell::Family::values`], the contributors that the release gate counts, and who they are in 128 bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Aggregate {
    /// The values.
    pub values: [i128; 5],
    /// Distinct persons plus records without identifier.
    pub contributors: i64,
    /// Whose contribution changed, in whatever direction: a bit a contributor, of 128 by hash. Two may share a
    /// bit, so that the bits are no more than the contributors.
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

/// How many cells of a contributor have room that is kept for the next one.
const ROOM: usize = 256;

/// Sums the differences of one epoch before they are sent. A contribution that is retracted and inserted again within
/// an epoch is no change of its contributor, whoever else changes the cell, on any worker.
#[derive(Default)]
pub struct DeltaBuffer {
    sums: FxHashMap<CellKey, Aggregate>,
    /// The differences of the current contributor.
    own: FxHashMap<CellKey, Aggregate>,
    /// How many cells the last epoch had, for which room is made at once.
    last: usize,
}

impl DeltaBuffer {
    /// Adds `count` times the sums to a cell.
    pub fn add(&mut self, key: CellKey, sums: Aggregate, count: i64) {
        self.own.entry(key).or_default().add(&sums, count);
    }

    /// Ends the current contributor.
    pub fn end_contributor(&mut self) {
        if self.sums.capacity() == 0 && !self.own.is_empty() {
            self.sums.reserve(self.last);
        }
        for (key, sums) in self.own.drain().filter(|(_, sums)| !sums.is_zero()) {
            self.sums.entry(key).or_default().add(&sums, 1);
        }
        // To empty a map costs as much as it has room for, so that nobody pays for a large contributor before them.
        if self.own.capacity() > ROOM {
            self.own = FxHashMap::default();
        }
    }

    /// Takes the changes. Releases the buffer, whose memory the operators downstream may need.
    pub fn drain(&mut self) -> impl Iterator<Item = (CellKey, Aggregate)> + use<> {
        self.end_contributor();
        let sums = std::mem::take(&mut self.sums);
        self.last = sums.len();
        let sums = sums.into_iter();
        sums.filter(|(_, sums)| !sums.is_zero() || sums.changed != 0)
    }
}
