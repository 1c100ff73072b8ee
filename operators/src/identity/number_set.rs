//! Number set: a few numbers of identifiers or of sets, in 16 bytes.
//!
//! An identifier is in one or two sets, and a set has one or two identifiers. The graph has as many of these lists as it has
//! identifiers and sets, so that up to three numbers stand in the list itself: with that and smaller maps, the graph of 1 M
//! events takes 33.3 MB instead of 38.1. More are in a [`SmallMap`], whose cost is bounded however many sets a hub is in.

use crate::small_map::SmallMap;

/// The most numbers that need no allocation.
const FEW: usize = 3;

/// An unused place. No identifier and no set has this number.
const UNUSED: u32 = u32::MAX;

/// A set of numbers below `u32::MAX`.
pub(super) enum NumberSet {
    /// Ascending, the unused places behind.
    Few([u32; FEW]),
    /// More than [`FEW`].
    Many(Box<SmallMap<u32, ()>>),
}

impl Default for NumberSet {
    fn default() -> Self {
        NumberSet::Few([UNUSED; FEW])
    }
}

impl NumberSet {
    /// Whether there is no number.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, NumberSet::Few([UNUSED, ..]))
    }

    /// The numbers, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let (few, many) = match self {
            NumberSet::Few(few) => (&few[..], None),
            NumberSet::Many(many) => (&[][..], Some(many.iter())),
        };
        let few = few.iter().copied().filter(|number| *number != UNUSED);
        let many = many.into_iter().flatten().map(|(number, ())| *number);
        few.chain(many)
    }

    /// Adds a number.
    pub(super) fn insert(&mut self, number: u32) {
        match self {
            NumberSet::Few(few) if few.contains(&number) => {}
            NumberSet::Few(few) => match few.iter_mut().find(|held| **held == UNUSED) {
                Some(unused) => {
                    *unused = number;
                    few.sort_unstable();
                }
                None => {
                    let mut many = SmallMap::default();
                    for number in few.iter().chain([&number]) {
                        many.insert(*number, ());
                    }
                    *self = NumberSet::Many(Box::new(many));
                }
            },
            NumberSet::Many(many) => drop(many.insert(number, ())),
        }
    }

    /// Removes a number.
    pub(super) fn remove(&mut self, number: u32) {
        match self {
            NumberSet::Few(few) => {
                if let Some(held) = few.iter_mut().find(|held| **held == number) {
                    *held = UNUSED;
                    few.sort_unstable();
                }
            }
            NumberSet::Many(many) => {
                many.remove(&number);
                if many.len() <= FEW {
                    let mut few = [UNUSED; FEW];
                    for (place, (number, ())) in few.iter_mut().zip(many.iter()) {
                        *place = *number;
                    }
                    *self = NumberSet::Few(few);
                }
            }
        }
    }

    /// The estimated bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            NumberSet::Few(_) => 0,
            NumberSet::Many(many) => size_of::<SmallMap<u32, ()>>() + many.heap_bytes(|_| 0),
        }
    }
}

impl FromIterator<u32> for NumberSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut set = NumberSet::default();
        numbers.into_iter().for_each(|number| set.insert(number));
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn equals_a_set_of_numbers() {
        assert_eq!(size_of::<NumberSet>(), 16);
        let (mut set, mut expected) = (NumberSet::default(), BTreeSet::new());
        let mut largest = 0;
        for at in 0..20_000_u64 {
            let random = (at.wrapping_mul(6_364_136_223_846_793_005) >> 33) as u32;
            // Grows beyond three numbers and falls to none, again and again.
            let number = random % [2, 6, 200][at as usize / 100 % 3];
            match u64::from(random / 1_000 % 100) > at % 100 {
                true => {
                    set.insert(number);
                    expected.insert(number);
                }
                false => {
                    set.remove(number);
                    expected.remove(&number);
                }
            }
            assert!(set.iter().eq(expected.iter().copied()));
            assert_eq!(set.is_empty(), expected.is_empty());
            largest = largest.max(expected.len());
        }
        assert!(largest > 20, "{largest}");
        let again: NumberSet = expected.iter().copied().collect();
        assert!(again.iter().eq(expected.iter().copied()));
        expected.iter().for_each(|number| set.remove(*number));
        assert!(set.is_empty() && set.heap_bytes() == 0);
    }
}
