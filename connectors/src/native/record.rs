//! The common part of records: id, version, time, source, and the key that
//! identifies a record.
//!
//! The record key is a hash of the brand, the source and the id, so that a
//! repetition of a record replaces it and two sources never collide.

use std::borrow::Cow;

use tributary_operators::event::Event;
use tributary_operators::record::{Body, IdSet, Record, RecordKey};

use super::fields::Field;
use super::line::Line;
use super::reader::{FieldResult, MAX_LABEL, missing};
use crate::dead_letter::{Reason, Refusal, Sink};

/// The id, time and version of a record.
pub struct RecordHead<'a> {
    /// The record's id, or that of a message with one record; 1 to 256 bytes.
    pub id: Cow<'a, str>,
    /// The time of the event, Unix milliseconds.
    pub ts: i64,
    /// The revision; the highest of a record key counts. 0 if absent.
    pub version: i64,
}

impl<'a> RecordHead<'a> {
    /// Reads `id`, `ts` and `version`.
    ///
    /// # Errors
    /// `missing_field` without an id, and as [`Line::timestamp`].
    pub fn read(line: &Line<'a, 'a>) -> FieldResult<RecordHead<'a>> {
        let id = match (line.reader.key(Field::Id)?, line.message.id) {
            (Some(id), _) => id,
            (None, Some(id)) if id.len() > MAX_LABEL => {
                let detail = format!("the header `ce-id` has more than {MAX_LABEL} bytes");
                return Err(Refusal::new(Reason::TextTooLong, detail));
            }
            (None, Some(id)) if !id.is_empty() => Cow::Borrowed(id),
            (None, _) => return Err(missing(Field::Id)),
        };
        Ok(RecordHead {
            id,
            ts: line.timestamp()?,
            version: line.version()?,
        })
    }
}

/// The event that stores a record under its key; announces the name of its
/// source.
pub fn put_event(
    line: &mut Line<'_, '_>,
    head: RecordHead<'_>,
    ids: IdSet,
    body: Body,
    sink: &mut impl Sink,
) -> Event {
    let brand = line.brand.id;
    Event::Put {
        key: RecordKey::of_record(&line.brand.name, &line.source.name, &head.id),
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
