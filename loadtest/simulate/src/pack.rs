//! Records on their way, and the packs in which those of one subject become one line.

use tributary_config::model::Kind;

use crate::line::Line;

/// A record on its way. The earliest arrival comes first, then the first that was sent.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueuedRecord {
    pub(crate) at: i64,
    pub(crate) order: u64,
    pub(crate) kind: Kind,
    pub(crate) object: bool,
    pub(crate) text: String,
}

/// Events of one subject that wait to become one line.
pub(crate) struct Pack {
    pub(crate) kind: Kind,
    subject: String,
    items: Vec<QueuedRecord>,
}

impl Pack {
    pub(crate) fn of(brand: &str, kind: Kind) -> Pack {
        Pack {
            kind,
            subject: format!("tributary.in.{brand}.{}", kind.name()),
            items: Vec::new(),
        }
    }

    /// Adds an event; gives the line once it has `size` events. It arrives with its last event.
    pub(crate) fn add(&mut self, item: QueuedRecord, size: usize) -> Option<Line> {
        self.items.push(item);
        match self.items.len() >= size {
            true => self.close(),
            false => None,
        }
    }

    /// The line of what waits, none when nothing does.
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
