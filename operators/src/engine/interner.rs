//! Interner: a small number for each value in use.
//!
//! Many records repeat the same few channels, stores and sets of identifiers. A state that holds the number of a value instead
//! of the value takes a fraction of the memory. Each use is counted, so that a value is dropped with its last use and its
//! number is given to another: nobody can make an interner grow by values that are no longer in use.
//!
//! Numbers are a matter of one worker and of its history. They never leave an operator, and nothing is ordered by them.

use std::hash::Hash;

use super::heap::extrapolate;
use super::segments::Segments;
use super::table::hash_of;

/// The number of values that are allocated at once.
const CHUNK: usize = 1_024;

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
pub struct Interner<T> {
    /// The number of each value.
    numbers: Segments<u32>,
    /// The values by number, in chunks, so that none is moved when there are more.
    chunks: Vec<Vec<Slot<T>>>,
    /// Numbers below that of the last slot that are free.
    free: Vec<u32>,
    len: usize,
}

/// A value and the number of its uses; no value if the number is free.
struct Slot<T> {
    uses: u32,
    value: Option<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Interner {
            numbers: Segments::default(),
            chunks: Vec::new(),
            free: Vec::new(),
            len: 0,
        }
    }
}

/// The slot of a number.
fn slot<T>(chunks: &[Vec<Slot<T>>], number: u32) -> Option<&Slot<T>> {
    chunks
        .get(number as usize / CHUNK)?
        .get(number as usize % CHUNK)
}

impl<T> Interner<T> {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a number; `None` if it has none.
    pub fn get(&self, number: u32) -> Option<&T> {
        slot(&self.chunks, number)?.value.as_ref()
    }

    /// The bytes of the interner and of what its values own. `of` is the size of what one value owns.
    pub fn bytes(&self, of: impl Fn(&T) -> usize) -> usize {
        let slots = self.chunks.len() * CHUNK * size_of::<Slot<T>>();
        let values = self.chunks.iter().flatten();
        let own = values.filter_map(|slot| slot.value.as_ref()).map(of);
        self.numbers.bytes() + slots + extrapolate(self.len, own) + self.free.capacity() * 4
    }
}

impl<T: Hash + Eq + Clone> Interner<T> {
    /// Counts a use of a value. Returns its number, and whether it is the first use.
    pub fn intern(&mut self, value: &T) -> (u32, bool) {
        let Interner {
            numbers,
            chunks,
            free,
            len,
        } = self;
        let hash = hash_of(value);
        let of = |number: &u32| slot(chunks, *number).and_then(|slot| slot.value.as_ref());
        let hash_of = |number: &u32| of(number).map_or(0, hash_of);
        let entries = match numbers.entry(hash, |held| of(held) == Some(value), hash_of) {
            Ok(held) => {
                let number = *held.get();
                let chunk = chunks.get_mut(number as usize / CHUNK);
                if let Some(slot) = chunk.and_then(|of| of.get_mut(number as usize % CHUNK)) {
                    slot.uses += 1;
                }
                return (number, false);
            }
            Err(absent) => absent.into_table(),
        };
        let end = chunks
            .last()
            .map_or(0, |last| (chunks.len() - 1) * CHUNK + last.len());
        let number = free.pop().unwrap_or(end as u32);
        entries.insert_unique(hash, number, hash_of);
        let slot = Slot {
            uses: 1,
            value: Some(value.clone()),
        };
        let chunk = number as usize / CHUNK;
        if chunk == chunks.len() {
            chunks.push(Vec::with_capacity(CHUNK));
        }
        match chunks[chunk].get_mut(number as usize % CHUNK) {
            Some(free) => *free = slot,
            None => chunks[chunk].push(slot),
        }
        *len += 1;
        (number, true)
    }

    /// The number of a value in use, without counting another use.
    pub fn find(&self, value: &T) -> Option<u32> {
        let is_it = |number: &u32| self.get(*number) == Some(value);
        self.numbers.find(hash_of(value), is_it).copied()
    }

    /// Takes a use back. Returns the value if it was the last.
    pub fn release(&mut self, number: u32) -> Option<T> {
        let chunk = self.chunks.get_mut(number as usize / CHUNK)?;
        let slot = chunk.get_mut(number as usize % CHUNK)?;
        slot.uses = slot.uses.saturating_sub(1);
        if slot.uses > 0 {
            return None;
        }
        let hash = hash_of(slot.value.as_ref()?);
        let chunks = &self.chunks;
        let hash_of_other = |other: &u32| {
            let slot = self::slot(chunks, *other);
            slot.and_then(|slot| slot.value.as_ref()).map_or(0, hash_of)
        };
        self.numbers
            .remove(hash, |held| *held == number, hash_of_other);
        let slot = self.chunks.get_mut(number as usize / CHUNK)?;
        let value = slot.get_mut(number as usize % CHUNK)?.value.take();
        self.free.push(number);
        self.len -= 1;
        if self.len == 0 {
            *self = Interner::default();
        }
        value
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
