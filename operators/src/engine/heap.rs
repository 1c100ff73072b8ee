//! Heap sizes: how many bytes the state of an operator takes, estimated in a bounded number of steps.
//!
//! A size is asked for while the worker waits, so that no state is walked as a whole: tables are known by their capacity, and
//! what their entries own is that of a sample. What several owners share, as an `Arc`, is divided among them, so that the
//! sizes of all operators add up. The allocator's own overhead is not included.

use std::collections::HashMap;
use std::sync::Arc;

use smol_str::SmolStr;

/// The largest number of entries that are looked at.
pub(super) const SAMPLE: usize = 256;

/// Scales the sizes of the first [`SAMPLE`] of `len` entries to all of them.
///
/// # Examples
///
/// ```
/// use tributary_operators::engine::extrapolate;
///
/// assert_eq!(extrapolate(1_000_000, std::iter::repeat(24)), 24_000_000);
/// assert_eq!(extrapolate(2, [3, 4].into_iter()), 7);
/// ```
pub fn extrapolate(len: usize, sizes: impl Iterator<Item = usize>) -> usize {
    let (mut seen, mut sum) = (0, 0);
    for size in sizes.take(SAMPLE) {
        seen += 1;
        sum += size;
    }
    match seen < len {
        true if seen > 0 => sum.saturating_mul(len) / seen,
        _ => sum,
    }
}

/// The bytes of a hash table, without what its entries own. A table has a power of two of slots, of which an eighth stays
/// free, and a byte of control beside each.
pub fn table_bytes<K, V, S>(table: &HashMap<K, V, S>) -> usize {
    match table.capacity() {
        0 => 0,
        capacity => {
            let slots = (capacity * 8 / 7).next_power_of_two();
            slots * (size_of::<(K, V)>() + 1)
        }
    }
}

/// The bytes of a vector, without what its elements own.
pub fn vec_bytes<T>(vec: &Vec<T>) -> usize {
    vec.capacity() * size_of::<T>()
}

/// The bytes of a B-tree of `len` entries, without what they own. A node has room for 11 and is at least half full, except
/// the root.
pub fn tree_bytes<K, V>(len: usize) -> usize {
    /// The parent, the indices, and a share of the edges.
    const LINKS: usize = 24;
    len.div_ceil(8) * (11 * size_of::<(K, V)>() + LINKS)
}

/// One owner's share of the bytes of a shared slice.
pub fn shared_bytes<T>(slice: &Arc<[T]>) -> usize {
    (COUNTERS + size_of_val::<[T]>(slice)) / Arc::strong_count(slice)
}

/// The bytes of a text on the heap; none of a short one, which stands in its owner.
pub fn text_bytes(text: &SmolStr) -> usize {
    match text.is_heap_allocated() {
        true => COUNTERS + text.len(),
        false => 0,
    }
}

/// The two counters of an `Arc`.
const COUNTERS: usize = 2 * size_of::<usize>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_room_for_its_entries() {
        let mut table: HashMap<u64, u64> = HashMap::new();
        assert_eq!(table_bytes(&table), 0);
        for key in 0..1_000 {
            table.insert(key, key);
            let bytes = table_bytes(&table);
            assert!(bytes >= table.len() * 17, "{bytes}");
            assert!(table.len() < 8 || bytes <= table.len() * 17 * 8, "{bytes}");
        }
    }

    #[test]
    fn owners_share_what_they_share() {
        let one: Arc<[u8]> = (*b"0123456789abcdef").into();
        assert_eq!(shared_bytes(&one), 32);
        let other = one.clone();
        assert_eq!(shared_bytes(&one) + shared_bytes(&other), 32);
    }

    #[test]
    fn short_texts_need_no_memory_of_their_own() {
        assert_eq!(text_bytes(&"0123456789".into()), 0);
        assert_eq!(text_bytes(&"0".repeat(40).into()), 56);
    }
}
