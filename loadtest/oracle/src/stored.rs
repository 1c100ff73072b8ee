//! What is held: all events folded in one go.
//!
//! Under one key a record is put, corrected, put again the same, dropped and put anew. Read in the
//! order of arrival that comes to one rule: whatever arrived before the last `Drop` no longer counts,
//! and of what remains the highest `(version, arrival)` is held. So neither the order of the events
//! in the slice nor their batches matter, only their places in the order of arrival. Pings have no such place: a device
//! that is dropped loses what comes before that in the slice.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::event::Event;
use tributary_operators::label::LabelNames;
use tributary_operators::record::{Arrival, BrandId, Ping, Record, RecordKey};

/// The records and pings held, and the words of their labels.
#[derive(Clone, Debug, Default)]
pub struct StoredState {
    /// The held records, sorted.
    pub records: Vec<Record>,
    /// The current pings, sorted and deduplicated; of a dropped device only those after the drop.
    pub pings: Vec<Ping>,
    /// By which time the links of each brand are judged, Unix milliseconds; none where they are for good.
    pub link_times: BTreeMap<BrandId, i64>,
    /// The words behind the labels.
    pub words: LabelNames,
}

/// All that ever happened under one key.
#[derive(Default)]
struct KeyHistory<'a> {
    puts: Vec<(i64, Arrival, &'a Record)>,
    last_drop: Option<Arrival>,
}

impl<'a> KeyHistory<'a> {
    /// The record held in the end. A put at the very place of a drop counts: only what arrived
    /// before the drop is retracted. Two puts of one version at one place cannot be; the greater record
    /// would count.
    fn held(&self) -> Option<&'a Record> {
        self.puts
            .iter()
            .filter(|(_, arrival, _)| self.last_drop.is_none_or(|dropped| *arrival >= dropped))
            .max()
            .map(|(_, _, record)| *record)
    }
}

/// Folds events into the records held after the last of them, each under its key.
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
            _ => {}
        }
    }
    histories
        .into_iter()
        .filter_map(|(key, history)| Some((key, history.held()?.clone())))
        .collect()
}

/// Folds events into what is held after the last of them.
pub fn fold_events<'a>(
    events: impl IntoIterator<Item = &'a Event, IntoIter: Clone>,
) -> StoredState {
    let events = events.into_iter();
    let mut records: Vec<Record> = held(events.clone()).into_values().collect();
    records.sort();
    let mut pings: BTreeSet<&Ping> = BTreeSet::new();
    let mut words = LabelNames::default();
    let mut link_times = BTreeMap::new();
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
            | Event::SaltDaysClosed { .. } => {}
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
        words,
    }
}
