//! Small map: a sorted map that is mostly very small.
//!
//! Most keys of the dataflow have one or two entries: the records of a set, the statements of an identifier. So the entries are
//! a sorted list, without an allocation for a single one, and become a tree only beyond a fixed number. Anyone who may send
//! records can make some map large, and even then each operation costs at most a logarithm.

use std::collections::BTreeMap;

use smallvec::{Array, SmallVec};

use crate::engine::{extrapolate, tree_bytes};

/// The largest number of entries in a list.
const FEW: usize = 64;

/// A sorted map: a list while it is small, of which `N` entries need no allocation, and a tree once it has been large. It
/// never changes back.
#[allow(
    clippy::box_collection,
    reason = "most maps are lists, and need no room for a tree"
)]
pub(crate) enum SmallMap<K, V, const N: usize = 1>
where
    [(K, V); N]: Array<Item = (K, V)>,
{
    Few(SmallVec<[(K, V); N]>),
    Many(Box<BTreeMap<K, V>>),
}

impl<K, V, const N: usize> Default for SmallMap<K, V, N>
where
    [(K, V); N]: Array<Item = (K, V)>,
{
    fn default() -> Self {
        SmallMap::Few(SmallVec::new())
    }
}

impl<K: Ord, V, const N: usize> SmallMap<K, V, N>
where
    [(K, V); N]: Array<Item = (K, V)>,
{
    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        match self {
            SmallMap::Few(few) => few.is_empty(),
            SmallMap::Many(many) => many.is_empty(),
        }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        match self {
            SmallMap::Few(few) => few.len(),
            SmallMap::Many(many) => many.len(),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        match self {
            SmallMap::Few(few) => {
                let at = few.binary_search_by(|(held, _)| held.cmp(key)).ok()?;
                few.get(at).map(|(_, value)| value)
            }
            SmallMap::Many(many) => many.get(key),
        }
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match self {
            SmallMap::Few(few) => {
                let at = few.binary_search_by(|(held, _)| held.cmp(key)).ok()?;
                few.get_mut(at).map(|(_, value)| value)
            }
            SmallMap::Many(many) => many.get_mut(key),
        }
    }

    /// The entry with the least key.
    pub fn first(&self) -> Option<(&K, &V)> {
        match self {
            SmallMap::Few(few) => few.first().map(|(key, value)| (key, value)),
            SmallMap::Many(many) => many.first_key_value(),
        }
    }

    /// The entry with the greatest key.
    pub fn last(&self) -> Option<(&K, &V)> {
        match self {
            SmallMap::Few(few) => few.last().map(|(key, value)| (key, value)),
            SmallMap::Many(many) => many.last_key_value(),
        }
    }

    /// The entry with the greatest key that is at most `key`.
    pub fn last_to(&self, key: &K) -> Option<(&K, &V)> {
        match self {
            SmallMap::Few(few) => {
                let behind = few.partition_point(|(held, _)| held <= key);
                few.get(behind.checked_sub(1)?)
                    .map(|(key, value)| (key, value))
            }
            SmallMap::Many(many) => many.range(..=key).next_back(),
        }
    }

    /// The entries whose keys are at least `key`, ascending.
    pub fn from(&self, key: &K) -> Box<dyn Iterator<Item = (&K, &V)> + '_> {
        match self {
            SmallMap::Few(few) => {
                let from = few.partition_point(|(held, _)| held < key);
                Box::new(few.iter().skip(from).map(|(key, value)| (key, value)))
            }
            SmallMap::Many(many) => Box::new(many.range(key..)),
        }
    }

    /// Sets the value of a key and returns the previous one.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let few = match self {
            SmallMap::Many(many) => return many.insert(key, value),
            SmallMap::Few(few) => few,
        };
        match few.binary_search_by(|(held, _)| held.cmp(&key)) {
            Ok(at) => Some(std::mem::replace(&mut few[at].1, value)),
            Err(_) if few.len() >= FEW => {
                let mut many: BTreeMap<K, V> = std::mem::take(few).into_iter().collect();
                let old = many.insert(key, value);
                *self = SmallMap::Many(Box::new(many));
                old
            }
            Err(at) => {
                if few.len() == few.capacity() {
                    // Most maps stay small, so that room for many would be most of their memory.
                    few.reserve_exact(1 + few.len() / 4);
                }
                few.insert(at, (key, value));
                None
            }
        }
    }

    /// The estimated bytes on the heap. `of` is the size of what one entry owns.
    pub fn heap_bytes(&self, of: impl Fn((&K, &V)) -> usize) -> usize {
        let own = match self {
            SmallMap::Few(few) if few.spilled() => few.capacity() * size_of::<(K, V)>(),
            SmallMap::Few(_) => 0,
            SmallMap::Many(many) => size_of::<BTreeMap<K, V>>() + tree_bytes::<K, V>(many.len()),
        };
        own + extrapolate(self.len(), self.iter().map(of))
    }

    /// Removes a key and returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        match self {
            SmallMap::Few(few) => {
                let at = few.binary_search_by(|(held, _)| held.cmp(key)).ok()?;
                Some(few.remove(at).1)
            }
            SmallMap::Many(many) => many.remove(key),
        }
    }

    /// All entries, ascending.
    pub fn iter(&self) -> Box<dyn DoubleEndedIterator<Item = (&K, &V)> + '_> {
        match self {
            SmallMap::Few(few) => Box::new(few.iter().map(|(key, value)| (key, value))),
            SmallMap::Many(many) => Box::new(many.iter()),
        }
    }
}

/// A multiset: the multiplicity of each element, never zero.
pub(crate) type Bag<K, const N: usize = 1> = SmallMap<K, i64, N>;

impl<K: Ord, const N: usize> SmallMap<K, i64, N>
where
    [(K, i64); N]: Array<Item = (K, i64)>,
{
    /// Changes the multiplicity of an element by `by`, which may be negative. An element with multiplicity zero is removed.
    pub fn add(&mut self, key: K, by: i64) {
        match self.get(&key).copied().unwrap_or(0) + by {
            0 => drop(self.remove(&key)),
            count => drop(self.insert(key, count)),
        }
    }
}
