//! Hash keys: 128-bit hashes as keys of tables.
//!
//! Pseudonyms, sets of identifiers and records are known by 128-bit hashes. A `u128` must stand at a multiple of 16 bytes, so
//! that a table wastes up to 15 bytes beside each; a [`HashKey`] is the same number, and stands wherever a number of 32 bits
//! may.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// A 128-bit hash, the upper bits first. Its order is that of the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Halves", into = "Halves")]
pub(crate) struct HashKey([u32; 4]);

/// The form in which workers send it.
#[derive(Serialize, Deserialize)]
struct Halves {
    high: u64,
    low: u64,
}

impl From<Halves> for HashKey {
    fn from(Halves { high, low }: Halves) -> HashKey {
        HashKey([
            (high >> 32) as u32,
            high as u32,
            (low >> 32) as u32,
            low as u32,
        ])
    }
}

impl From<HashKey> for Halves {
    fn from(HashKey([a, b, c, d]): HashKey) -> Halves {
        Halves {
            high: u64::from(a) << 32 | u64::from(b),
            low: u64::from(c) << 32 | u64::from(d),
        }
    }
}

impl Hash for HashKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The key is a hash itself.
        let Halves { high, low } = (*self).into();
        state.write_u64(low ^ high);
    }
}

impl From<u128> for HashKey {
    fn from(key: u128) -> HashKey {
        let (high, low) = ((key >> 64) as u64, key as u64);
        Halves { high, low }.into()
    }
}

impl From<HashKey> for u128 {
    fn from(key: HashKey) -> u128 {
        let Halves { high, low } = key.into();
        u128::from(high) << 64 | u128::from(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_number_in_its_order() {
        let numbers = [0, 7, u128::from(u64::MAX), 1 << 64, u128::MAX];
        let keys = numbers.map(HashKey::from);
        assert!(keys.is_sorted() && keys.map(u128::from) == numbers);
        assert_eq!((size_of::<HashKey>(), align_of::<HashKey>()), (16, 4));
    }
}
