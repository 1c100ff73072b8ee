//! What records have in common: id, version, time, source, and the key that makes them one and the same.

use std::borrow::Cow;

use tributary_operators::event::Event;
use tributary_operators::record::{Body, IdSet, Record, RecordKey};

use super::fields::Field;
use super::line::Line;
use super::reader::{MAX_LABEL, Read, missing};
use crate::dead_letter::{Reason, Refusal, Sink};

/// The head of a record.
pub struct Head<'a> {
    /// Its id, or the message's.
    pub id: Cow<'a, str>,
    /// Unix milliseconds.
    pub ts: i64,
    /// Its version, 0 where absent.
    pub version: i64,
}

impl<'a> Head<'a> {
    /// Reads `id`, `ts` and `version`.
    pub fn read(line: &Line<'a, 'a>) -> Read<Head<'a>> {
        let id = match (line.reader.label(Field::Id)?, line.message.id) {
            (Some(id), _) => id,
            (None, Some(given)) if given.len() > MAX_LABEL => {
                let detail = format!("the header `ce-id` has more than {MAX_LABEL} bytes");
                return Err(Refusal::new(Reason::TextTooLong, detail));
            }
            (None, Some(given)) if !given.is_empty() => Cow::Borrowed(given),
            (None, _) => return Err(missing(Field::Id)),
        };
        Ok(Head {
            id,
            ts: line.ts()?,
            version: line.version()?,
        })
    }
}

/// The event of a record, its source's word told.
pub fn put(
    line: &mut Line<'_, '_>,
    head: Head<'_>,
    ids: IdSet,
    body: Body,
    sink: &mut impl Sink,
) -> Event {
    let brand = line.brand.id;
    let parts = [line.source.name.as_bytes(), head.id.as_bytes()];
    Event::Put {
        key: RecordKey::of(&line.brand.name, &parts),
        version: head.version,
        arrival: line.message.arrival,
        record: Record {
            brand,
            source: line.labels.announce(&line.source.name, sink),
            id: head.id.into(),
            ts: head.ts,
            day: line.brand.clock.day(head.ts),
            ids,
            body,
        },
    }
}
