//! What is exported, before it is encoded: spans and log lines.

use std::time::SystemTime;

use tracing::Level;

/// A count of a span: its name, and its value.
pub type Count = (&'static str, u64);

/// A finished span. Its texts are literals of the program; everything that depends
/// on input is a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The trace that it belongs to.
    pub trace: [u8; 16],
    /// Its ID, unique within the trace.
    pub id: [u8; 8],
    /// The ID of its parent; `None` for the root of a trace.
    pub parent: Option<[u8; 8]>,
    /// Its name.
    pub name: &'static str,
    /// When it began.
    pub begun: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// Its attributes.
    pub counts: Vec<Count>,
    /// Whether what it describes has failed.
    pub has_failed: bool,
}

/// A line of the log.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it was logged.
    pub at: SystemTime,
    /// Its severity.
    pub level: Level,
    /// The module that has logged it.
    pub target: &'static str,
    /// The message.
    pub message: String,
    /// The fields beside the message.
    pub fields: Vec<(&'static str, Value)>,
}

/// The value of a field of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// A text.
    Text(String),
}
