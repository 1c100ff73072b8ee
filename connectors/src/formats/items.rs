//! Splits a message into the items of its format.
//!
//! JSON formats have an object a line, or one over several lines. A line of
//! Snowplow's TSV keeps the tabs at its ends, because its first and its last
//! columns are often empty. A message of offline conversions of which no line
//! begins as JSON is a CSV document, whose rows become objects; a row that does
//! not fit its header becomes a list, and is then a line like any other.

use std::borrow::Cow;

use tributary_config::model::Format;

use super::google_offline::document;
use crate::lines::{self, Objects};

/// The items of a message, in order.
#[allow(
    clippy::large_enum_variant,
    reason = "one for each message, on the stack, and never stored"
)]
pub enum Items<'a> {
    /// JSON objects.
    Objects(Objects<'a>),
    /// Lines, without line breaks.
    Lines(std::slice::Split<'a, u8, fn(&u8) -> bool>),
    /// Rows of a CSV document.
    Rows(document::Rows<'a>),
}

/// Splits a message.
pub fn items<'a>(format: &Format, data: &'a [u8]) -> Items<'a> {
    let start = crate::files::strip_bom(data).trim_ascii_start();
    match format {
        Format::Snowplow if !is_one_object(start) => {
            let data = crate::files::strip_bom(data);
            Items::Lines(data.split((|byte: &u8| *byte == b'\n') as fn(&u8) -> bool))
        }
        _ if is_document(format, data) => Items::Rows(document::Rows::new(data)),
        _ => Items::Objects(lines::split(data)),
    }
}

/// Whether data is a document whose rows are the items, and not a line each.
pub fn is_document(format: &Format, data: &[u8]) -> bool {
    let start = crate::files::strip_bom(data).trim_ascii_start();
    let is_json = |line: &[u8]| matches!(line.first(), Some(b'{' | b'['));
    matches!(format, Format::GoogleOffline)
        && !is_json(start)
        && !memchr::memchr_iter(b'\n', start)
            .any(|end| is_json(start.get(end + 1..).unwrap_or_default()))
}

/// What is wrong with a document as a whole, for the sender; `None` if its rows
/// can be read. Such a document is one item, and one dead letter.
pub fn fault(format: &Format, data: &[u8]) -> Option<String> {
    is_document(format, data)
        .then(|| document::fault(data))
        .flatten()
}

/// Whether a message is one JSON object over any number of lines.
fn is_one_object(data: &[u8]) -> bool {
    data.starts_with(b"{") && lines::split(data).single
}

impl<'a> Iterator for Items<'a> {
    type Item = Cow<'a, [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Items::Objects(objects) => objects.next().map(Cow::Borrowed),
            Items::Lines(lines) => lines.find_map(|line| {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let is_json = line.trim_ascii_start().starts_with(b"{");
                let line = if is_json { line.trim_ascii() } else { line };
                (!line.trim_ascii().is_empty()).then_some(Cow::Borrowed(line))
            }),
            Items::Rows(rows) => rows.next().map(Cow::Owned),
        }
    }
}
