//! Small map: a sorted map that is mostly very small.
//!
//! Most keys of the dataflow have one or two entries: the records of a set, the statements of an identifier. A single entry stands
//! in the map itself, a few are a sorted list, and beyond a fixed number they become a tree. Anyone who may send records can make
//! some map large, and even then each operation costs at most a logarithm.
//!
//! A map is as large as one entry and a tag, because a list and a tree are one pointer each. Millions of maps are in the tables of
//! the operators, most of them with no entry or one, so that room for the length and the capacity of a list in each would be a
//! large part of the state.

use std::collections::BTreeMap;

use crate::engine::{extrapolate, tree_bytes, vec_bytes};

/// The largest number of entries in a list.
const FEW: usize = 64;

/// A sorted map: an entry, a list while it is small, and a tree once it has been large. It changes back when one entry is left
/// of a list, and when none is left of a tree.
#[allow(
    clippy::box_collection,
    reason = "most maps have one entry, and need no room for a list or a tree"
)]
#[derive(Default)]
pub(crate) enum SmallMap<K, V> {
    #[default]
    Empty,
    One((K, V)),
    /// At least two entries.
    Few(Box<Vec<(K, V)>>),
    Many(Box<BTreeMap<K, V>>),
}

/// The entries of a map.
enum Entries<'a, K, V> {
    List(&'a [(K, V)]),
    Tree(&'a BTreeMap<K, V>),
}

impl<K: Ord, V> SmallMap<K, V> {
    fn entries(&self) -> Entries<'_, K, V> {
        match self {
            SmallMap::Empty => Entries::List(&[]),
            SmallMap::One(one) => Entries::List(std::slice::from_ref(one)),
            SmallMap::Few(few) => Entries::List(few),
            SmallMap::Many(many) => Entries::Tree(many),
        }
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        matches!(self, SmallMap::Empty)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        match self.entries() {
            Entries::List(list) => list.len(),
            Entries::Tree(tree) => tree.len(),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        match self.entries() {
            Entries::List(list) => {
                let at = list.binary_search_by(|(held, _)| held.cmp(key)).ok()?;
                list.get(at).map(|(_, value)| value)
            }
            Entries::Tree(tree) => tree.get(key),
        }
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let list = match self {
            SmallMap::Empty => return None,
            SmallMap::One(one) => std::slice::from_mut(one),
            SmallMap::Few(few) => few.as_mut_slice(),
            SmallMap::Many(many) => return many.get_mut(key),
        };
        let at = list.binary_search_by(|(held, _)| held.cmp(key)).ok()?;
        list.get_mut(at).map(|(_, value)| value)
    }

    /// The entry with the least key.
    pub fn first(&self) -> Option<(&K, &V)> {
        match self.entries() {
            Entries::List(list) => list.first().map(|(key, value)| (key, value)),
            Entries::Tree(tree) => tree.first_key_value(),
        }
    }

    /// The entry with the greatest key.
    pub fn last(&self) -> Option<(&K, &V)> {
        match self.entries() {
            Entries::List(list) => list.last().map(|(key, value)| (key, value)),
            Entries::Tree(tree) => tree.last_key_value(),
        }
    }

    /// The entry with the greatest key that is at most `key`.
    pub fn last_to(&self, key: &K) -> Option<(&K, &V)> {
        match self.entries() {
            Entries::List(list) => {
                let behind = list.partition_point(|(held, _)| held <= key);
                let (key, value) = list.get(behind.checked_sub(1)?)?;
                Some((key, value))
            }
            Entries::Tree(tree) => tree.range(..=key).next_back(),
        }
    }

    /// The entries whose keys are at least `key`, ascending.
    pub fn from(&self, key: &K) -> Box<dyn Iterator<Item = (&K, &V)> + '_> {
        match self.entries() {
            Entries::List(list) => {
                let from = list.partition_point(|(held, _)| held < key);
                Box::new(list.iter().skip(from).map(|(key, value)| (key, value)))
            }
            Entries::Tree(tree) => Box::new(tree.range(key..)),
        }
    }

    /// Sets the value of a key and returns the previous one.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(held) = self.get_mut(&key) {
            return Some(std::mem::replace(held, value));
        }
        *self = match std::mem::take(self) {
            SmallMap::Empty => SmallMap::One((key, value)),
            SmallMap::One(one) if one.0 < key => SmallMap::Few(Box::new(vec![one, (key, value)])),
            SmallMap::One(one) => SmallMap::Few(Box::new(vec![(key, value), one])),
            SmallMap::Few(few) if few.len() >= FEW => {
                let mut many: BTreeMap<K, V> = few.into_iter().collect();
                many.insert(key, value);
                SmallMap::Many(Box::new(many))
            }
            SmallMap::Few(mut few) => {
                if few.len() == few.capacity() {
                    // Most lists stay short, so that room for many would be most of their memory.
                    few.reserve_exact(1 + few.len() / 4);
                }
                let at = few.partition_point(|(held, _)| *held < key);
                few.insert(at, (key, value));
                SmallMap::Few(few)
            }
            SmallMap::Many(mut many) => {
                many.insert(key, value);
                SmallMap::Many(many)
            }
        };
        None
    }

    /// Removes a key and returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            SmallMap::Empty => None,
            SmallMap::One((held, _)) if *held != *key => None,
            SmallMap::One(_) => match std::mem::take(self) {
                SmallMap::One((_, value)) => Some(value),
                _ => None,
            },
            SmallMap::Few(few) => {
                let at = few.binary_search_by(|(held, _)| held.cmp(key)).ok()?;
                let (_, value) = few.remove(at);
                if few.len() == 1 {
                    *self = few.pop().map_or(SmallMap::Empty, SmallMap::One);
                }
                Some(value)
            }
            SmallMap::Many(many) => {
                let value = many.remove(key);
                if many.is_empty() {
                    *self = SmallMap::Empty;
                }
                value
            }
        }
    }

    /// The estimated bytes on the heap. `of` is the size of what one entry owns.
    pub fn heap_bytes(&self, of: impl Fn((&K, &V)) -> usize) -> usize {
        let own = match self {
            SmallMap::Empty | SmallMap::One(_) => 0,
            SmallMap::Few(few) => size_of::<Vec<(K, V)>>() + vec_bytes(few),
            SmallMap::Many(many) => size_of::<BTreeMap<K, V>>() + tree_bytes::<K, V>(many.len()),
        };
        own + extrapolate(self.len(), self.iter().map(of))
    }

    /// All entries, ascending.
    pub fn iter(&self) -> Box<dyn DoubleEndedIterator<Item = (&K, &V)> + '_> {
        match self.entries() {
            Entries::List(list) => Box::new(list.iter().map(|(key, value)| (key, value))),
            Entries::Tree(tree) => Box::new(tree.iter()),
        }
    }
}

/// A multiset: the multiplicity of each element, never zero.
pub(crate) type Bag<K> = SmallMap<K, i64>;

impl<K: Ord> SmallMap<K, i64> {
    /// Changes the multiplicity of an element by `by`, which may be negative. An element with multiplicity zero is removed.
    pub fn add(&mut self, key: K, by: i64) {
        match self.get(&key).copied().unwrap_or(0) + by {
            0 => drop(self.remove(&key)),
            count => drop(self.insert(key, count)),
        }
    }
}

impl<K: Ord> SmallMap<K, i32> {
    /// Adds to a number that is never large, so that half the room is enough for it. A key whose number becomes zero is removed.
    pub fn add(&mut self, key: K, by: i64) {
        let held = self.get(&key).copied().unwrap_or(0);
        match held.saturating_add(by as i32) {
            0 => drop(self.remove(&key)),
            count => drop(self.insert(key, count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_a_tree_whatever_is_set_and_removed() {
        let (mut small, mut tree) = (SmallMap::default(), BTreeMap::new());
        let (mut largest, mut emptied) = (0, 0);
        for at in 0..60_000_u64 {
            let number = at.wrapping_mul(6_364_136_223_846_793_005) >> 33;
            // Grows beyond a list and falls to nothing, again and again.
            let keys = 1 + at / 500 % 6 * 40;
            let key = number % keys;
            let is_set = number / 1_000 % 500 > at % 500;
            let old = match is_set {
                true => small.insert(key, at),
                false => small.remove(&key),
            };
            let expected = match is_set {
                true => tree.insert(key, at),
                false => tree.remove(&key),
            };
            assert_eq!(old, expected);
            assert_eq!(
                (small.len(), small.is_empty()),
                (tree.len(), tree.is_empty())
            );
            assert_eq!(small.get(&(key / 2)), tree.get(&(key / 2)));
            assert_eq!(small.get_mut(&key), tree.get_mut(&key));
            assert_eq!(small.first(), tree.first_key_value());
            assert_eq!(small.last(), tree.last_key_value());
            assert_eq!(small.last_to(&key), tree.range(..=key).next_back());
            if at % 50 == 0 {
                assert!(small.iter().rev().eq(tree.iter().rev()));
                assert!(small.from(&key).eq(tree.range(key..)));
            }
            largest = largest.max(tree.len());
            emptied += usize::from(old.is_some() && tree.is_empty());
        }
        assert!(largest > 2 * FEW && emptied > 5, "{largest} {emptied}");
        for key in tree.into_keys() {
            small.remove(&key);
        }
        assert!(small.is_empty() && small.heap_bytes(|_| 0) == 0);
    }

    #[test]
    fn a_map_is_as_large_as_an_entry_and_a_tag() {
        assert_eq!(size_of::<SmallMap<u32, u32>>(), 16);
        assert_eq!(size_of::<SmallMap<u32, ()>>(), 16);
        assert_eq!(size_of::<SmallMap<[u32; 2], u32>>(), 16);
        assert_eq!(size_of::<SmallMap<u64, i64>>(), 24);
    }
}
