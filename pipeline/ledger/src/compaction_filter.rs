//! The compaction filter: determines which entries are superseded.
//!
//! Among the puts of a key, the one with the highest `(version, arrival)` after
//! the last drop of the key is current. No later event can make the others
//! current again, so that they need not be kept. Entries are numbered in
//! reading order, and the result is one bit per entry.
//!
//! A memory budget bounds the map from keys to their best put. If the map would
//! exceed it, the keys are split into ranges and all segments are read once per
//! range: time is traded for memory, and the result is the same.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, BrandId, Day, RecordKey};

use crate::counts::EntryCounts;
use crate::error::LedgerError;
use crate::keyring::Keyring;
use crate::known_labels::KnownLabels;
use crate::recover::{SealedBlock, SegmentPart, SegmentSet};
use crate::rotate::EarlierIds;

/// Approximate memory per key in the maps, in bytes.
const BYTES_PER_KEY: u64 = 96;

/// Default memory budget of the maps, in bytes.
pub(crate) const DEFAULT_BUDGET: u64 = 512 << 20;

/// A set of entry numbers, one bit each.
#[derive(Default)]
pub(crate) struct Bitmap {
    /// The bits, 64 per word, lowest first.
    bits: Vec<u64>,
    /// Number of bits that are set.
    pub count: u64,
}

impl Bitmap {
    /// An empty set for the numbers below `entries`.
    pub fn new(entries: u64) -> Bitmap {
        Bitmap {
            bits: vec![0; entries.div_ceil(64) as usize],
            count: 0,
        }
    }

    /// Adds an entry. Numbers beyond the capacity are ignored.
    pub fn set(&mut self, entry: u64) {
        if let Some(word) = self.bits.get_mut((entry / 64) as usize) {
            let bit = 1 << (entry % 64);
            self.count += u64::from(*word & bit == 0);
            *word |= bit;
        }
    }

    /// Whether an entry is in the set.
    pub fn get(&self, entry: u64) -> bool {
        let word = self.bits.get((entry / 64) as usize);
        word.is_some_and(|word| word >> (entry % 64) & 1 == 1)
    }
}

/// What is done with each entry: its block, its number, its event, and its identifiers under older secrets.
type EachEntry<'a> =
    dyn FnMut(&SealedBlock, u64, Event, &EarlierIds) -> Result<(), LedgerError> + 'a;

/// Decrypts and decodes the entries of segments in order and calls `each` with
/// the block, the number of the entry, the event, and its identifiers under older secrets. Numbers start at `first`.
/// The day of a record is computed in UTC.
///
/// # Errors
///
/// Any error of reading, or the first error of `each`.
pub(crate) fn read_entries(
    source: &SegmentSet,
    keyring: &Keyring,
    parts: Vec<SegmentPart>,
    first: u64,
    progress: &mut dyn FnMut(u64),
    each: &mut EachEntry<'_>,
) -> Result<(), LedgerError> {
    let mut blocks = source.blocks_of(parts, KnownLabels::default());
    let mut entry = first;
    while let Some(block) = blocks.next()? {
        let mut failed = Ok(());
        let mut utc = |_, ts: i64| ts.div_euclid(86_400_000) as i32;
        block.open_with_earlier(keyring, &mut utc, &mut |event, earlier| {
            if failed.is_ok() {
                failed = each(&block, entry, event, earlier);
            }
            entry += 1;
        })?;
        failed?;
        progress(blocks.read);
    }
    Ok(())
}

/// The best put of a key so far, and the number of its entry.
struct BestPut {
    version: i64,
    arrival: Arrival,
    entry: u64,
}

/// Marks the superseded puts in all segments of `source`. `progress` receives
/// the bytes read and the total; `also` sees every entry once.
///
/// For evidence of consent the newest of equal texts is kept, for the time of
/// links the last of a brand, and for the mark up to which its sightings are
/// settled the latest.
///
/// # Errors
///
/// Any error of reading.
pub(crate) fn mark_superseded(
    source: &SegmentSet,
    keyring: &Keyring,
    budget: u64,
    progress: &mut dyn FnMut(u64, u64),
    also: &mut dyn FnMut(&SealedBlock, u64, &Event, &EarlierIds),
) -> Result<Bitmap, LedgerError> {
    let total: EntryCounts = source.parts().iter().map(|part| part.entries).sum();
    let keys = (total.put + total.drop + total.evidence).saturating_mul(BYTES_PER_KEY);
    let ranges = keys.div_ceil(budget.max(1)).max(1);
    let mut marks = Bitmap::new(total.total());
    let with_drops = parts_with_drops(source);
    let bytes = |parts: &[SegmentPart]| parts.iter().map(|part| part.bytes).sum::<u64>();
    let (all, some) = (bytes(source.parts()), bytes(&with_drops));
    let whole = (all + some) * ranges;
    for range in 0..ranges {
        let mine = |key: &RecordKey| (key.0 % u128::from(ranges)) as u64 == range;
        let before = (all + some) * range;
        let mut dropped: FxHashMap<RecordKey, Arrival> = FxHashMap::default();
        let mut tell = |read| progress(before + read, whole);
        read_entries(
            source,
            keyring,
            with_drops.clone(),
            0,
            &mut tell,
            &mut |_, _, event, _| {
                if let Event::Drop { key, arrival } = event
                    && mine(&key)
                {
                    let last = dropped.entry(key).or_insert(arrival);
                    *last = (*last).max(arrival);
                }
                Ok(())
            },
        )?;
        let mut best: FxHashMap<RecordKey, BestPut> = FxHashMap::default();
        let mut link_times: FxHashMap<BrandId, u64> = FxHashMap::default();
        let mut settled: FxHashMap<BrandId, (Day, u64)> = FxHashMap::default();
        let mut tell = |read| progress(before + some + read, whole);
        let parts = source.parts().to_vec();
        read_entries(
            source,
            keyring,
            parts,
            0,
            &mut tell,
            &mut |block, entry, event, earlier| {
                if range == 0 {
                    also(block, entry, &event, earlier);
                }
                // Of a brand's times by which links are judged the last counts.
                if range == 0
                    && let Event::LinkTime { brand, .. } = &event
                    && let Some(before) = link_times.insert(*brand, entry)
                {
                    marks.set(before);
                }
                // Of the marks up to which a brand's sightings are settled the latest day counts.
                if range == 0
                    && let Event::SightingsSettled { brand, before } = event
                {
                    let last = settled.entry(brand).or_insert((before, entry));
                    if last.1 != entry {
                        marks.set(if last.0 <= before { last.1 } else { entry });
                        *last = (*last).max((before, entry));
                    }
                }
                let (key, version, arrival) = match event {
                    Event::Put {
                        key,
                        version,
                        arrival,
                        ..
                    } => (key, version, arrival),
                    // The newest of equal evidence stays, so that it is held for its time from when it was last given.
                    Event::Evidence { key, ts, .. } => (key, ts, Arrival::default()),
                    _ => return Ok(()),
                };
                if !mine(&key) {
                    return Ok(());
                }
                if dropped.get(&key).is_some_and(|drop| arrival < *drop) {
                    marks.set(entry);
                    return Ok(());
                }
                let put = BestPut {
                    version,
                    arrival,
                    entry,
                };
                match best.entry(key) {
                    Entry::Vacant(slot) => {
                        slot.insert(put);
                    }
                    Entry::Occupied(mut slot) => {
                        let held = slot.get_mut();
                        if (version, arrival) > (held.version, held.arrival) {
                            marks.set(held.entry);
                            *held = put;
                        } else {
                            marks.set(entry);
                        }
                    }
                }
                Ok(())
            },
        )?;
    }
    progress(whole, whole);
    Ok(marks)
}

/// The segments that contain drops. Only these are read in the first pass of a
/// range.
fn parts_with_drops(source: &SegmentSet) -> Vec<SegmentPart> {
    let parts = source.parts().iter();
    parts
        .filter(|part| part.entries.drop > 0)
        .cloned()
        .collect()
}
