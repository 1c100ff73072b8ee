//! The log lines of the process, for the export.
//!
//! The layer stands behind the filter of standard error, so that the collector
//! receives the lines that stand there, and no others. It is part of the log from
//! the start. Whether lines are exported is known once the configuration has been
//! read: until then they wait in the queue, and are dropped if they are not.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::queue::{Outcomes, Queue};
use super::record::{Line, Value};

/// Maximum length of a text in a line, bytes; the rest is cut off.
const LONGEST: usize = 4_096;

/// The lines of this process. There is one log, and therefore one of these.
static LINES: OnceLock<Lines> = OnceLock::new();

/// The two ends of the queue of lines.
struct Lines {
    queue: Queue<Line>,
    /// Until the export takes it.
    receiver: Mutex<Option<mpsc::Receiver<Line>>>,
}

/// The layer that queues lines for the export.
pub fn layer<S: Subscriber>() -> impl Layer<S> + Send + Sync {
    LINES.get_or_init(|| {
        let (queue, receiver) = Queue::new();
        let receiver = Mutex::new(Some(receiver));
        Lines { queue, receiver }
    });
    LineLayer
}

/// The lines since the start, and what becomes of them; `None` if there is no
/// layer, or if they were taken before.
pub(super) fn take() -> Option<(mpsc::Receiver<Line>, Arc<Outcomes>)> {
    let lines = LINES.get()?;
    let mut receiver = lines
        .receiver
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Some((receiver.take()?, lines.queue.outcomes()))
}

/// Queues a line that standard error has as well, although not through the log.
pub(super) fn push_error(message: &str) {
    if let Some(lines) = LINES.get() {
        lines.queue.push(Line {
            at: SystemTime::now(),
            level: Level::ERROR,
            target: env!("CARGO_CRATE_NAME"),
            message: shortened(message.to_owned()),
            fields: Vec::new(),
        });
    }
}

/// See [`layer`].
struct LineLayer;

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(lines) = LINES.get().filter(|lines| lines.queue.is_read()) else {
            return;
        };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        lines.queue.push(Line {
            at: SystemTime::now(),
            level: *metadata.level(),
            target: metadata.target(),
            message: fields.message,
            fields: fields.others,
        });
    }
}

/// The fields of a line.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text)) => self.message = text,
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        // OTLP has no other integers.
        self.add(field, Value::Int(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::Double(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(shortened(value.to_owned())));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing to a text fails only where the value itself refuses to be shown.
        let _ = write!(text, "{value:?}");
        self.add(field, Value::Text(shortened(text)));
    }
}

/// At most the first [`LONGEST`] bytes of a text.
fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn a_line_has_its_level_its_message_and_its_fields() {
        let log = tracing_subscriber::registry().with(layer());
        let _log = tracing::subscriber::set_default(log);
        let long = "ä".repeat(LONGEST);
        tracing::warn!(count = 7_u64, share = 0.5, is_new = true, why = %"full", long, "dropped {}", 3);
        let (mut lines, _) = take().unwrap();
        let line = lines.try_recv().unwrap();
        assert_eq!(
            (line.level, line.message.as_str()),
            (Level::WARN, "dropped 3")
        );
        assert!(line.target.starts_with("tributary::otlp"));
        assert_eq!(
            line.fields,
            [
                ("count", Value::Int(7)),
                ("share", Value::Double(0.5)),
                ("is_new", Value::Bool(true)),
                ("why", Value::Text("full".to_owned())),
                ("long", Value::Text("ä".repeat(LONGEST / 2))),
            ]
        );
        // Whoever took the lines has ended: nothing is built any more, and nothing waits.
        drop(lines);
        tracing::warn!("nobody reads this");
        assert!(take().is_none());
    }
}
