//! Acts: which changes of an epoch count as one.
//!
//! The release gate counts who changed a cell since it was published, and one act of one person must count once: an erasure
//! that splits a person moves facts to many new labels, a link moves facts from several, a request may name twelve cookies
//! that nothing links, and a record may be corrected from one identifier to another. So everything that an epoch does to the
//! same person, as it was before the epoch, and to all identifiers of one record or request, is one act, known by the smallest
//! label of its persons. Labels count up, so that this is a person of before the epoch if there is any.
//!
//! Counting too few is safe: several persons in one act hide each other less often than they might.

use rustc_hash::FxHashMap;

use super::components::Person;
use crate::record::Pseudonym;

/// The first number that denotes an identifier without a person. Labels of persons are below it.
const IDENTIFIERS: u64 = 1 << 63;

/// The persons and identifiers of a brand that one epoch changes together: disjoint sets, each known by its smallest number.
#[derive(Default)]
pub(super) struct Acts {
    /// The parent of each number that is not the smallest of its set.
    parents: FxHashMap<u64, u64>,
}

/// The number of an identifier, for those that belong to no person.
pub(super) fn number_of(id: Pseudonym) -> u64 {
    // Both halves are hashes.
    (id as u64 ^ (id >> 64) as u64) | IDENTIFIERS
}

impl Acts {
    /// The smallest number of a set; the number itself if it is in none.
    pub(super) fn root(&mut self, of: u64) -> u64 {
        let mut root = of;
        while let Some(parent) = self.parents.get(&root) {
            root = *parent;
        }
        let mut at = of;
        while let Some(parent) = self.parents.get_mut(&at) {
            at = std::mem::replace(parent, root);
        }
        root
    }

    /// Makes one set of the sets of two numbers.
    pub(super) fn join(&mut self, a: u64, b: u64) {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            self.parents.insert(a.max(b), a.min(b));
        }
    }

    /// Each person whose act is known by another number, with that number, in order.
    pub(super) fn persons(&mut self) -> Vec<(Person, u64)> {
        let numbers = self.parents.keys().copied();
        let mut persons: Vec<Person> = numbers.filter(|number| *number < IDENTIFIERS).collect();
        persons.sort_unstable();
        let known = persons
            .into_iter()
            .map(|person| (person, self.root(person)));
        known.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_known_by_its_smallest_person() {
        let mut acts = Acts::default();
        let [a, b] = [1 << 70 | 5, 9].map(number_of);
        acts.join(a, b);
        assert!(acts.persons().is_empty(), "identifiers are no persons");
        acts.join(a, 7);
        acts.join(3, b);
        acts.join(8, 9);
        assert_eq!(
            [a, b, 7, 3, 9, 4].map(|of| acts.root(of)),
            [3, 3, 3, 3, 8, 4]
        );
        assert_eq!(acts.persons(), [(7, 3), (9, 8)]);
    }
}
