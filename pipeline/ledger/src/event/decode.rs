//! Bytes as events.

use std::sync::Arc;

use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, Body, BrandId, Day, IdKind, IdSet, Identifier, Record, RecordKey, SettledHour, Token,
    TokenizedPing,
};

use super::tags::{
    Before, CLOSED, DROP, EVIDENCE, HEARD, KIND, LINK_TIME, OTHER, PUT, RANDOM, RESET, SETTLED,
    VERSION, WORD,
};
use crate::counts::EntryCounts;
use crate::wire::Input;

/// Bytes that are no events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not events")]
pub struct Malformed;

/// Reads entries of one brand. `day` is the brand's day of a time in Unix milliseconds.
///
/// # Errors
///
/// [`Malformed`] where the bytes are none, after the events before that place.
pub fn decode(
    bytes: &[u8],
    brand: BrandId,
    day: &mut dyn FnMut(BrandId, i64) -> Day,
    each: &mut dyn FnMut(Event),
) -> Result<EntryCounts, Malformed> {
    let mut decoder = Decoder {
        input: Input(bytes),
        before: Before::default(),
        labels: Vec::new(),
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

pub(super) struct Decoder<'a> {
    pub(super) input: Input<'a>,
    before: Before,
    labels: Vec<Label>,
    brand: BrandId,
}

impl Decoder<'_> {
    /// The outer none is for bytes that are no entry, the inner one for a new beginning.
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
                Event::Put {
                    key,
                    version,
                    arrival,
                    record: self.record(day)?,
                }
            }
            (DROP, 0) => {
                let (key, arrival) = self.key()?;
                Event::Drop { key, arrival }
            }
            (HEARD, flags) if flags & !RANDOM == 0 => self.ping(flags)?,
            (SETTLED, 0) => self.settled()?,
            (SETTLED, CLOSED) => Event::SaltDaysClosed {
                brand: self.brand,
                before: self.day()?,
            },
            (SETTLED, LINK_TIME) => Event::LinkTime {
                brand: self.brand,
                at: self.input.signed()?,
            },
            (WORD, 0) => Event::LabelName {
                brand: self.brand,
                label: self.label()?,
                word: self.text()?,
            },
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

    fn ts(&mut self) -> Option<i64> {
        self.before.ts = self.before.ts.wrapping_add(self.input.signed()?);
        Some(self.before.ts)
    }

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

    fn ping(&mut self, flags: u8) -> Option<Event> {
        let store = self.label()?;
        let token = Token(self.input.u128()?);
        let salt_day = self.day()?;
        let (second, utc_offset) = self.second()?;
        let rssi = self.input.byte()? as i8;
        let ping = TokenizedPing {
            brand: self.brand,
            store,
            token,
            random: flags & RANDOM != 0,
            salt_day,
            second,
            utc_offset,
            rssi,
        };
        Some(Event::TokenizedPing { ping })
    }

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

    fn second(&mut self) -> Option<(i64, i32)> {
        self.before.second = self.before.second.wrapping_add(self.input.signed()?);
        let offset = i32::try_from(self.input.signed()?).ok()?;
        self.before.offset = self.before.offset.wrapping_add(offset);
        Some((self.before.second, self.before.offset))
    }

    fn day(&mut self) -> Option<Day> {
        let day = i32::try_from(self.input.signed()?).ok()?;
        self.before.day = self.before.day.wrapping_add(day);
        Some(self.before.day)
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let length = usize::try_from(self.input.varint()?).ok()?;
        let bytes = self.input.take(length)?;
        std::str::from_utf8(bytes).ok().map(Arc::from)
    }

    pub(super) fn label(&mut self) -> Option<Label> {
        match self.input.varint()? {
            0 => {
                let label = Label(self.input.u64()?);
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
