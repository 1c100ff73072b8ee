//! The hash of the key of a cell.
//!
//! A contribution to a cell is looked up in several tables, and a person remembers the cells that it contributes to by their
//! hashes. So the hash is computed once for each contribution, and it is one of 64 well mixed bits: among the few cells of one
//! person no two are taken for one another.

use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::xxh3_64;

use crate::aggregate::CellKey;

/// The hash of a cell.
pub(crate) fn cell_hash(key: &CellKey) -> u64 {
    let mut hasher = Xxh3Hasher::default();
    key.hash(&mut hasher);
    hasher.finish()
}

/// The XXH3 of all that is written, for keys of a few words. The words are collected and hashed at once, which takes a
/// fraction of the time of a hash that is fed word by word.
struct Xxh3Hasher {
    words: [u8; 192],
    len: usize,
}

impl Default for Xxh3Hasher {
    fn default() -> Self {
        Xxh3Hasher {
            words: [0; 192],
            len: 0,
        }
    }
}

impl Hasher for Xxh3Hasher {
    fn write(&mut self, mut bytes: &[u8]) {
        loop {
            let (_, free) = self.words.split_at_mut(self.len);
            let (now, later) = bytes.split_at(bytes.len().min(free.len()));
            for (to, from) in free.iter_mut().zip(now) {
                *to = *from;
            }
            self.len += now.len();
            if later.is_empty() {
                return;
            }
            // What does not fit is hashed together with the hash of what is there.
            let hash = self.finish();
            self.len = 0;
            self.write_u64(hash);
            bytes = later;
        }
    }

    fn finish(&self) -> u64 {
        xxh3_64(self.words.get(..self.len).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_all_bytes_in_any_pieces() {
        let bytes: Vec<u8> = (0..500).map(|n| (n * 7) as u8).collect();
        let hash = |pieces: &[&[u8]]| {
            let mut hasher = Xxh3Hasher::default();
            pieces.iter().for_each(|piece| hasher.write(piece));
            hasher.finish()
        };
        for len in [0, 1, 8, 100, 191, 192] {
            assert_eq!(hash(&[&bytes[..len]]), xxh3_64(&bytes[..len]), "{len}");
        }
        let whole = hash(&[&bytes]);
        for at in [1, 191, 192, 193, 400] {
            assert_eq!(hash(&[&bytes[..at], &bytes[at..]]), whole, "{at}");
        }
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(hash(&[&other]), whole, "{at}");
        }
    }
}
