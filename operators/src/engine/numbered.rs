//! Numbered: values with a stable number each, found by their keys.
//!
//! A state that refers to a value by its number takes four bytes where a key would take sixteen. A number stays with its value
//! until the value is removed, and is then given to another. Nothing is moved when there are more values.
//!
//! Numbers are a matter of one worker and of its history. They never leave an operator, and nothing is ordered by them.

use std::hash::Hash;

use super::chunks::Chunks;
use super::heap::extrapolate;
use super::segments::Segments;
use super::table::hash_of;

/// A value that contains its key.
pub(crate) trait Keyed {
    type Key: Hash + Eq;

    /// The key. It never changes while the value has a number.
    fn key(&self) -> &Self::Key;
}

/// The values, each with a number.
#[derive(Clone)]
pub(crate) struct Numbered<T> {
    /// The number of each value, by the hash of its key.
    numbers: Segments<u32>,
    /// By number; `None` for a free number.
    values: Chunks<Option<T>>,
    /// The free numbers.
    free: Vec<u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Numbered {
            numbers: Segments::default(),
            values: Chunks::default(),
            free: Vec::new(),
        }
    }
}

/// The hash of the key of a number's value.
fn hash_at<T: Keyed>(values: &Chunks<Option<T>>, number: u32) -> u64 {
    let value = values.get(number).and_then(Option::as_ref);
    value.map_or(0, |value| hash_of(value.key()))
}

impl<T> Numbered<T> {
    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        self.values.len() - self.free.len()
    }

    /// The value of a number.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number)?.as_ref()
    }

    /// The value of a number, to be changed.
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.values.get_mut(number)?.as_mut()
    }

    /// The bytes of the table and of what its values own. `of` is the size of what one value owns.
    pub(crate) fn bytes(&self, of: impl Fn(&T) -> usize) -> usize {
        let own = self.values.sample().flatten().map(of);
        self.numbers.bytes()
            + self.values.bytes()
            + self.free.capacity() * size_of::<u32>()
            + extrapolate(self.len(), own)
    }
}

impl<T: Keyed> Numbered<T> {
    /// The number of the value with a key.
    pub(crate) fn find(&self, key: &T::Key) -> Option<u32> {
        let is_it = |number: &u32| self.get(*number).is_some_and(|value| value.key() == key);
        self.numbers.find(hash_of(key), is_it).copied()
    }

    /// Adds a value, whose key no other value has. Returns its number.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        debug_assert!(self.find(value.key()).is_none(), "a key has one value");
        let hash = hash_of(value.key());
        let Numbered {
            numbers,
            values,
            free,
        } = self;
        let of = |number: &u32| hash_at(values, *number);
        let number = free.pop().unwrap_or(values.len() as u32);
        numbers
            .room(hash, of)
            .insert_unique(hash, number, |number| hash_at(values, *number));
        match values.get_mut(number) {
            Some(free) => *free = Some(value),
            None => drop(values.push(Some(value))),
        }
        number
    }

    /// Removes the value of a number, which becomes free.
    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let hash = hash_at(&self.values, number);
        let values = &self.values;
        let of = |number: &u32| hash_at(values, *number);
        self.numbers.remove(hash, |held| *held == number, of);
        let value = self.values.get_mut(number)?.take()?;
        self.free.push(number);
        if self.free.len() == self.values.len() {
            *self = Numbered::default();
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed for (u32, u64) {
        type Key = u32;

        fn key(&self) -> &u32 {
            &self.0
        }
    }

    #[test]
    fn numbers_are_reused_and_lead_to_one_value() {
        let mut all = Numbered::default();
        let numbers: Vec<u32> = (0..5_000).map(|key| all.insert((key, 7))).collect();
        assert_eq!((numbers[0], all.len()), (0, 5_000));
        for (key, number) in (0..).zip(&numbers) {
            assert_eq!(all.find(&key), Some(*number));
            all.get_mut(*number).unwrap().1 += u64::from(key);
        }
        assert_eq!(all.remove(numbers[3]), Some((3, 10)));
        assert_eq!((all.find(&3), all.get(numbers[3])), (None, None));
        assert_eq!(all.insert((9_999, 0)), numbers[3]);
        for number in numbers {
            assert!(all.remove(number).is_some() && all.remove(number).is_none());
        }
        assert_eq!(
            all.bytes(|_| 0),
            Numbered::<(u32, u64)>::default().bytes(|_| 0)
        );
    }
}
