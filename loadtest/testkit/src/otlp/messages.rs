//! What OTLP exports contain, by the field numbers of its definition (`opentelemetry/proto`, version 1).

use std::collections::BTreeMap;

use super::wire::{Value, bytes, each, number, one, text};

/// A span that a collector has received.
#[derive(Clone, Debug)]
pub struct Span {
    /// The ID of its trace, 16 bytes.
    pub trace: Vec<u8>,
    /// Its ID, 8 bytes.
    pub id: Vec<u8>,
    /// The ID of its parent; empty for a root.
    pub parent: Vec<u8>,
    /// Its name.
    pub name: String,
    /// 1 is that of work within a process.
    pub kind: u64,
    /// When it began, nanoseconds since 1970.
    pub begun: u64,
    /// When it ended, nanoseconds since 1970.
    pub ended: u64,
    /// Its attributes.
    pub attributes: BTreeMap<String, Attribute>,
    /// 2 is that of a failure.
    pub status: u64,
    /// The attributes of the process.
    pub resource: BTreeMap<String, Attribute>,
}

/// A line of a log that a collector has received.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it was logged, nanoseconds since 1970.
    pub at: u64,
    /// The number of its severity.
    pub severity: u64,
    /// The name of its level.
    pub level: String,
    /// The scope that has logged it.
    pub target: String,
    /// The message.
    pub message: Attribute,
    /// The fields.
    pub attributes: BTreeMap<String, Attribute>,
    /// The attributes of the process.
    pub resource: BTreeMap<String, Attribute>,
}

/// A value of any type.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// Yes or no.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
}

impl Attribute {
    /// The number, if it is one.
    pub fn int(&self) -> Option<i64> {
        match self {
            Attribute::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Attribute::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The spans of an `ExportTraceServiceRequest`.
pub fn spans(request: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for of in each(request, 1) {
        let resource = attributes(bytes(of, 1), 1);
        for span in each(of, 2).flat_map(|scope| each(scope, 2)) {
            spans.push(Span {
                trace: bytes(span, 1).to_vec(),
                id: bytes(span, 2).to_vec(),
                parent: bytes(span, 4).to_vec(),
                name: text(span, 5),
                kind: number(span, 6),
                begun: number(span, 7),
                ended: number(span, 8),
                attributes: attributes(span, 9),
                status: number(bytes(span, 15), 3),
                resource: resource.clone(),
            });
        }
    }
    spans
}

/// The lines of an `ExportLogsServiceRequest`.
pub fn lines(request: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    for of in each(request, 1) {
        let resource = attributes(bytes(of, 1), 1);
        for scope in each(of, 2) {
            let target = text(bytes(scope, 1), 1);
            for line in each(scope, 2) {
                lines.push(Line {
                    at: number(line, 1),
                    severity: number(line, 2),
                    level: text(line, 3),
                    target: target.clone(),
                    message: any(bytes(line, 5)),
                    attributes: attributes(line, 6),
                    resource: resource.clone(),
                });
            }
        }
    }
    lines
}

/// The attributes in the fields with a number, none of which has a name twice.
fn attributes(message: &[u8], number: u64) -> BTreeMap<String, Attribute> {
    let mut attributes = BTreeMap::new();
    for pair in each(message, number) {
        let before = attributes.insert(text(pair, 1), any(bytes(pair, 2)));
        assert_eq!(before, None, "an attribute occurs twice");
    }
    attributes
}

/// An `AnyValue`.
fn any(message: &[u8]) -> Attribute {
    match (
        one(message, 1),
        one(message, 2),
        one(message, 3),
        one(message, 4),
    ) {
        (Some(Value::Bytes(_)), None, None, None) => Attribute::Text(text(message, 1)),
        (None, Some(Value::Varint(yes)), None, None) => Attribute::Bool(yes != 0),
        (None, None, Some(Value::Varint(number)), None) => Attribute::Int(number.cast_signed()),
        (None, None, None, Some(Value::Fixed64(bits))) => Attribute::Double(f64::from_bits(bits)),
        other => panic!("{other:?}"),
    }
}
