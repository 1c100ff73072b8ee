//! Packed runs: a sorted map from byte strings to byte strings that is mostly very small.
//!
//! Most identifier sets have a handful of records. All entries of such a map are one string of bytes, without an allocation
//! for each, so that an entry costs its bytes and one or five more. Anyone who may send records can make a map large, so that
//! a string is divided when it has [`MOST`] entries, and the strings are found in a tree: the cost of a change is bounded.
//!
//! An entry is its key and its content in the [`Layout`] of the map.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Bound;

use smallvec::SmallVec;

use crate::engine::{extrapolate, tree_bytes};

/// The largest number of entries in a string.
const MOST: usize = 32;

/// Says that the length of an entry follows in four bytes.
const LONG: u8 = u8::MAX;

/// How an entry contains its key.
pub(crate) trait Layout {
    /// The key of an entry. The entries of a map are sorted by it, and no two have the same.
    fn key(entry: &[u8]) -> &[u8];
}

/// The entries of a map.
#[derive(Clone)]
pub(crate) struct PackedRuns<L> {
    runs: Runs,
    layout: PhantomData<L>,
}

#[allow(
    clippy::box_collection,
    reason = "most maps have one string, and need no room for a tree"
)]
#[derive(Clone)]
enum Runs {
    /// At most [`MOST`] entries.
    One(Run),
    /// More, by the least key that belongs into each string; that of the first string is empty. The tree becomes one string
    /// again when a single one is left.
    Many(Box<BTreeMap<Box<[u8]>, Run>>),
}

/// Some entries in one string of bytes: of each its length in one byte or five, then itself.
#[derive(Clone, Default)]
struct Run(Box<[u8]>);

impl<L> Default for PackedRuns<L> {
    fn default() -> Self {
        PackedRuns {
            runs: Runs::One(Run::default()),
            layout: PhantomData,
        }
    }
}

/// Takes an entry from the front of a string.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, rest) = match bytes.split_first()? {
        (&LONG, rest) => {
            let (len, rest) = rest.split_first_chunk::<4>()?;
            (u32::from_le_bytes(*len) as usize, rest)
        }
        (len, rest) => (usize::from(*len), rest),
    };
    let (entry, rest) = rest.split_at_checked(len)?;
    *bytes = rest;
    Some(entry)
}

/// Appends an entry to a string.
fn push(bytes: &mut SmallVec<[u8; 128]>, entry: &[u8]) {
    match u8::try_from(entry.len()) {
        Ok(len) if len < LONG => bytes.push(len),
        _ => {
            bytes.push(LONG);
            bytes.extend_from_slice(&(entry.len() as u32).to_le_bytes());
        }
    }
    bytes.extend_from_slice(entry);
}

impl Run {
    /// The entries, ascending.
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || next(&mut rest))
    }

    /// Sets or removes the entry of a key. Returns the previous one, and the second half if there are too many entries now,
    /// with the least key that belongs into it.
    #[allow(clippy::type_complexity)]
    fn replace<L: Layout>(
        &mut self,
        key: &[u8],
        entry: Option<&[u8]>,
    ) -> (Option<Vec<u8>>, Option<(Box<[u8]>, Run)>) {
        // The place of the entry: from the first one that is not before it, to the first one behind it.
        let (mut rest, mut from, mut old) = (&*self.0, None, None);
        let (mut to, mut count, mut half) = (0, 0, 0);
        let mut begin = 0;
        while let Some(held) = next(&mut rest) {
            let end = self.0.len() - rest.len();
            if from.is_none() {
                match L::key(held).cmp(key) {
                    Ordering::Less => {}
                    order => {
                        (from, to) = (Some(begin), begin);
                        if order == Ordering::Equal {
                            (old, to) = (Some(held.to_vec()), end);
                        }
                    }
                }
            }
            begin = end;
            count += 1;
            if count == MOST / 2 {
                half = end;
            }
        }
        let from = from.unwrap_or(self.0.len());
        let to = to.max(from);
        let mut new = SmallVec::<[u8; 128]>::new();
        if let Some(entry) = entry {
            push(&mut new, entry);
            count += usize::from(old.is_none());
        }
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        bytes.reserve_exact(new.len().saturating_sub(to - from));
        bytes.splice(from..to, new.iter().copied());
        let second = (count > MOST).then(|| {
            // One entry more, before the half, moves it by as many bytes.
            let half = if from < half { half + new.len() } else { half };
            let second = bytes.split_off(half.min(bytes.len()));
            bytes.shrink_to_fit();
            second
        });
        self.0 = bytes.into();
        let second = second.and_then(|bytes| {
            let least = L::key(next(&mut &*bytes)?).into();
            Some((least, Run(bytes.into())))
        });
        (old, second)
    }
}

/// The keys up to one.
fn up_to(key: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Unbounded, Bound::Included(key))
}

impl<L: Layout> PackedRuns<L> {
    /// Whether there is no entry.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.runs {
            Runs::One(run) => run.0.is_empty(),
            Runs::Many(_) => false,
        }
    }

    /// The entries, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.from(&[])
    }

    /// The entries whose keys are not before one, ascending.
    pub(crate) fn from<'a>(&'a self, first: &[u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, L> {
        let (one, many) = match &self.runs {
            Runs::One(run) => (Some(run), None),
            Runs::Many(runs) => {
                let start = runs.range::<[u8], _>(up_to(first)).next_back();
                let start = start.map_or(&[][..], |(least, _)| least);
                let from = (Bound::Included(start), Bound::Unbounded);
                (None, Some(runs.range::<[u8], _>(from)))
            }
        };
        let many = many.into_iter().flatten().map(|(_, run)| run);
        let mut entries = one.into_iter().chain(many).flat_map(Run::iter).peekable();
        while entries.next_if(|entry| L::key(entry) < first).is_some() {}
        entries
    }

    /// The entries whose keys are before one, descending.
    pub(crate) fn before<'a>(&'a self, end: &[u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, L> {
        let (one, many) = match &self.runs {
            Runs::One(run) => (Some(run), None),
            Runs::Many(runs) => {
                let until = (Bound::Unbounded, Bound::Excluded(end));
                (None, Some(runs.range::<[u8], _>(until).rev()))
            }
        };
        let many = many.into_iter().flatten().map(|(_, run)| run);
        let end = SmallVec::<[u8; 48]>::from(end);
        // A string is read forwards only, but it is short.
        one.into_iter().chain(many).flat_map(move |run| {
            let held = run.iter().take_while(|entry| L::key(entry) < &end[..]);
            held.collect::<SmallVec<[&[u8]; MOST]>>().into_iter().rev()
        })
    }

    /// The entry of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let run = match &self.runs {
            Runs::One(run) => run,
            Runs::Many(runs) => runs.range::<[u8], _>(up_to(key)).next_back()?.1,
        };
        let mut found = run.iter().skip_while(|held| L::key(held) < key);
        found.next().filter(|held| L::key(held) == key)
    }

    /// Sets or removes the entry of a key and returns the previous one.
    pub(crate) fn replace(&mut self, key: &[u8], entry: Option<&[u8]>) -> Option<Vec<u8>> {
        let runs = match &mut self.runs {
            Runs::Many(runs) => runs,
            Runs::One(run) => {
                let (old, second) = run.replace::<L>(key, entry);
                if let Some(second) = second {
                    let first = (Box::default(), std::mem::take(run));
                    self.runs = Runs::Many(Box::new(BTreeMap::from([first, second])));
                }
                return old;
            }
        };
        let (least, run) = runs.range_mut::<[u8], _>(up_to(key)).next_back()?;
        let (old, second) = run.replace::<L>(key, entry);
        // The string of the least keys stays, so that every key belongs into one.
        let emptied = (run.0.is_empty() && !least.is_empty()).then(|| least.clone());
        if let Some(least) = emptied {
            runs.remove(&least);
        }
        runs.extend(second);
        if runs.len() == 1 {
            let last = runs.pop_first().map(|(_, run)| run);
            self.runs = Runs::One(last.unwrap_or_default());
        }
        old
    }

    /// The estimated bytes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.runs {
            Runs::One(run) => run.0.len(),
            Runs::Many(runs) => {
                let own = runs.iter().map(|(least, run)| least.len() + run.0.len());
                size_of::<BTreeMap<Box<[u8]>, Run>>()
                    + tree_bytes::<Box<[u8]>, Run>(runs.len())
                    + extrapolate(runs.len(), own)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two bytes of key, then the content.
    struct Short;

    impl Layout for Short {
        fn key(entry: &[u8]) -> &[u8] {
            &entry[..2]
        }
    }

    #[test]
    fn equals_a_map_whatever_is_set_and_removed() {
        let (mut packed, mut map) = (PackedRuns::<Short>::default(), BTreeMap::new());
        let mut largest = 0;
        for at in 0..40_000_u64 {
            let number = at.wrapping_mul(6_364_136_223_846_793_005) >> 33;
            // Grows to hundreds of entries, and then goes back to none.
            let key = (number % 1_000) as u16;
            let key = key.wrapping_mul(61).to_be_bytes();
            let content = vec![number as u8; number as usize % 300];
            let is_set = number / 7 % 40_000 > at;
            let new = is_set.then(|| [key.as_slice(), &content].concat());
            let old = packed.replace(&key, new.as_deref());
            let expected = match new {
                Some(entry) => map.insert(key, entry),
                None => map.remove(&key),
            };
            assert_eq!(old, expected);
            assert_eq!(packed.get(&key), map.get(&key).map(Vec::as_slice));
            assert_eq!(packed.is_empty(), map.is_empty());
            largest = largest.max(map.len());
            if at % 100 == 0 {
                assert!(packed.iter().eq(map.values().map(Vec::as_slice)));
                let before = map.range(..key).rev().map(|(_, entry)| entry.as_slice());
                assert!(packed.before(&key).eq(before));
                assert!(
                    packed
                        .before(&[255; 3])
                        .eq(map.values().rev().map(Vec::as_slice))
                );
            }
        }
        assert!(largest > 300, "{largest}");
        for key in map.into_keys() {
            packed.replace(&key, None);
        }
        assert!(packed.is_empty() && packed.heap_bytes() == 0);
    }

    #[test]
    fn a_string_stays_short() {
        let mut packed = PackedRuns::<Short>::default();
        for key in 0..10_000_u16 {
            packed.replace(
                &key.to_be_bytes(),
                Some(&[key.to_be_bytes(), [1, 2]].concat()),
            );
        }
        let Runs::Many(runs) = &packed.runs else {
            panic!("10,000 entries are in several strings");
        };
        assert!(runs.values().all(|run| run.iter().count() <= MOST));
        assert_eq!(packed.iter().count(), 10_000);
    }
}
