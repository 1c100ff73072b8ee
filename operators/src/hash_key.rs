//! Hash keys: 128-bit hashes as keys of tables.
//!
//! Pseudonyms, sets of identifiers and records are known by 128-bit hashes. A `u128` must stand at a multiple of 16 bytes, so
//! that a table wastes up to 15 bytes beside each; a [`HashKey`] is the same number without that demand.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

/// A 128-bit hash. Its order is that of the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct HashKey {
    high: u64,
    low: u64,
}

impl Hash for HashKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The key is a hash itself.
        state.write_u64(self.low ^ self.high);
    }
}

impl From<u128> for HashKey {
    fn from(key: u128) -> HashKey {
        HashKey {
            high: (key >> 64) as u64,
            low: key as u64,
        }
    }
}

impl From<HashKey> for u128 {
    fn from(key: HashKey) -> u128 {
        u128::from(key.high) << 64 | u128::from(key.low)
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
        assert_eq!(align_of::<HashKey>(), 8);
    }
}
