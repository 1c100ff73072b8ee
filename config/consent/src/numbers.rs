//! A set of small numbers: purposes, features, special features, custom
//! purposes.

use std::fmt;

/// A set of numbers from 1 to 64, as a bit set of eight bytes.
///
/// ```
/// use tributary_consent::Numbers;
///
/// let purposes = Numbers::from_iter([1, 7]).with(9);
/// assert!(purposes.contains(7) && !purposes.contains(2));
/// assert_eq!(purposes.iter().collect::<Vec<_>>(), [1, 7, 9]);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Numbers(u64);

impl Numbers {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// The set of a bit field of `count` bits (at most 64), whose first and
    /// highest bit represents 1.
    pub(crate) fn from_field(field: u64, count: usize) -> Self {
        match u32::try_from(count) {
            Ok(count @ 1..=64) => Self(field.reverse_bits() >> (64 - count)),
            _ => Self::NONE,
        }
    }

    /// The bits; the lowest represents 1.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether a number is in the set; false outside of 1 to 64.
    pub const fn contains(self, number: u8) -> bool {
        self.0 & mask(number) != 0
    }

    /// Adds a number. One outside of 1 to 64 changes nothing.
    pub const fn insert(&mut self, number: u8) {
        self.0 |= mask(number);
    }

    /// The set with a number added.
    #[must_use]
    pub const fn with(mut self, number: u8) -> Self {
        self.insert(number);
        self
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The numbers, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (1..=64).filter(move |number| self.contains(*number))
    }
}

/// The bit of a number; none outside of 1 to 64.
const fn mask(number: u8) -> u64 {
    match number {
        1..=64 => 1 << (number - 1),
        _ => 0,
    }
}

impl FromIterator<u8> for Numbers {
    fn from_iter<I: IntoIterator<Item = u8>>(numbers: I) -> Self {
        numbers.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
