//! Packed multiset: byte strings, each with the number of times that it occurs.
//!
//! What an operator looks at again only when it is retracted or moved is kept in as few bytes as it needs. Equal contents must be
//! packed into equal bytes, so that a retraction finds what it retracts. A number may be negative, as that of a difference is.

use crate::packed_runs::{Layout, PackedRuns};

/// An entry: a signed varint, the number of times that the content occurs, and then the content, by which entries are sorted.
#[derive(Clone)]
struct CountedEntry;

impl Layout for CountedEntry {
    fn key(entry: &[u8]) -> &[u8] {
        split(entry).1
    }
}

/// The number of times and the content of an entry.
fn split(entry: &[u8]) -> (i64, &[u8]) {
    postcard::take_from_bytes(entry).unwrap_or_default()
}

/// Byte strings with the numbers of times that they occur, none of which is zero.
#[derive(Clone, Default)]
pub(crate) struct PackedMultiset {
    runs: PackedRuns<CountedEntry>,
}

impl PackedMultiset {
    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The estimated bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.runs.heap_bytes()
    }

    /// The contents, ascending, each with the number of times that it occurs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], i64)> {
        self.from(&[])
    }

    /// The contents that are not before one, ascending, each with the number of times that it occurs.
    pub(crate) fn from<'a>(
        &'a self,
        first: &[u8],
    ) -> impl Iterator<Item = (&'a [u8], i64)> + use<'a> {
        let entries = self.runs.from(first).map(split);
        entries.map(|(times, content)| (content, times))
    }

    /// The contents that are before one, descending, each with the number of times that it occurs.
    pub(crate) fn before<'a>(
        &'a self,
        end: &[u8],
    ) -> impl Iterator<Item = (&'a [u8], i64)> + use<'a> {
        let entries = self.runs.before(end).map(split);
        entries.map(|(times, content)| (content, times))
    }

    /// How often a content occurs.
    pub(crate) fn times(&self, content: &[u8]) -> i64 {
        self.runs.get(content).map_or(0, |entry| split(entry).0)
    }

    /// Changes the number of times that a content occurs by `diff`. Returns the number before and after.
    pub(crate) fn amend(&mut self, content: &[u8], diff: i64) -> [i64; 2] {
        let before = self.times(content);
        let now = before.saturating_add(diff);
        if diff != 0 {
            let entry = (now != 0).then(|| {
                let mut entry = postcard::to_allocvec(&now).unwrap_or_default();
                entry.extend(content);
                entry
            });
            self.runs.replace(content, entry.as_deref());
        }
        [before, now]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn equals_a_map_of_numbers() {
        let (mut packed, mut map) = (PackedMultiset::default(), BTreeMap::<Vec<u8>, i64>::new());
        for at in 0..20_000_u64 {
            let number = at.wrapping_mul(6_364_136_223_846_793_005) >> 40;
            let content = (number % 500).to_be_bytes()[5..].repeat(1 + number as usize % 3);
            let diff = [-2, -1, 0, 1, 2][number as usize / 500 % 5];
            let times = map.entry(content.clone()).or_default();
            *times += diff;
            let now = *times;
            assert_eq!(packed.amend(&content, diff), [now - diff, now]);
            assert_eq!(packed.times(&content), now);
            map.retain(|_, times| *times != 0);
            assert_eq!(packed.is_empty(), map.is_empty());
            if at % 500 == 0 {
                let all = map.iter().map(|(content, times)| (&content[..], *times));
                assert!(packed.iter().eq(all));
                let later = map
                    .range(content.clone()..)
                    .map(|(of, times)| (&of[..], *times));
                assert!(packed.from(&content).eq(later));
                let earlier = map.range(..content.clone()).rev();
                let earlier = earlier.map(|(of, times)| (&of[..], *times));
                assert!(packed.before(&content).eq(earlier));
            }
        }
        for (content, times) in map {
            packed.amend(&content, -times);
        }
        assert!(packed.is_empty() && packed.heap_bytes() == 0);
    }
}
