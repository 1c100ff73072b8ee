//! The counters of records: how often records were repeated, corrected or superseded.
//!
//! Each key has a history of its own, in the order of arrival. A statement without an ID is
//! attached to another record: it is not counted, and repeats or replaces no other record.

use std::collections::BTreeMap;

use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, Body, Record, RecordKey};

/// The counters over all records that arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that are stored at the end.
    pub held: i64,
    /// Records with the stored content and version.
    pub duplicates: u64,
    /// Records that replaced another content or a lower version.
    pub corrections: u64,
    /// Records of a lower version than the stored one.
    pub superseded: u64,
}

/// Computes the counters. Only the positions of the events in the order of arrival matter, not
/// their order in the input.
///
/// Each record after the first of its key is compared with the one that is stored at that point:
///
/// - a lower version counts as superseded;
/// - the same version and content count as a duplicate;
/// - anything else counts as a correction, and replaces the stored record.
///
/// After a drop the next record of the key is a first record again.
pub fn counts<'a>(events: impl IntoIterator<Item = &'a Event>) -> Counts {
    type Arrived<'a> = (Arrival, Option<(i64, &'a Record)>);
    let mut histories: BTreeMap<RecordKey, Vec<Arrived>> = BTreeMap::new();
    for event in events {
        match event {
            Event::Put {
                key,
                version,
                arrival,
                record,
            } => {
                let history = histories.entry(*key).or_default();
                history.push((*arrival, Some((*version, record))));
            }
            Event::Drop { key, arrival } => {
                histories.entry(*key).or_default().push((*arrival, None));
            }
            _ => {}
        }
    }
    let mut counts = Counts::default();
    for mut history in histories.into_values() {
        // What is dropped at the place of a put was there before it.
        history.sort_by_key(|(arrival, put)| (*arrival, put.is_some()));
        let mut held: Option<(i64, &Record)> = None;
        for (_, put) in history {
            let (Some((version, record)), Some((before, of))) = (put, held) else {
                held = put;
                continue;
            };
            let again = match version.cmp(&before) {
                std::cmp::Ordering::Less => &mut counts.superseded,
                std::cmp::Ordering::Equal if record == of => &mut counts.duplicates,
                _ => &mut counts.corrections,
            };
            if !rides(record) {
                *again += 1;
            }
            if version >= before {
                held = put;
            }
        }
        counts.held += i64::from(held.is_some_and(|(_, record)| !rides(record)));
    }
    counts
}

/// Whether a record is a statement attached to another record, or to a rights request.
fn rides(record: &Record) -> bool {
    let is_statement = matches!(record.body, Body::Consent { .. } | Body::Right { .. });
    is_statement && record.id.is_empty()
}
