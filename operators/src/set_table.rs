//! The table of identifier sets: the identifiers of every set of a worker, once, under a number.
//!
//! Two operators of a worker need them. [`crate::upsert`] has the current records of some keys, and needs the identifiers of a set
//! when the first of its records comes and when the last one goes. [`crate::policy_filter`] has the contents of all records of some
//! sets. With one worker these are the same sets, and with several many of them are, so that both keep a number. A set stays in
//! the table, and its number is its own, until neither needs it. Neither sees from it how far the other is.

use std::cell::RefCell;
use std::rc::Rc;

use crate::engine::{Keyed, Numbered};
use crate::hash_key::HashKey;
use crate::record::{BrandId, IdSet, PackedIds};

/// A set in use.
struct UsedSet {
    /// The current records of the worker's keys with the set.
    records: u32,
    /// Whether the worker has the contents of its records.
    is_home: bool,
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
pub(crate) struct SetTable(Numbered<UsedSet>);

/// The table of a worker, which its operators share.
pub(crate) type SharedSetTable = Rc<RefCell<SetTable>>;

impl SetTable {
    /// The number of sets.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The estimated bytes on the heap.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes(|of| of.ids.heap_bytes())
    }

    /// The brand and the identifiers of a set.
    pub(crate) fn get(&self, number: u32) -> Option<(BrandId, IdSet)> {
        self.0.get(number).map(UsedSet::unpack)
    }

    /// The number of a set, which is entered if it is not there.
    fn number(&mut self, brand: BrandId, ids: &IdSet) -> u32 {
        let key = (brand, ids.key().into());
        self.0.find(&key).unwrap_or_else(|| {
            self.0.insert(UsedSet {
                records: 0,
                is_home: false,
                key,
                ids: PackedIds::pack(ids),
            })
        })
    }

    /// Removes a set that neither operator needs. Returns it in any case.
    fn tidy(&mut self, number: u32) -> Option<(BrandId, IdSet)> {
        let set = self.0.get(number)?;
        match set.records == 0 && !set.is_home {
            true => self.0.remove(number).map(|set| set.unpack()),
            false => Some(set.unpack()),
        }
    }

    /// Counts a record of a set. Returns the number of the set, and whether it is the first record.
    pub(crate) fn add_record(&mut self, brand: BrandId, ids: &IdSet) -> (u32, bool) {
        let number = self.number(brand, ids);
        let records = self.0.get_mut(number).map_or(0, |set| {
            set.records += 1;
            set.records
        });
        (number, records == 1)
    }

    /// Takes a record back. Returns the set if it was the last.
    pub(crate) fn remove_record(&mut self, number: u32) -> Option<(BrandId, IdSet)> {
        let set = self.0.get_mut(number)?;
        set.records = set.records.saturating_sub(1);
        match set.records {
            0 => self.tidy(number),
            _ => None,
        }
    }

    /// Keeps a set whose records have their contents on this worker. Returns its number.
    pub(crate) fn settle_here(&mut self, brand: BrandId, ids: &IdSet) -> u32 {
        let number = self.number(brand, ids);
        if let Some(set) = self.0.get_mut(number) {
            set.is_home = true;
        }
        number
    }

    /// The records of a set that was kept for their contents are gone.
    pub(crate) fn leave(&mut self, number: u32) {
        if let Some(set) = self.0.get_mut(number) {
            set.is_home = false;
            if set.records == 0 {
                self.0.remove(number);
            }
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
        let mut sets = SetTable::default();
        let (first, is_new) = sets.add_record(brand, &one);
        assert!(is_new && sets.add_record(brand, &one) == (first, false));
        let (second, _) = sets.add_record(brand, &two);
        let (third, is_new) = sets.add_record(other, &one);
        let (fourth, _) = sets.add_record(brand, &IdSet::empty());
        assert!(is_new && sets.len() == 4);
        assert_eq!(sets.get(second), Some((brand, two.clone())));
        assert_eq!(sets.remove_record(first), None);
        assert_eq!(sets.remove_record(first), Some((brand, one.clone())));
        assert_eq!(sets.get(first), None);
        assert_eq!(sets.remove_record(third), Some((other, one)));
        assert_eq!(sets.remove_record(second), Some((brand, two)));
        assert_eq!(sets.remove_record(fourth), Some((brand, IdSet::empty())));
        assert_eq!((sets.len(), sets.bytes()), (0, SetTable::default().bytes()));
    }

    #[test]
    fn a_set_stays_for_as_long_as_one_of_two_needs_it() {
        let id = Identifier {
            pseudonym: 7,
            value: 9,
            kind: IdKind::Cookie,
        };
        let (brand, ids) = (BrandId(1), IdSet::new(vec![id]));
        let mut sets = SetTable::default();
        let (number, is_first) = sets.add_record(brand, &ids);
        assert!(is_first && sets.settle_here(brand, &ids) == number);
        // The records are gone before their contents are, and return.
        assert_eq!(sets.remove_record(number), Some((brand, ids.clone())));
        assert_eq!(sets.get(number), Some((brand, ids.clone())));
        assert_eq!(sets.add_record(brand, &ids), (number, true));
        // The contents are gone before the records are.
        sets.leave(number);
        assert_eq!(sets.get(number), Some((brand, ids.clone())));
        assert_eq!(sets.remove_record(number), Some((brand, ids.clone())));
        assert_eq!((sets.get(number), sets.len()), (None, 0));
        // The contents may be of keys of another worker.
        let number = sets.settle_here(brand, &ids);
        assert_eq!(sets.get(number), Some((brand, ids)));
        sets.leave(number);
        assert_eq!(sets.len(), 0);
    }
}
