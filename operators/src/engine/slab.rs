//! Slab: values with a stable number each, which whoever keeps the number finds.
//!
//! It is [`Numbered`](super::numbered::Numbered) without keys: a table that has a part for few of its entries keeps the number of that
//! part in four bytes.

use super::chunks::Chunks;

/// The values, each with a number.
pub(crate) struct Slab<T> {
    /// By number; `None` for a free number.
    values: Chunks<Option<T>>,
    /// The free numbers.
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            values: Chunks::default(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// The number of values.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.values.len() - self.free.len()
    }

    /// The value of a number.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number)?.as_ref()
    }

    /// Adds a value. Returns its number.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let free = self.free.pop();
        match free.and_then(|number| Some((number, self.values.get_mut(number)?))) {
            Some((number, free)) => {
                *free = Some(value);
                number
            }
            None => {
                self.values.push(Some(value));
                self.values.len() as u32 - 1
            }
        }
    }

    /// Removes the value of a number, which becomes free.
    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let value = self.values.get_mut(number)?.take()?;
        self.free.push(number);
        if self.free.len() == self.values.len() {
            *self = Slab::default();
        }
        Some(value)
    }

    /// The bytes on the heap, without what the values own.
    pub(crate) fn bytes(&self) -> usize {
        self.values.bytes() + self.free.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_leads_to_its_value_until_that_is_removed() {
        let mut slab = Slab::default();
        let numbers: Vec<u32> = (0..5_000_u64).map(|value| slab.insert(value)).collect();
        assert_eq!((slab.len(), slab.get(numbers[7])), (5_000, Some(&7)));
        assert_eq!(slab.remove(numbers[7]), Some(7));
        assert_eq!(slab.get(numbers[7]), None);
        assert_eq!(slab.remove(numbers[7]), None);
        assert_eq!(slab.insert(9), numbers[7]);
        for number in numbers {
            assert!(slab.remove(number).is_some());
        }
        assert_eq!((slab.len(), slab.bytes()), (0, 0));
    }
}
