//! Queued records, and the packs that combine records of one subject into one line.

use crate::line::Line;

/// A record in the delivery queue. The order is that of arrival, then of sending.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueuedRecord {
    /// The time of arrival, Unix milliseconds.
    pub(crate) at: i64,
    /// The number of the record in the order of sending.
    pub(crate) order: u64,
    /// The kind, as its subject names it.
    pub(crate) word: &'static str,
    /// Whether the text is a JSON object; false for malformed records.
    pub(crate) object: bool,
    /// The record.
    pub(crate) text: String,
}

/// The records of one subject that wait for their line.
pub(crate) struct Pack {
    /// The kind, as the subject names it.
    pub(crate) word: &'static str,
    /// The subject: `tributary.in.<brand>.<kind>`.
    subject: String,
    /// The waiting records, in the order of arrival.
    items: Vec<QueuedRecord>,
}

impl Pack {
    /// An empty pack.
    pub(crate) fn of(brand: &str, word: &'static str) -> Pack {
        Pack {
            word,
            subject: format!("tributary.in.{brand}.{word}"),
            items: Vec::new(),
        }
    }

    /// Adds a record. Returns the line once it has `size` records; it arrives with its last record.
    ///
    /// With a `size` of 1 every record is a line of its own, and can be malformed. In a larger pack
    /// a malformed record is one line of the NDJSON.
    pub(crate) fn add(&mut self, item: QueuedRecord, size: usize) -> Option<Line> {
        self.items.push(item);
        match self.items.len() >= size {
            true => self.close(),
            false => None,
        }
    }

    /// The line of the waiting records, or `None` if there are none.
    pub(crate) fn close(&mut self) -> Option<Line> {
        let mut items = std::mem::take(&mut self.items);
        let last = items.pop()?;
        let single = items.is_empty();
        let mut data = String::new();
        for item in &items {
            data.push_str(&item.text);
            data.push('\n');
        }
        data.push_str(&last.text);
        Some(Line {
            subject: self.subject.clone(),
            at: last.at,
            object: single && last.object,
            data,
        })
    }
}
