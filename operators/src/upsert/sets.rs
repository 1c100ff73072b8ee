//! The identifier sets of the current records of a worker, each with a number and the count of its uses.
//!
//! There are about a fifth as many sets as records. Their identifiers are needed when the first record of a set comes and when the
//! last one goes, and are kept packed until then.

use crate::engine::{Keyed, Numbered};
use crate::hash_key::HashKey;
use crate::record::{BrandId, IdSet, PackedIds};

/// A set in use.
struct UsedSet {
    uses: u32,
    key: (BrandId, HashKey),
    ids: PackedIds,
}

impl Keyed for UsedSet {
    type Key = (BrandId, HashKey);

    fn key(&self) -> &(BrandId, HashKey) {
        &self.key
    }
}

impl UsedSet {
    fn unpack(&self) -> (BrandId, IdSet) {
        (self.key.0, self.ids.unpack(self.key.1))
    }
}

/// The sets in use.
#[derive(Default)]
pub(super) struct Sets(Numbered<UsedSet>);

impl Sets {
    /// The number of sets.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The estimated bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes(|of| of.ids.heap_bytes())
    }

    /// The brand and the identifiers of a set.
    pub(super) fn get(&self, number: u32) -> Option<(BrandId, IdSet)> {
        self.0.get(number).map(UsedSet::unpack)
    }

    /// Counts a use of a set. Returns its number, and whether it is the first use.
    pub(super) fn add_use(&mut self, brand: BrandId, ids: &IdSet) -> (u32, bool) {
        let key = (brand, ids.key().into());
        let found = self.0.find(&key);
        if let Some((number, set)) = found.and_then(|of| Some((of, self.0.get_mut(of)?))) {
            set.uses += 1;
            return (number, false);
        }
        let ids = PackedIds::pack(ids);
        (self.0.insert(UsedSet { uses: 1, key, ids }), true)
    }

    /// Takes a use back. Returns the set if it was the last.
    pub(super) fn remove_use(&mut self, number: u32) -> Option<(BrandId, IdSet)> {
        let set = self.0.get_mut(number)?;
        set.uses = set.uses.saturating_sub(1);
        match set.uses {
            0 => self.0.remove(number).map(|set| set.unpack()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{IdKind, Identifier};

    #[test]
    fn a_set_is_what_it_was_until_its_last_use_ends() {
        let id = |pseudonym, value, kind| Identifier {
            pseudonym,
            value,
            kind,
        };
        let one = IdSet::new(vec![id(7, 7, IdKind::Cookie)]);
        let two = IdSet::new(vec![
            id(u128::MAX, 3, IdKind::Email),
            id(1, 1, IdKind::ClickId),
            id(2, u128::MAX, IdKind::Device),
        ]);
        let (brand, other) = (BrandId(1), BrandId(2));
        let mut sets = Sets::default();
        let (first, is_new) = sets.add_use(brand, &one);
        assert!(is_new && sets.add_use(brand, &one) == (first, false));
        let (second, _) = sets.add_use(brand, &two);
        let (third, is_new) = sets.add_use(other, &one);
        let (fourth, _) = sets.add_use(brand, &IdSet::empty());
        assert!(is_new && sets.len() == 4);
        assert_eq!(sets.get(second), Some((brand, two.clone())));
        assert_eq!(sets.remove_use(first), None);
        assert_eq!(sets.remove_use(first), Some((brand, one.clone())));
        assert_eq!(sets.get(first), None);
        assert_eq!(sets.remove_use(third), Some((other, one)));
        assert_eq!(sets.remove_use(second), Some((brand, two)));
        assert_eq!(sets.remove_use(fourth), Some((brand, IdSet::empty())));
        assert_eq!((sets.len(), sets.bytes()), (0, Sets::default().bytes()));
    }
}
