//! Decoding of events. Every length is checked against the bytes that are left
//! before memory is allocated.

use std::sync::Arc;

use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, Body, BrandId, ClosedVisit, ClosedVisits, Day, IdKind, IdSet, Identifier, Record,
    RecordKey, SettledDevices, SettledHour, Token, TokenizedPing, UnmatchedStays,
};

use super::tags::{
    Before, CLOSED, COOKIE, DEVICES, DROP, EVIDENCE, HEARD, KIND, LINK_TIME, OTHER, PUT, RANDOM,
    RESET, SETTLED, SIGHTINGS, UNMATCHED, VERSION, VISITS, WORD,
};
use crate::counts::EntryCounts;
use crate::older_names::OlderNames;
use crate::wire::Input;

/// The bytes are not encoded events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not events")]
pub struct Malformed;

/// Decodes entries of one brand and calls `each` with every event. `day` maps a
/// time in Unix milliseconds to a day of the brand.
///
/// # Errors
///
/// [`Malformed`] if the bytes are not entries; `each` has then received the
/// events before that place.
///
/// # Example
///
/// ```
/// use tributary_ledger::{Malformed, decode, encode};
/// use tributary_operators::event::Event;
/// use tributary_operators::record::{Arrival, BrandId, RecordKey};
///
/// let brand = BrandId::of("acme");
/// let drop = Event::Drop { key: RecordKey(7), arrival: Arrival { message: 3, line: 0 } };
/// let bytes = encode(std::slice::from_ref(&drop));
///
/// let mut events = Vec::new();
/// let counts = decode(&bytes, brand, &mut |_, _| 0, &mut |event| events.push(event))?;
/// assert_eq!((counts.drop, events), (1, vec![drop]));
///
/// // A truncated run is an error, never a panic.
/// let torn = &bytes[..bytes.len() - 1];
/// assert_eq!(decode(torn, brand, &mut |_, _| 0, &mut |_| ()), Err(Malformed));
/// # Ok::<(), Malformed>(())
/// ```
pub fn decode(
    bytes: &[u8],
    brand: BrandId,
    day: &mut dyn FnMut(BrandId, i64) -> Day,
    each: &mut dyn FnMut(Event),
) -> Result<EntryCounts, Malformed> {
    decode_older(bytes, brand, None, day, each)
}

/// [`decode`], of entries of an older format if `older` is given, with the name of the brand.
///
/// # Errors
///
/// Those of [`decode`].
pub(crate) fn decode_older(
    bytes: &[u8],
    brand: BrandId,
    older: Option<(&OlderNames, &str)>,
    day: &mut dyn FnMut(BrandId, i64) -> Day,
    each: &mut dyn FnMut(Event),
) -> Result<EntryCounts, Malformed> {
    let mut decoder = Decoder {
        input: Input(bytes),
        before: Before::default(),
        labels: Vec::new(),
        older,
        brand,
    };
    let mut entries = EntryCounts::default();
    while decoder.input.remaining() > 0 {
        if let Some(event) = decoder.next(day).ok_or(Malformed)? {
            entries.count(&event);
            each(event);
        }
    }
    Ok(entries)
}

/// Decoder of runs of entries of one brand.
pub(super) struct Decoder<'a> {
    /// The bytes that are left.
    pub(super) input: Input<'a>,
    /// Fields of the previous entry.
    before: Before,
    /// Labels of the run in the order of their first use.
    labels: Vec<Label>,
    /// What replaces labels and keys, if they are those of an older format, and the name of the brand.
    older: Option<(&'a OlderNames, &'a str)>,
    /// The brand of the events.
    brand: BrandId,
}

impl Decoder<'_> {
    /// Reads an entry. The outer `None` means malformed bytes, the inner one a
    /// reset.
    fn next(&mut self, day: &mut dyn FnMut(BrandId, i64) -> Day) -> Option<Option<Event>> {
        let tag = self.input.byte()?;
        let event = match (tag & KIND, tag & !KIND) {
            (RESET, 0) => {
                self.before = Before::default();
                self.labels.clear();
                return Some(None);
            }
            (PUT, flags) if flags & !VERSION == 0 => {
                let (key, arrival) = self.key()?;
                let version = match flags {
                    0 => 0,
                    _ => self.input.signed()?,
                };
                let record = self.record(day)?;
                let key = self
                    .older
                    .map_or(key, |(names, brand)| names.key(key, brand, &record));
                Event::Put {
                    key,
                    version,
                    arrival,
                    record,
                }
            }
            (DROP, 0) => {
                let (key, arrival) = self.key()?;
                let key = self.older.map_or(key, |(names, _)| names.key_of_drop(key));
                Event::Drop { key, arrival }
            }
            (HEARD, flags) if flags & !(RANDOM | COOKIE) == 0 => self.ping(flags)?,
            (SETTLED, 0) => self.settled()?,
            (SETTLED, CLOSED) => Event::SaltDaysClosed {
                brand: self.brand,
                before: self.day()?,
            },
            (SETTLED, DEVICES) => self.settled_devices()?,
            (SETTLED, VISITS) => self.closed_visits()?,
            (SETTLED, UNMATCHED) => Event::UnmatchedStays {
                unmatched: UnmatchedStays {
                    brand: self.brand,
                    store: self.label()?,
                    day: self.day()?,
                    stays: self.input.signed()?,
                },
            },
            (SETTLED, SIGHTINGS) => Event::SightingsSettled {
                brand: self.brand,
                before: self.day()?,
            },
            (SETTLED, LINK_TIME) => Event::LinkTime {
                brand: self.brand,
                at: self.input.signed()?,
            },
            (WORD, 0) => {
                let label = self.label()?;
                let word: Arc<str> = self.text()?;
                Event::LabelName {
                    brand: self.brand,
                    label: self.older.map_or(label, |_| Label::of(&word)),
                    word,
                }
            }
            (EVIDENCE, 0) => {
                let key = RecordKey(self.input.u128()?);
                let ts = self.ts()?;
                Event::Evidence {
                    key,
                    brand: self.brand,
                    ids: self.ids()?,
                    ts,
                    text: self.text()?,
                }
            }
            _ => return None,
        };
        Some(Some(event))
    }

    /// Reads the key of a record and its place in the order of arrival.
    fn key(&mut self) -> Option<(RecordKey, Arrival)> {
        let key = RecordKey(self.input.u128()?);
        let message = self.input.signed()? as u64;
        let line = i32::try_from(self.input.signed()?).ok()? as u32;
        self.before.message = self.before.message.wrapping_add(message);
        self.before.line = self.before.line.wrapping_add(line);
        let arrival = Arrival {
            message: self.before.message,
            line: self.before.line,
        };
        Some((key, arrival))
    }

    /// Reads a record, and computes its day.
    fn record(&mut self, day: &mut dyn FnMut(BrandId, i64) -> Day) -> Option<Record> {
        let source = self.label()?;
        let id = self.text()?;
        let ts = self.ts()?;
        let ids = self.ids()?;
        let body = self.body()?;
        let day = match body {
            Body::Spend { .. } => self.day()?,
            _ => day(self.brand, ts),
        };
        Some(Record {
            brand: self.brand,
            source,
            id,
            ts,
            day,
            ids,
            body,
        })
    }

    /// Reads a time, Unix milliseconds.
    fn ts(&mut self) -> Option<i64> {
        self.before.ts = self.before.ts.wrapping_add(self.input.signed()?);
        Some(self.before.ts)
    }

    /// Reads an identifier set.
    fn ids(&mut self) -> Option<IdSet> {
        let count = usize::try_from(self.input.varint()?).ok()?;
        // An identifier has 17 bytes or more.
        if count > self.input.remaining() / 17 {
            return None;
        }
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            let tag = self.input.byte()?;
            let kind = *IdKind::ALL.get(usize::from(tag & !OTHER))?;
            let pseudonym = self.input.u128()?;
            let value = match tag & OTHER {
                0 => pseudonym,
                _ => self.input.u128()?,
            };
            ids.push(Identifier {
                pseudonym,
                value,
                kind,
            });
        }
        Some(IdSet::new(ids))
    }

    /// Reads a tokenized ping.
    fn ping(&mut self, flags: u8) -> Option<Event> {
        let store = self.label()?;
        let token = Token(self.input.u128()?);
        let salt_day = self.day()?;
        let (second, utc_offset) = self.second()?;
        let rssi = self.input.byte()? as i8;
        let offline_cookie = match flags & COOKIE {
            0 => None,
            _ => Some(u32::from_le_bytes(self.input.array()?)),
        };
        let ping = TokenizedPing {
            brand: self.brand,
            store,
            token,
            random: flags & RANDOM != 0,
            salt_day,
            second,
            utc_offset,
            rssi,
            offline_cookie,
        };
        Some(Event::TokenizedPing { ping })
    }

    /// Reads the totals of an hour of a settled salt day.
    fn settled(&mut self) -> Option<Event> {
        let store = self.label()?;
        let (hour, utc_offset) = self.second()?;
        let mut values = [0; 5];
        for value in &mut values {
            *value = self.input.signed()?;
        }
        let settled = SettledHour {
            brand: self.brand,
            store,
            hour,
            utc_offset,
            values,
        };
        Some(Event::SettledHour { settled })
    }

    /// Reads the devices of a settled salt day that came in exactly some hours.
    fn settled_devices(&mut self) -> Option<Event> {
        let store = self.label()?;
        let salt_day = self.day()?;
        let count = usize::try_from(self.input.varint()?).ok()?;
        // An hour has 2 bytes or more.
        if count > self.input.remaining() / 2 {
            return None;
        }
        let hours: Option<Vec<(i64, i32)>> = (0..count).map(|_| self.second()).collect();
        let settled = SettledDevices {
            brand: self.brand,
            store,
            salt_day,
            hours: hours?,
            devices: self.input.signed()?,
            random: self.input.signed()?,
        };
        Some(Event::SettledDevices { settled })
    }

    /// Reads visits of a settled salt day.
    fn closed_visits(&mut self) -> Option<Event> {
        let store = self.label()?;
        let salt_day = self.day()?;
        let bits = self.input.byte().filter(|bits| *bits <= 16)?;
        let count = usize::try_from(self.input.varint()?).ok()?;
        // A visit has 4 bytes or more.
        if count > self.input.remaining() / 4 {
            return None;
        }
        let mut visits = Vec::with_capacity(count);
        for _ in 0..count {
            let first = self.before.second.wrapping_add(self.input.signed()?);
            self.before.second = first;
            visits.push(ClosedVisit {
                first,
                last: first.wrapping_add(self.input.signed()?),
                cookie: u16::from_le_bytes(self.input.array()?),
            });
        }
        let visits = ClosedVisits {
            brand: self.brand,
            store,
            salt_day,
            bits,
            visits,
        };
        Some(Event::ClosedVisits { visits })
    }

    /// Reads a time in Unix seconds and a UTC offset in seconds.
    fn second(&mut self) -> Option<(i64, i32)> {
        self.before.second = self.before.second.wrapping_add(self.input.signed()?);
        let offset = i32::try_from(self.input.signed()?).ok()?;
        self.before.offset = self.before.offset.wrapping_add(offset);
        Some((self.before.second, self.before.offset))
    }

    /// Reads a day.
    pub(super) fn day(&mut self) -> Option<Day> {
        let day = i32::try_from(self.input.signed()?).ok()?;
        self.before.day = self.before.day.wrapping_add(day);
        Some(self.before.day)
    }

    /// Reads a length and UTF-8 bytes.
    fn text<T: for<'t> From<&'t str>>(&mut self) -> Option<T> {
        let length = usize::try_from(self.input.varint()?).ok()?;
        let bytes = self.input.take(length)?;
        std::str::from_utf8(bytes).ok().map(T::from)
    }

    /// Reads a label: an index in the run, or 0 and 8 bytes.
    pub(super) fn label(&mut self) -> Option<Label> {
        match self.input.varint()? {
            0 => {
                let label = Label(self.input.u64()?);
                let label = self.older.map_or(label, |(names, _)| names.label(label));
                self.labels.push(label);
                Some(label)
            }
            number => {
                let place = usize::try_from(number - 1).ok()?;
                self.labels.get(place).copied()
            }
        }
    }
}
