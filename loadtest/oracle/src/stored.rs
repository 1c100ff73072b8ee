//! The stored state: all events folded at once.
//!
//! Under one key a record is inserted, corrected, repeated, dropped and inserted again. In the
//! order of arrival this amounts to one rule: what arrived before the last `Drop` no longer counts,
//! and of the rest the highest `(version, arrival)` is stored. So neither the order of the events
//! in the input nor their batches matter, only their positions in the order of arrival. Pings have
//! no such position: a device that is dropped loses the pings before the drop in the input.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::event::Event;
use tributary_operators::label::LabelNames;
use tributary_operators::record::{
    Arrival, Body, BrandId, Ping, Record, RecordKey, UnmatchedStays,
};

/// The stored records and pings, and the names of their labels.
#[derive(Clone, Debug, Default)]
pub struct StoredState {
    /// The stored records, sorted.
    pub records: Vec<Record>,
    /// The stored pings, sorted and without duplicates; of a dropped device only those after the
    /// drop.
    pub pings: Vec<Ping>,
    /// The time as of which the age of each brand's links is determined, Unix milliseconds; without
    /// an entry links do not age.
    pub link_times: BTreeMap<BrandId, i64>,
    /// The stays of settled salt days that were not matched.
    pub unmatched: Vec<UnmatchedStays>,
    /// The names of the labels.
    pub words: LabelNames,
}

/// All events of one key.
#[derive(Default)]
struct KeyHistory<'a> {
    /// The insertions: version, position and record.
    puts: Vec<(i64, Arrival, &'a Record)>,
    /// The position of the last drop.
    last_drop: Option<Arrival>,
}

impl<'a> KeyHistory<'a> {
    /// The record that is stored at the end. A put at the position of a drop counts: only what
    /// arrived before the drop is retracted. Two puts of one version at one position cannot occur;
    /// the greater record would count.
    fn held(&self) -> Option<&'a Record> {
        self.puts
            .iter()
            .filter(|(_, arrival, _)| self.last_drop.is_none_or(|dropped| *arrival >= dropped))
            .max()
            .map(|(_, _, record)| *record)
    }
}

/// The records that are stored after some events, by key.
pub(crate) fn held<'a>(events: impl IntoIterator<Item = &'a Event>) -> BTreeMap<RecordKey, Record> {
    let mut histories: BTreeMap<RecordKey, KeyHistory> = BTreeMap::new();
    for event in events {
        match event {
            Event::Put {
                key,
                version,
                arrival,
                record,
            } => {
                let history = histories.entry(*key).or_default();
                history.puts.push((*version, *arrival, record));
            }
            Event::Drop { key, arrival } => {
                let history = histories.entry(*key).or_default();
                history.last_drop = history.last_drop.max(Some(*arrival));
            }
            // As if each of them were dropped now.
            Event::SightingsSettled { brand, before } => {
                let is_settled = |record: &Record| {
                    matches!(record.body, Body::Sighting { salt_day, .. }
                        if record.brand == *brand && salt_day < *before)
                };
                for history in histories.values_mut() {
                    if history.held().is_some_and(is_settled) {
                        let puts = history.puts.iter().map(|(_, arrival, _)| arrival.message);
                        let behind = puts.max().map(|message| Arrival {
                            message: message + 1,
                            line: 0,
                        });
                        history.last_drop = history.last_drop.max(behind);
                    }
                }
            }
            _ => {}
        }
    }
    histories
        .into_iter()
        .filter_map(|(key, history)| Some((key, history.held()?.clone())))
        .collect()
}

/// The state after some events.
///
/// ```
/// use tributary_oracle::fold_events;
/// use tributary_oracle::history::random;
///
/// let history = random(1, 50);
/// let state = fold_events(history.batches.iter().flatten());
/// assert!(state.records.is_sorted());
/// ```
pub fn fold_events<'a>(
    events: impl IntoIterator<Item = &'a Event, IntoIter: Clone>,
) -> StoredState {
    let events = events.into_iter();
    let mut records: Vec<Record> = held(events.clone()).into_values().collect();
    records.sort();
    let mut pings: BTreeSet<&Ping> = BTreeSet::new();
    let mut words = LabelNames::default();
    let mut link_times = BTreeMap::new();
    let mut unmatched = Vec::new();
    for event in events {
        match event {
            Event::Put { .. } | Event::Drop { .. } => {}
            Event::Ping { ping } => drop(pings.insert(ping)),
            // A history tells of devices as connectors read them, without tokens.
            Event::DropDevice { device } => pings.retain(|ping| {
                let of = (ping.brand, ping.store, ping.salt_day, ping.device);
                of != (device.brand, device.store, device.salt_day, device.token.0)
            }),
            // Salts and what becomes of pings in the ledger change no number.
            Event::TokenizedPing { .. }
            | Event::SettledHour { .. }
            | Event::SettledDevices { .. }
            | Event::ClosedVisits { .. }
            | Event::SaltDaysClosed { .. } => {}
            Event::UnmatchedStays { unmatched: of } => unmatched.push(*of),
            // What it retracts is no longer held.
            Event::SightingsSettled { .. } => {}
            Event::LinkTime { brand, at } => drop(link_times.insert(*brand, *at)),
            // No number depends on evidence.
            Event::Evidence { .. } => {}
            Event::LabelName { label, word, .. } => words.insert(*label, word.clone()),
        }
    }

    let pings = pings.into_iter().copied().collect();
    StoredState {
        records,
        pings,
        link_times,
        unmatched,
        words,
    }
}
