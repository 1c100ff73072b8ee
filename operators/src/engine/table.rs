//! Tables: hash tables that grow a little at a time.
//!
//! The entries are a dense list in chunks ([`super::chunks`]), and a hash table of their indices finds them
//! ([`super::segments`]). A slot of a hash table that grows by doubling is empty four times in ten; here such a slot takes five
//! bytes, whatever the size of an entry, and no insertion moves more entries than a segment has.
//!
//! Iteration is in no particular order, so its result must be sorted or summed before it becomes an output.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;

use super::chunks::Chunks;
use super::segments::Segments;

/// A hash table that grows a little at a time.
///
/// # Examples
///
/// ```
/// use tributary_operators::engine::Table;
///
/// let mut table = Table::default();
/// for key in 0..10_000_u64 {
///     table.insert(key, key * key);
/// }
/// assert_eq!(table.get(&99), Some(&9_801));
/// assert_eq!(table.remove(&99), Some(9_801));
/// assert_eq!((table.get(&99), table.len()), (None, 9_999));
/// ```
pub struct Table<K, V> {
    /// The index of each entry, by the hash of its key.
    index: Segments<u32>,
    entries: Chunks<(K, V)>,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table {
            index: Segments::default(),
            entries: Chunks::default(),
        }
    }
}

/// The entry of a key.
pub enum Entry<'a, K, V> {
    /// It is in the table.
    Occupied(OccupiedEntry<'a, K, V>),
    /// It is not.
    Vacant(VacantEntry<'a, K, V>),
}

/// An entry of the table.
pub struct OccupiedEntry<'a, K, V> {
    hash: u64,
    at: u32,
    table: &'a mut Table<K, V>,
}

/// The place of a key that is not in the table.
pub struct VacantEntry<'a, K, V> {
    key: K,
    hash: u64,
    slots: &'a mut HashTable<u32>,
    entries: &'a mut Chunks<(K, V)>,
}

impl<'a, K: Hash + Eq, V> Entry<'a, K, V> {
    /// The value, which is inserted if there is none.
    pub fn or_insert_with(self, value: impl FnOnce() -> V) -> &'a mut V {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(value()),
        }
    }
}

impl<'a, K: Hash + Eq, V> OccupiedEntry<'a, K, V> {
    /// Its value.
    pub fn get(&self) -> &V {
        &self.table.entries[self.at].1
    }

    /// Its value, to be changed.
    pub fn get_mut(&mut self) -> &mut V {
        &mut self.table.entries[self.at].1
    }

    /// Its value, to be changed for as long as the table is borrowed.
    pub fn into_mut(self) -> &'a mut V {
        &mut self.table.entries[self.at].1
    }

    /// Removes it and returns its value.
    pub fn remove(self) -> V {
        self.table.remove_at(self.hash, self.at)
    }
}

impl<'a, K: Hash, V> VacantEntry<'a, K, V> {
    /// Inserts a value.
    pub fn insert(self, value: V) -> &'a mut V {
        let at = self.entries.len() as u32;
        let entries = &*self.entries;
        let hash = |at: &u32| hash_of(&entries[*at].0);
        self.slots.insert_unique(self.hash, at, hash);
        &mut self.entries.push((self.key, value)).1
    }
}

/// The hash of a key. The bits are mixed again, because the segment and the place in it are chosen by different ones.
pub(super) fn hash_of<K: Hash>(key: &K) -> u64 {
    let hash = FxBuildHasher.hash_one(key);
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl<K, V> Table<K, V> {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// The entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// The values, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Some of the values, by which what all of them own is estimated.
    pub fn sample(&self) -> impl Iterator<Item = &V> {
        self.entries.sample().map(|(_, value)| value)
    }

    /// The bytes of the table, without what its entries own.
    pub fn bytes(&self) -> usize {
        self.index.bytes() + self.entries.bytes()
    }
}

impl<K: Hash + Eq, V> Table<K, V> {
    /// The index of the entry of a key with a hash.
    fn find(&self, hash: u64, key: &K) -> Option<u32> {
        let is_it = |at: &u32| self.entries[*at].0 == *key;
        self.index.find(hash, is_it).copied()
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let at = self.find(hash_of(key), key)?;
        Some(&self.entries[at].1)
    }

    /// Whether a key is in the table.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.find(hash_of(key), key)?;
        Some(&mut self.entries[at].1)
    }

    /// The entry of a key, which may be inserted.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        let hash = hash_of(&key);
        if let Some(at) = self.find(hash, &key) {
            let table = self;
            return Entry::Occupied(OccupiedEntry { hash, at, table });
        }
        let entries = &mut self.entries;
        let of = |at: &u32| hash_of(&entries[*at].0);
        let slots = self.index.room(hash, of);
        Entry::Vacant(VacantEntry {
            key,
            hash,
            slots,
            entries,
        })
    }

    /// Sets the value of a key and returns the previous one.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.entry(key) {
            Entry::Occupied(mut entry) => Some(std::mem::replace(entry.get_mut(), value)),
            Entry::Vacant(entry) => {
                entry.insert(value);
                None
            }
        }
    }

    /// Removes a key and returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let hash = hash_of(key);
        let at = self.find(hash, key)?;
        Some(self.remove_at(hash, at))
    }

    /// Removes the entry at an index, whose key has a hash, and returns its value. The last entry takes its index.
    fn remove_at(&mut self, hash: u64, at: u32) -> V {
        let Table { index, entries } = self;
        let of = |at: &u32| hash_of(&entries[*at].0);
        index.remove(hash, |held| *held == at, of);
        let last = entries.len() as u32 - 1;
        if at != last
            && let Some(moved) = index.find_mut(of(&last), |held| *held == last)
        {
            *moved = at;
        }
        let (_, value) = entries.swap_remove(at);
        if entries.len() == 0 {
            *self = Table::default();
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Numbers as they come out of a linear congruence: in no order, with repetitions.
    fn number(at: u64, below: u64) -> u64 {
        (at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(11) >> 33) % below
    }

    #[test]
    fn equals_a_map_through_growth_and_removal() {
        let (mut table, mut map) = (Table::default(), HashMap::new());
        for at in 0..200_000 {
            let key = number(at, 60_000);
            // Grows at first, then removes more and more.
            if number(at + 7, 200_000) > at {
                assert_eq!(table.insert(key, at), map.insert(key, at));
            } else {
                assert_eq!(table.remove(&key), map.remove(&key));
            }
            let other = number(at + 1, 60_000);
            assert_eq!(table.get(&other), map.get(&other));
            assert_eq!(table.len(), map.len());
        }
        let mut left: Vec<_> = table.iter().map(|(key, value)| (*key, *value)).collect();
        left.sort_unstable();
        let mut expected: Vec<_> = map.into_iter().collect();
        expected.sort_unstable();
        assert_eq!(left, expected);
    }

    #[test]
    fn what_was_removed_takes_no_memory() {
        let mut table = Table::default();
        let empty = table.bytes();
        for key in 0..50_000_u64 {
            table.insert(key, key);
        }
        let full = table.bytes();
        for key in 1_000..50_000_u64 {
            table.remove(&key);
        }
        assert!(table.bytes() * 8 < full, "{} of {full}", table.bytes());
        for key in 0..1_000_u64 {
            match table.entry(key) {
                Entry::Occupied(entry) => assert_eq!(entry.remove(), key),
                Entry::Vacant(_) => panic!("{key} is in the table"),
            }
        }
        assert!(table.is_empty());
        table.insert(1, 1);
        table.remove(&1);
        assert_eq!(table.bytes(), empty);
    }
}
