//! Encoding of events (FORMAT.md, section *Entries*).
//!
//! A run contains entries of one brand, each a tag byte and its fields. Times,
//! days and places in the order of arrival are differences to the previous
//! entry; a label is spelled out once and is then a small number; an identifier
//! whose value equals its pseudonym is written once. Tag 0 resets all of this,
//! so that runs can be concatenated.
//!
//! The day of a record is not written, because it follows from its time and the
//! brand's time zone, which the configuration may change: the reader computes
//! it. The `date` of spend is independent of a time and is written.
//!
//! Decoding is total: any bytes give events or [`Malformed`], with memory
//! bounded by their length.

mod body;
mod decode;
mod tags;

pub(crate) use decode::decode_older;
pub use decode::{Malformed, decode};

use rustc_hash::FxHashMap;
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, Body, ClosedVisits, Day, IdSet, Record, RecordKey, SettledDevices, SettledHour,
    TokenizedPing,
};

use tags::{
    Before, CLOSED, COOKIE, DEVICES, DROP, EVIDENCE, HEARD, LINK_TIME, OTHER, PUT, RANDOM, RESET,
    SETTLED, SIGHTINGS, UNMATCHED, VERSION, VISITS, WORD,
};

use crate::counts::EntryCounts;
use crate::wire::{put_signed, put_varint};

/// Encoder of runs of entries of one brand.
#[derive(Default)]
pub(crate) struct Encoder {
    /// The run so far.
    bytes: Vec<u8>,
    /// Fields of the previous entry.
    before: Before,
    /// Index of each label of the run, from 1.
    labels: FxHashMap<Label, u64>,
    /// Entries of the run by kind.
    entries: EntryCounts,
}

impl Encoder {
    /// Length of the run in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the run and begins a new one.
    pub fn take(&mut self) -> (Vec<u8>, EntryCounts) {
        let whole = std::mem::take(self);
        (whole.bytes, whole.entries)
    }

    /// Appends an entry. [`Event::Ping`] and [`Event::DropDevice`] are ignored: the
    /// first has no token yet, and the effect of the second is a rewrite without
    /// the device's pings.
    pub fn push(&mut self, event: &Event) {
        if matches!(event, Event::Ping { .. } | Event::DropDevice { .. }) {
            return;
        }
        if self.bytes.is_empty() {
            self.bytes.push(RESET);
        }
        match event {
            Event::Put {
                key,
                version,
                arrival,
                record,
            } => {
                self.entries.put += 1;
                let flag = if *version == 0 { 0 } else { VERSION };
                self.bytes.push(PUT | flag);
                self.key(*key, *arrival);
                if *version != 0 {
                    put_signed(&mut self.bytes, *version);
                }
                self.record(record);
            }
            Event::Drop { key, arrival } => {
                self.entries.drop += 1;
                self.bytes.push(DROP);
                self.key(*key, *arrival);
            }
            Event::TokenizedPing { ping } => {
                self.entries.tokenized_pings += 1;
                self.ping(ping);
            }
            Event::SettledHour { settled } => {
                self.entries.settled += 1;
                self.settled(settled);
            }
            Event::SettledDevices { settled } => {
                self.entries.settled += 1;
                self.settled_devices(settled);
            }
            Event::ClosedVisits { visits } => {
                self.entries.settled += 1;
                self.closed_visits(visits);
            }
            Event::UnmatchedStays { unmatched } => {
                self.entries.settled += 1;
                self.bytes.push(SETTLED | UNMATCHED);
                self.label(unmatched.store);
                self.day(unmatched.day);
                put_signed(&mut self.bytes, unmatched.stays);
            }
            Event::SightingsSettled { before, .. } => {
                self.entries.settled += 1;
                self.bytes.push(SETTLED | SIGHTINGS);
                self.day(*before);
            }
            Event::SaltDaysClosed { before, .. } => {
                self.entries.settled += 1;
                self.bytes.push(SETTLED | CLOSED);
                self.day(*before);
            }
            Event::LinkTime { at, .. } => {
                self.entries.settled += 1;
                self.bytes.push(SETTLED | LINK_TIME);
                put_signed(&mut self.bytes, *at);
            }
            Event::LabelName { label, word, .. } => {
                self.entries.label_names += 1;
                self.bytes.push(WORD);
                self.label(*label);
                self.text(word);
            }
            Event::Evidence {
                key, ids, ts, text, ..
            } => {
                self.entries.evidence += 1;
                self.bytes.push(EVIDENCE);
                self.bytes.extend_from_slice(&key.0.to_le_bytes());
                self.ts(*ts);
                self.ids(ids);
                self.text(text);
            }
            Event::Ping { .. } | Event::DropDevice { .. } => {}
        }
    }

    /// Appends the key of a record and its place in the order of arrival.
    fn key(&mut self, key: RecordKey, arrival: Arrival) {
        self.bytes.extend_from_slice(&key.0.to_le_bytes());
        let message = arrival.message.wrapping_sub(self.before.message);
        let line = arrival.line.wrapping_sub(self.before.line);
        put_signed(&mut self.bytes, message as i64);
        put_signed(&mut self.bytes, i64::from(line as i32));
        self.before.message = arrival.message;
        self.before.line = arrival.line;
    }

    /// Appends the fields of a record, except its day.
    fn record(&mut self, record: &Record) {
        self.label(record.source);
        self.text(&record.id);
        self.ts(record.ts);
        self.ids(&record.ids);
        self.body(&record.body);
        if matches!(record.body, Body::Spend { .. }) {
            self.day(record.day);
        }
    }

    /// Appends a time, Unix milliseconds.
    fn ts(&mut self, ts: i64) {
        put_signed(&mut self.bytes, ts.wrapping_sub(self.before.ts));
        self.before.ts = ts;
    }

    /// Appends an identifier set.
    fn ids(&mut self, ids: &IdSet) {
        put_varint(&mut self.bytes, ids.ids().len() as u64);
        for id in ids.ids() {
            let other = if id.value == id.pseudonym { 0 } else { OTHER };
            self.bytes.push(id.kind as u8 | other);
            self.bytes.extend_from_slice(&id.pseudonym.to_le_bytes());
            if other != 0 {
                self.bytes.extend_from_slice(&id.value.to_le_bytes());
            }
        }
    }

    /// Appends a tokenized ping.
    fn ping(&mut self, ping: &TokenizedPing) {
        let random = if ping.random { RANDOM } else { 0 };
        let cookie = if ping.offline_cookie.is_some() {
            COOKIE
        } else {
            0
        };
        self.bytes.push(HEARD | random | cookie);
        self.label(ping.store);
        self.bytes.extend_from_slice(&ping.token.0.to_le_bytes());
        self.day(ping.salt_day);
        self.second(ping.second, ping.utc_offset);
        self.bytes.push(ping.rssi as u8);
        if let Some(cookie) = ping.offline_cookie {
            self.bytes.extend_from_slice(&cookie.to_le_bytes());
        }
    }

    /// Appends the totals of an hour of a settled salt day.
    fn settled(&mut self, settled: &SettledHour) {
        self.bytes.push(SETTLED);
        self.label(settled.store);
        self.second(settled.hour, settled.utc_offset);
        settled
            .values
            .iter()
            .for_each(|value| put_signed(&mut self.bytes, *value));
    }

    /// Appends the devices of a settled salt day that came in exactly some hours.
    fn settled_devices(&mut self, settled: &SettledDevices) {
        self.bytes.push(SETTLED | DEVICES);
        self.label(settled.store);
        self.day(settled.salt_day);
        put_varint(&mut self.bytes, settled.hours.len() as u64);
        for (start, utc_offset) in &settled.hours {
            self.second(*start, *utc_offset);
        }
        put_signed(&mut self.bytes, settled.devices);
        put_signed(&mut self.bytes, settled.random);
    }

    /// Appends visits of a settled salt day.
    fn closed_visits(&mut self, visits: &ClosedVisits) {
        self.bytes.push(SETTLED | VISITS);
        self.label(visits.store);
        self.day(visits.salt_day);
        self.bytes.push(visits.bits);
        put_varint(&mut self.bytes, visits.visits.len() as u64);
        for visit in &visits.visits {
            put_signed(
                &mut self.bytes,
                visit.first.wrapping_sub(self.before.second),
            );
            self.before.second = visit.first;
            put_signed(&mut self.bytes, visit.last.wrapping_sub(visit.first));
            self.bytes.extend_from_slice(&visit.cookie.to_le_bytes());
        }
    }

    /// Appends a time in Unix seconds and a UTC offset in seconds.
    fn second(&mut self, second: i64, utc_offset: i32) {
        put_signed(&mut self.bytes, second.wrapping_sub(self.before.second));
        self.before.second = second;
        let offset = utc_offset.wrapping_sub(self.before.offset);
        put_signed(&mut self.bytes, i64::from(offset));
        self.before.offset = utc_offset;
    }

    /// Appends a day.
    fn day(&mut self, day: Day) {
        put_signed(
            &mut self.bytes,
            i64::from(day.wrapping_sub(self.before.day)),
        );
        self.before.day = day;
    }

    /// Appends a length and UTF-8 bytes.
    fn text(&mut self, text: &str) {
        put_varint(&mut self.bytes, text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Appends a label: its index in the run, or 0 and its 8 bytes at its first
    /// use.
    fn label(&mut self, label: Label) {
        let next = self.labels.len() as u64 + 1;
        let number = *self.labels.entry(label).or_insert(next);
        if number == next {
            self.bytes.push(0);
            self.bytes.extend_from_slice(&label.0.to_le_bytes());
        } else {
            put_varint(&mut self.bytes, number);
        }
    }
}

/// Encodes events of one brand for [`decode`]. Events that are never stored are
/// ignored.
pub fn encode(events: &[Event]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    events.iter().for_each(|event| encoder.push(event));
    encoder.take().0
}
