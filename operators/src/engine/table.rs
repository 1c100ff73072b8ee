//! Tables: hash tables that grow by segments, never all at once ([`super::segments`]).
//!
//! Iteration is in no particular order, so its result must be sorted or summed before it becomes an output.

use std::hash::{BuildHasher, Hash};

use hashbrown::HashTable;
use hashbrown::hash_table;
use rustc_hash::FxBuildHasher;

use super::segments::{Segments, take};

/// A hash table that grows by segments.
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
    entries: Segments<(K, V)>,
    len: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table {
            entries: Segments::default(),
            len: 0,
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
    entry: hash_table::OccupiedEntry<'a, (K, V)>,
    len: &'a mut usize,
}

/// The place of a key that is not in the table.
pub struct VacantEntry<'a, K, V> {
    key: K,
    hash: u64,
    entries: &'a mut HashTable<(K, V)>,
    len: &'a mut usize,
}

impl<'a, K: Hash, V> Entry<'a, K, V> {
    /// The value, which is inserted if there is none.
    pub fn or_insert_with(self, value: impl FnOnce() -> V) -> &'a mut V {
        match self {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(value()),
        }
    }
}

impl<'a, K, V> OccupiedEntry<'a, K, V> {
    /// Its value.
    pub fn get(&self) -> &V {
        &self.entry.get().1
    }

    /// Its value, to be changed.
    pub fn get_mut(&mut self) -> &mut V {
        &mut self.entry.get_mut().1
    }

    /// Its value, to be changed for as long as the table is borrowed.
    pub fn into_mut(self) -> &'a mut V {
        &mut self.entry.into_mut().1
    }
}

impl<K: Hash, V> OccupiedEntry<'_, K, V> {
    /// Removes it and returns its value.
    pub fn remove(self) -> V {
        *self.len -= 1;
        take(self.entry, |(key, _)| hash_of(key)).1
    }
}

impl<'a, K: Hash, V> VacantEntry<'a, K, V> {
    /// Inserts a value.
    pub fn insert(self, value: V) -> &'a mut V {
        *self.len += 1;
        let hash = |(key, _): &(K, V)| hash_of(key);
        let entry = self
            .entries
            .insert_unique(self.hash, (self.key, value), hash);
        &mut entry.into_mut().1
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
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// The values, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The bytes of the table, without what its entries own.
    pub fn bytes(&self) -> usize {
        self.entries.bytes()
    }
}

impl<K: Hash + Eq, V> Table<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let found = self.entries.find(hash_of(key), |(held, _)| held == key);
        found.map(|(_, value)| value)
    }

    /// Whether a key is in the table.
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let found = self.entries.find_mut(hash_of(key), |(held, _)| held == key);
        found.map(|(_, value)| value)
    }

    /// The entry of a key, which may be inserted.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        let hash = hash_of(&key);
        let len = &mut self.len;
        let is_it = |(held, _): &(K, V)| *held == key;
        match self.entries.entry(hash, is_it, |(key, _)| hash_of(key)) {
            Ok(entry) => Entry::Occupied(OccupiedEntry { entry, len }),
            Err(absent) => Entry::Vacant(VacantEntry {
                key,
                hash,
                entries: absent.into_table(),
                len,
            }),
        }
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
        let is_it = |(held, _): &(K, V)| held == key;
        let hash = |(key, _): &(K, V)| hash_of(key);
        let (_, value) = self.entries.remove(hash_of(key), is_it, hash)?;
        self.len -= 1;
        if self.len == 0 {
            *self = Table::default();
        }
        Some(value)
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
