//! Segments: a hash table that grows by parts.
//!
//! A hash table that doubles moves all its entries at once: with a hundred million keys an epoch would wait for seconds, and
//! take three times the memory while it does. [`Segments`] is a list of small hash tables. The first bits of a hash choose one
//! (extendible hashing: Fagin, Nievergelt, Pippenger and Strong, ACM TODS 4(3), 1979). A segment that is full is divided in two
//! by the next bit, so that no insertion moves more than [`FULL`] entries, however many there are.
//!
//! Hashes are even, so that segments of equal shares would all become full within the same few epochs, each of which would move a
//! part of all entries. The shares of segments differ therefore: they are those of the logarithm of a hash, up to a factor
//! of two. Since the sizes of segments lie between a half and the whole of what is full, there is one at each size, and however
//! many entries there are, the same part of them moves while they become some percent more.
//!
//! A small table is a single segment. Segments free the memory of what was removed.

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;

/// The number of entries with which a segment is divided. A little below the capacity of its buckets, so that each half fits
/// into half of them.
const FULL: usize = 3_400;

/// The largest number of bits that choose a segment. Beyond it, which only keys made to collide reach, a segment grows.
const DEEPEST: u32 = 24;

/// Entries by the hash that the caller gives. Every method takes the same hash for the same entry.
#[derive(Clone)]
pub(crate) struct Segments<T> {
    /// The segment of each prefix of a hash. A segment of `n` bits fewer than the list has stands there 2^n times in a row.
    directory: Vec<u32>,
    /// The number of bits of a prefix.
    depth: u32,
    segments: Vec<Segment<T>>,
}

/// The entries whose hashes have a common prefix.
#[derive(Clone)]
struct Segment<T> {
    /// The number of bits of that prefix.
    depth: u32,
    entries: HashTable<T>,
}

impl<T> Default for Segments<T> {
    fn default() -> Self {
        Segments {
            directory: vec![0],
            depth: 0,
            segments: vec![Segment {
                depth: 0,
                entries: HashTable::new(),
            }],
        }
    }
}

/// The first bits of a hash's place among the shares, which follows the hash behind the seven bits by which a hash table compares
/// its entries.
///
/// The place is `log2(1 + u)` of the hash `u` from 0 to 1, approximated by `u + 11/32 u (1 - u)`: it grows with the hash from 1.34
/// to 0.66 times as fast.
fn prefix(hash: u64, bits: u32) -> usize {
    const ONE: u64 = 1 << 32;
    let hash = (hash << 7) >> 32;
    let place = hash + ((((hash * (ONE - hash)) >> 32) * 11) >> 5);
    (place >> (32 - bits)) as usize
}

impl<T> Segments<T> {
    /// The entries, in no particular order.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = &T> {
        self.segments.iter().flat_map(|of| of.entries.iter())
    }

    /// The bytes of the table, without what its entries own.
    pub(crate) fn bytes(&self) -> usize {
        let segments = self.segments.iter();
        segments
            .map(|of| of.entries.allocation_size())
            .sum::<usize>()
            + self.segments.capacity() * size_of::<Segment<T>>()
            + self.directory.capacity() * size_of::<u32>()
    }

    /// The entry with a hash for which `is_it` holds.
    pub(crate) fn find(&self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&T> {
        let at = *self.directory.get(prefix(hash, self.depth))?;
        self.segments.get(at as usize)?.entries.find(hash, is_it)
    }

    /// The entry with a hash for which `is_it` holds, to be changed.
    pub(crate) fn find_mut(&mut self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let at = *self.directory.get(prefix(hash, self.depth))?;
        let segment = self.segments.get_mut(at as usize)?;
        segment.entries.find_mut(hash, is_it)
    }

    /// The table that an entry with a hash, which is not there, is to be inserted into.
    pub(crate) fn room(&mut self, hash: u64, hash_of: impl Fn(&T) -> u64) -> &mut HashTable<T> {
        let at = self.make_room(hash, hash_of);
        &mut self.segments[at].entries
    }

    /// Removes the entry with a hash for which `is_it` holds.
    pub(crate) fn remove(
        &mut self,
        hash: u64,
        is_it: impl FnMut(&T) -> bool,
        hash_of: impl Fn(&T) -> u64,
    ) -> Option<T> {
        let at = *self.directory.get(prefix(hash, self.depth))?;
        let entries = &mut self.segments.get_mut(at as usize)?.entries;
        let entry = entries.find_entry(hash, is_it).ok()?;
        Some(take(entry, hash_of))
    }

    /// The segment of a hash, with room for an entry: divides it as often as needed.
    fn make_room(&mut self, hash: u64, hash_of: impl Fn(&T) -> u64) -> usize {
        loop {
            let at = self.directory[prefix(hash, self.depth)] as usize;
            let segment = &self.segments[at];
            if segment.entries.len() < FULL || segment.depth >= DEEPEST {
                return at;
            }
            self.divide(at, prefix(hash, segment.depth), &hash_of);
        }
    }

    /// Divides a segment, whose hashes begin with `common`, by the next bit.
    fn divide(&mut self, at: usize, common: usize, hash_of: impl Fn(&T) -> u64) {
        let segment = &mut self.segments[at];
        let depth = segment.depth + 1;
        let all = std::mem::take(&mut segment.entries);
        let mut halves = [0, 1].map(|_| HashTable::with_capacity(FULL / 2));
        for entry in all {
            let hash = hash_of(&entry);
            halves[prefix(hash, depth) & 1].insert_unique(hash, entry, &hash_of);
        }
        let [first, second] = halves;
        segment.depth = depth;
        segment.entries = first;
        let new = self.segments.len() as u32;
        self.segments.push(Segment {
            depth,
            entries: second,
        });
        if depth > self.depth {
            let twice = self.directory.iter().flat_map(|at| [*at, *at]);
            self.directory = twice.collect();
            self.depth = depth;
        }
        // The second half of the places that the segment had.
        let each = 1 << (self.depth - depth);
        let from = (2 * common + 1) * each;
        self.directory[from..from + each].fill(new);
    }
}

/// Removes an entry, and frees memory when most of its segment is empty.
fn take<T>(entry: OccupiedEntry<'_, T>, hash_of: impl Fn(&T) -> u64) -> T {
    let (taken, place) = entry.remove();
    let entries = place.into_table();
    if entries.len() * 8 < entries.capacity() {
        entries.shrink_to(entries.len() * 2, hash_of);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number with all bits mixed.
    fn mixed(number: &u64) -> u64 {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    }

    fn insert(segments: &mut Segments<u64>, number: u64, hash: impl Fn(&u64) -> u64) {
        let entries = segments.room(hash(&number), &hash);
        entries.insert_unique(hash(&number), number, &hash);
    }

    #[test]
    fn an_insertion_moves_a_segment_at_most() {
        let mut segments = Segments::default();
        for number in 0..100_000 {
            let before = segments.segments.len();
            insert(&mut segments, number, mixed);
            assert!(segments.segments.len() <= before + 2);
        }
        let longest = segments.segments.iter().map(|of| of.entries.len()).max();
        assert!(longest <= Some(FULL), "{longest:?}");
        let slots = segments.bytes() / (size_of::<u64>() + 1);
        assert!(slots < 100_000 * 5 / 2, "{slots}");
        let mut all: Vec<u64> = segments.iter().copied().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..100_000));
    }

    #[test]
    fn as_many_segments_divide_at_any_number_of_entries() {
        let mut segments = Segments::default();
        let (mut inserted, mut before) = (0, 0);
        let mut grown = Vec::new();
        // The eighths of two doublings.
        for eighth in 0..=16 {
            let until = (300_000.0 * f64::exp2(f64::from(eighth) / 8.0)) as u64;
            for number in inserted..until {
                insert(&mut segments, number, mixed);
            }
            inserted = until;
            let now = segments.segments.len();
            // Against those that there are.
            grown.push((now - before) * 100 / now);
            before = now;
        }
        // An eighth of a doubling is a growth by 9 %.
        let least = grown.iter().min();
        let most = grown.iter().skip(1).max();
        assert!(least >= Some(&4) && most <= Some(&14), "{grown:?}");
    }

    #[test]
    fn entries_with_one_hash_end_in_one_segment() {
        let mut segments = Segments::default();
        for number in 0..4_000 {
            insert(&mut segments, number, |_| 7);
        }
        assert!(segments.segments.len() as u32 <= DEEPEST + 1);
        assert_eq!(segments.find(7, |held| *held == 3_999), Some(&3_999));
        for number in 0..4_000 {
            let removed = segments.remove(7, |held| *held == number, |_| 7);
            assert_eq!(removed, Some(number));
        }
        assert_eq!(segments.iter().count(), 0);
    }
}
