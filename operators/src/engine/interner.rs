//! Interner: a small number for each value in use.
//!
//! Many records repeat the same few channels, stores and sets of identifiers. A state that holds the number of a value instead
//! of the value takes a fraction of the memory. Each use is counted, so that a value is dropped with its last use and its
//! number is given to another: nobody can make an interner grow by values that are no longer in use.
//!
//! Numbers are a matter of one worker and of its history. They never leave an operator, and nothing that leaves it is ordered by them.

use std::hash::Hash;

use super::numbered::{Keyed, Numbered};

/// The values in use, each with a number.
///
/// # Examples
///
/// ```
/// use tributary_operators::engine::Interner;
///
/// let mut names = Interner::default();
/// let (first, is_new) = names.intern(&"a");
/// assert!(is_new);
/// assert_eq!(names.intern(&"a"), (first, false));
/// assert_eq!(names.get(first), Some(&"a"));
/// assert_eq!(names.release(first), None);
/// assert_eq!(names.release(first), Some("a"));
/// assert_eq!(names.len(), 0);
/// ```
#[derive(Clone)]
pub struct Interner<T> {
    values: Numbered<Used<T>>,
}

/// A value and the number of its uses.
#[derive(Clone)]
struct Used<T> {
    uses: u32,
    value: T,
}

impl<T: Hash + Eq> Keyed for Used<T> {
    type Key = T;

    fn key(&self) -> &T {
        &self.value
    }
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Interner {
            values: Numbered::default(),
        }
    }
}

impl<T> Interner<T> {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a number; `None` if it has none.
    pub fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number).map(|used| &used.value)
    }

    /// The bytes of the interner and of what its values own. `of` is the size of what one value owns.
    pub fn bytes(&self, of: impl Fn(&T) -> usize) -> usize {
        self.values.bytes(|used| of(&used.value))
    }
}

impl<T: Hash + Eq + Clone> Interner<T> {
    /// Counts a use of a value. Returns its number, and whether it is the first use.
    pub fn intern(&mut self, value: &T) -> (u32, bool) {
        let found = self.values.find(value);
        if let Some((number, used)) = found.zip(found.and_then(|of| self.values.get_mut(of))) {
            used.uses += 1;
            return (number, false);
        }
        let value = value.clone();
        (self.values.insert(Used { uses: 1, value }), true)
    }

    /// The number of a value in use, without counting another use.
    pub fn find(&self, value: &T) -> Option<u32> {
        self.values.find(value)
    }

    /// Takes a use back. Returns the value if it was the last.
    pub fn release(&mut self, number: u32) -> Option<T> {
        let used = self.values.get_mut(number)?;
        used.uses = used.uses.saturating_sub(1);
        match used.uses {
            0 => self.values.remove(number).map(|used| used.value),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_value_has_one_number_for_as_long_as_it_is_in_use() {
        let mut interner: Interner<u64> = Interner::default();
        let mut held: HashMap<u64, (u32, u32)> = HashMap::new();
        for at in 0..100_000_u64 {
            let value = (at.wrapping_mul(6_364_136_223_846_793_005) >> 33) % 5_000;
            if at % 7 < 4 {
                let (number, is_new) = interner.intern(&value);
                let (known, uses) = held.entry(value).or_insert((number, 0));
                assert_eq!((number, is_new), (*known, *uses == 0));
                *uses += 1;
            } else if let Some((number, uses)) = held.get_mut(&value) {
                *uses -= 1;
                let last = *uses == 0;
                assert_eq!(interner.release(*number), last.then_some(value));
                if last {
                    held.remove(&value);
                }
            }
            assert_eq!(interner.len(), held.len());
            assert_eq!(interner.find(&value), held.get(&value).map(|of| of.0));
        }
        for (value, (number, uses)) in held {
            assert_eq!(interner.get(number), Some(&value));
            for _ in 0..uses {
                interner.release(number);
            }
        }
        assert_eq!(
            interner.bytes(|_| 0),
            Interner::<u64>::default().bytes(|_| 0)
        );
    }
}
