//! Contents: the packed records of one identifier set, by their keys.
//!
//! Mostly that is a handful of records in one string of bytes, sorted by key, without an allocation for each. Anyone who may
//! send records can make a set large, so that a string is divided when it has [`MOST`] records, and the strings are found in
//! a tree: the cost of a change is bounded.

use std::collections::BTreeMap;

use crate::engine::{extrapolate, tree_bytes};
use crate::record::RecordKey;

/// The largest number of records in a string.
const MOST: usize = 32;

/// The bytes of a key.
const KEY: usize = 16;

/// Says that the length of a content follows in four bytes.
const LONG: u8 = u8::MAX;

/// The packed records of an identifier set.
pub(super) enum Contents {
    /// At most [`MOST`].
    One(Run),
    /// More, by the first key that may be in each string. Once there are several strings they are not joined again.
    Many(BTreeMap<RecordKey, Run>),
}

impl Default for Contents {
    fn default() -> Self {
        Contents::One(Run::default())
    }
}

/// Some records in one string of bytes: of each its key, the length of its content in one byte or five, and its content.
#[derive(Default)]
pub(super) struct Run(Box<[u8]>);

/// Takes a record from the front of a string.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<(RecordKey, &'a [u8])> {
    let (key, rest) = bytes.split_first_chunk::<KEY>()?;
    let (len, rest) = match rest.split_first()? {
        (&LONG, rest) => {
            let (len, rest) = rest.split_first_chunk::<4>()?;
            (u32::from_le_bytes(*len) as usize, rest)
        }
        (len, rest) => (usize::from(*len), rest),
    };
    let (content, rest) = rest.split_at_checked(len)?;
    *bytes = rest;
    Some((RecordKey(u128::from_le_bytes(*key)), content))
}

/// Appends a record to a string.
fn push(bytes: &mut Vec<u8>, key: RecordKey, content: &[u8]) {
    bytes.extend(key.0.to_le_bytes());
    match u8::try_from(content.len()) {
        Ok(len) if len < LONG => bytes.push(len),
        _ => {
            bytes.push(LONG);
            bytes.extend((content.len() as u32).to_le_bytes());
        }
    }
    bytes.extend(content);
}

impl Run {
    /// The records, ascending.
    fn iter(&self) -> impl Iterator<Item = (RecordKey, &[u8])> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || next(&mut rest))
    }

    /// Sets or removes the content of a key. Returns the previous one, and the other half if there are too many records now.
    fn replace(
        &mut self,
        key: RecordKey,
        content: Option<&[u8]>,
    ) -> (Option<Vec<u8>>, Option<(RecordKey, Run)>) {
        let more = content.map_or(0, |content| KEY + 1 + content.len());
        let mut bytes = Vec::with_capacity(self.0.len() + more);
        let (mut old, mut new, mut count, mut half) = (None, content, 0, None);
        for (held, kept) in self.iter() {
            if held >= key
                && let Some(content) = new.take()
            {
                push(&mut bytes, key, content);
                count += 1;
            }
            if count == MOST / 2 {
                half.get_or_insert(bytes.len());
            }
            match held == key {
                true => old = Some(kept.to_vec()),
                false => {
                    push(&mut bytes, held, kept);
                    count += 1;
                }
            }
        }
        if let Some(content) = new {
            push(&mut bytes, key, content);
            count += 1;
        }
        let second = half.filter(|_| count > MOST).map(|at| bytes.split_off(at));
        self.0 = bytes.into();
        let second = second.and_then(|bytes| {
            let (first, _) = next(&mut &*bytes)?;
            Some((first, Run(bytes.into())))
        });
        (old, second)
    }
}

impl Contents {
    /// Whether there is no record.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Contents::One(run) => run.0.is_empty(),
            Contents::Many(runs) => runs.is_empty(),
        }
    }

    /// The records, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RecordKey, &[u8])> {
        let (one, many) = match self {
            Contents::One(run) => (Some(run), None),
            Contents::Many(runs) => (None, Some(runs)),
        };
        let many = many.into_iter().flat_map(BTreeMap::values);
        one.into_iter().chain(many).flat_map(Run::iter)
    }

    /// The content of a key.
    pub(super) fn get(&self, key: RecordKey) -> Option<&[u8]> {
        let run = match self {
            Contents::One(run) => run,
            Contents::Many(runs) => runs.range(..=key).next_back()?.1,
        };
        let mut found = run.iter().skip_while(|(held, _)| *held < key);
        found.next().filter(|of| of.0 == key).map(|of| of.1)
    }

    /// Sets or removes the content of a key and returns the previous one.
    pub(super) fn replace(&mut self, key: RecordKey, content: Option<&[u8]>) -> Option<Vec<u8>> {
        let runs = match self {
            Contents::Many(runs) => runs,
            Contents::One(run) => {
                let (old, second) = run.replace(key, content);
                if let Some(second) = second {
                    let first = (RecordKey(0), std::mem::take(run));
                    *self = Contents::Many(BTreeMap::from([first, second]));
                }
                return old;
            }
        };
        if let Some((first, run)) = runs.range_mut(..=key).next_back() {
            let first = *first;
            let (old, second) = run.replace(key, content);
            // The string of the least keys stays, so that every key has one.
            if run.0.is_empty() && first != RecordKey(0) {
                runs.remove(&first);
            }
            runs.extend(second);
            if runs.len() == 1 {
                let last = runs.pop_first().map(|(_, run)| run);
                *self = Contents::One(last.unwrap_or_default());
            }
            return old;
        }
        None
    }

    /// The estimated bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Contents::One(run) => run.0.len(),
            Contents::Many(runs) => {
                let own = runs.values().map(|run| run.0.len());
                tree_bytes::<RecordKey, Run>(runs.len()) + extrapolate(runs.len(), own)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_a_map_whatever_is_set_and_removed() {
        let (mut contents, mut map) = (Contents::default(), BTreeMap::new());
        for at in 0..40_000_u64 {
            let number = at.wrapping_mul(6_364_136_223_846_793_005) >> 33;
            // Grows to hundreds of records, and then goes back to none.
            let key = RecordKey(u128::from(number % 1_000) << 90);
            let content = vec![number as u8; number as usize % 300];
            let is_set = number / 7 % 40_000 > at;
            let new = is_set.then_some(content);
            let old = contents.replace(key, new.as_deref());
            let expected = match new {
                Some(content) => map.insert(key, content),
                None => map.remove(&key),
            };
            assert_eq!(old, expected);
            assert_eq!(contents.get(key), map.get(&key).map(Vec::as_slice));
            if at % 100 == 0 {
                let all = map.iter().map(|(key, content)| (*key, content.as_slice()));
                assert!(contents.iter().eq(all));
            }
        }
        for key in map.into_keys() {
            contents.replace(key, None);
        }
        assert!(contents.is_empty() && contents.heap_bytes() == 0);
    }

    #[test]
    fn a_string_stays_short() {
        let mut contents = Contents::default();
        for at in 0..10_000_u128 {
            contents.replace(RecordKey(at), Some(&[1, 2, 3]));
        }
        let Contents::Many(runs) = &contents else {
            panic!("10,000 records are in several strings");
        };
        assert!(runs.values().all(|run| run.iter().count() <= MOST));
        assert_eq!(contents.iter().count(), 10_000);
    }
}
