//! Turns a body into messages: NDJSON of at most 512 KiB each, in the order of
//! the body.
//!
//! | media type | a line is |
//! |---|---|
//! | `application/json` | the object, or an element of the array |
//! | `application/x-ndjson` | a line |
//! | `text/csv` | a row, as the source maps it |
//! | `text/tab-separated-values` | a line of Snowplow |
//! | `application/cloudevents+json` | the event; a message of its own |
//! | `application/cloudevents-batch+json` | an event; messages are shorter batches |
//!
//! No record is judged here: a line that is no record becomes a dead letter.
//! JSON is parsed whole before any message exists, so that a body that is cut
//! off is refused whole.

use bytes::Bytes;
use serde_json::value::RawValue;
use tributary_config::model::{Brand, Format, Source};
use tributary_connectors::csv;
use tributary_connectors::files::strip_bom;
use tributary_connectors::formats::{self, json::Json};

use super::reply::Rejection;

/// Maximum size of a message of several lines, bytes.
const MESSAGE: usize = 512 << 10;

/// What a body contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// One JSON object, or an array of them.
    Json,
    /// An object per line.
    Ndjson,
    /// CSV with a header.
    Csv,
    /// Lines of Snowplow.
    Tsv,
    /// One CloudEvent.
    CloudEvent,
    /// An array of CloudEvents.
    CloudEvents,
}

impl Media {
    /// The media type of a `Content-Type`; `None` for any other. Parameters such
    /// as the character set do not matter: JSON is UTF-8, and a CSV source states
    /// its encoding.
    pub(super) fn of(content_type: &str) -> Option<Media> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        Some(match essence.to_ascii_lowercase().as_str() {
            "application/json" | "text/json" => Media::Json,
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Media::Ndjson,
            "text/csv" | "application/csv" => Media::Csv,
            "text/tab-separated-values" => Media::Tsv,
            "application/cloudevents" | "application/cloudevents+json" => Media::CloudEvent,
            "application/cloudevents-batch" | "application/cloudevents-batch+json" => {
                Media::CloudEvents
            }
            _ => return None,
        })
    }

    /// The `Content-Type` that its messages need.
    pub(super) fn header(self) -> Option<&'static str> {
        match self {
            Media::CloudEvent => Some("application/cloudevents+json"),
            Media::CloudEvents => Some("application/cloudevents-batch+json"),
            _ => None,
        }
    }
}

/// The messages of a body.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The payloads, in order.
    pub(super) payloads: Vec<Bytes>,
    /// The number of lines in them.
    pub(super) lines: usize,
    /// The rows that the filter of the source left out.
    pub(super) left_out: u64,
    /// The message that lines are added to.
    current: Vec<u8>,
    /// The largest payload that the broker takes, bytes.
    max: usize,
}

impl Messages {
    /// No messages yet; the broker takes payloads of at most `max` bytes.
    pub(super) fn new(max: usize) -> Messages {
        Messages {
            max,
            ..Messages::default()
        }
    }

    /// Adds a line without line breaks.
    ///
    /// # Errors
    /// 413 for a line that does not fit into a message.
    pub(super) fn push(&mut self, line: &[u8]) -> Result<(), Rejection> {
        self.lines += 1;
        if line.len() > self.max {
            return Err(self.too_long(line.len()));
        }
        if !self.current.is_empty() && self.current.len() + 1 + line.len() > MESSAGE.min(self.max) {
            self.end_message();
        }
        if !self.current.is_empty() {
            self.current.push(b'\n');
        }
        self.current.extend_from_slice(line);
        Ok(())
    }

    /// Adds a JSON value, whose line breaks can only lie between its parts.
    fn push_json(&mut self, value: &str) -> Result<(), Rejection> {
        match value.contains(['\n', '\r']) {
            false => self.push(value.as_bytes()),
            true => self.push(value.replace(['\n', '\r'], " ").as_bytes()),
        }
    }

    /// Ends the current message.
    fn end_message(&mut self) {
        if !self.current.is_empty() {
            let payload = std::mem::take(&mut self.current);
            self.payloads.push(payload.into());
        }
    }

    /// The messages, complete.
    pub(super) fn complete(mut self) -> Messages {
        self.end_message();
        self
    }

    /// 413 for the line that was pushed last.
    fn too_long(&self, length: usize) -> Rejection {
        Rejection::too_large(format!(
            "line {} has {length} bytes; the broker takes {} in a message (max_payload of nats-server)",
            self.lines, self.max
        ))
    }
}

/// The messages of a body for a source.
///
/// # Errors
/// 400 for JSON that is not valid, 413 for a line that does not fit into a
/// message, 415 for a media type that the source does not read.
pub(super) fn split(
    media: Media,
    data: &Bytes,
    source: (&Brand, &Source),
    max: usize,
) -> Result<Messages, Rejection> {
    let mut messages = Messages::new(max);
    match (media, &source.1.format) {
        (Media::Json, format) => json(data, format, &mut messages)?,
        (Media::Ndjson, _) => {
            let data = strip_bom(data);
            let lines = data.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            for line in lines.filter(|line| !line.is_empty()) {
                messages.push(line)?;
            }
        }
        (Media::Tsv, Format::Snowplow) => {
            for line in formats::items(&source.1.format, data) {
                messages.push(&line)?;
            }
        }
        (Media::Csv, Format::GoogleOffline) => {
            if let Some(fault) = formats::fault(&source.1.format, data) {
                return Err(Rejection::malformed(fault));
            }
            for row in formats::items(&source.1.format, data) {
                messages.push(&row)?;
            }
        }
        (Media::Csv, Format::Csv(_)) => {
            let rows = csv::of_bytes("the body", data.clone(), source.0, source.1);
            let mut rows = rows.map_err(|error| Rejection::malformed(format!("{error}")))?;
            for row in rows.by_ref() {
                let row = row.map_err(|error| Rejection::malformed(format!("{error}")))?;
                messages.push(&row.data)?;
            }
            messages.left_out = rows.left_out();
        }
        (Media::CloudEvent, _) => {
            let event = parse(data)?;
            if !event.get().starts_with('{') {
                return Err(Rejection::malformed("a CloudEvent is a JSON object"));
            }
            messages.push_json(event.get())?;
        }
        (Media::CloudEvents, _) => batches(data, &mut messages)?,
        (Media::Csv | Media::Tsv, format) => {
            return Err(Rejection::unsupported(format!(
                "the source has the format {}: send application/json or application/x-ndjson",
                format.name()
            )));
        }
    }
    let messages = messages.complete();
    match data.trim_ascii().is_empty() {
        true => Err(Rejection::malformed(
            "the body is empty: send at least one record",
        )),
        false => Ok(messages),
    }
}

/// A JSON value that is complete, as text.
fn parse(data: &[u8]) -> Result<&RawValue, Rejection> {
    serde_json::from_slice(strip_bom(data)).map_err(|error| invalid(&error))
}

/// 400 for JSON that is not valid. The error of the parser repeats no text.
fn invalid(error: &serde_json::Error) -> Rejection {
    Rejection::malformed(format!("the body is not valid JSON: {error}"))
}

/// Adds an object, or the elements of an array.
fn json(data: &[u8], format: &Format, messages: &mut Messages) -> Result<(), Rejection> {
    let value = parse(data)?.get();
    if value.starts_with('{') {
        return match value.len() > MESSAGE.min(messages.max) {
            true => object_in_parts(value, format, messages),
            false => messages.push_json(value),
        };
    }
    if !value.starts_with('[') {
        return Err(Rejection::malformed(
            "the body must be a JSON object or an array of objects",
        ));
    }
    let elements: Vec<&RawValue> = serde_json::from_str(value).map_err(|error| invalid(&error))?;
    for element in elements {
        messages.push_json(element.get())?;
    }
    Ok(())
}

/// Adds an object that is larger than a message: one with a list of items is
/// several objects with a part of the list each.
pub(super) fn object_in_parts(
    value: &str,
    format: &Format,
    messages: &mut Messages,
) -> Result<(), Rejection> {
    let framed = formats::list_path(format).and_then(|path| frame(Json::of(value), path));
    let Some(Frame { head, list, tail }) = framed else {
        return messages.push_json(value);
    };
    let room = MESSAGE.min(messages.max);
    let room = room.saturating_sub(head.len() + tail.len());
    let mut part = String::new();
    for item in list {
        let item = item.raw();
        if !part.is_empty() && part.len() + 1 + item.len() > room {
            messages.push_json(&format!("{head}{part}{tail}"))?;
            part.clear();
        }
        if !part.is_empty() {
            part.push(',');
        }
        part.push_str(item);
    }
    messages.push_json(&format!("{head}{part}{tail}"))
}

/// A list in an object, and the text of the object before and after its elements.
struct Frame<'a> {
    head: String,
    list: Vec<Json<'a>>,
    tail: String,
}

/// The list of an object to which some keys lead; `None` if there is none.
fn frame<'a>(value: Json<'a>, path: &[&str]) -> Option<Frame<'a>> {
    let Some((key, rest)) = path.split_first() else {
        return Some(Frame {
            head: String::from("["),
            list: value.list()?,
            tail: String::from("]"),
        });
    };
    let object = value.is_object().then(|| value.object()).flatten()?;
    let Frame { head, list, tail } = frame(object.get(key), rest)?;
    let others = object.members().filter(|(name, _)| name != key);
    let others: String = others
        .map(|(name, value)| format!("{}:{},", quoted(name), value.raw()))
        .collect();
    Some(Frame {
        head: format!("{{{others}{}:{head}", quoted(key)),
        list,
        tail: format!("{tail}}}"),
    })
}

/// Text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Adds a batch of CloudEvents as batches that fit into a message.
fn batches(data: &[u8], messages: &mut Messages) -> Result<(), Rejection> {
    let events: Vec<&RawValue> =
        serde_json::from_slice(strip_bom(data)).map_err(|error| invalid(&error))?;
    let room = MESSAGE.min(messages.max);
    let mut part = Vec::new();
    for event in events {
        let event = event.get().as_bytes();
        messages.lines += 1;
        if event.len() + 2 > messages.max {
            return Err(messages.too_long(event.len()));
        }
        if !part.is_empty() && part.len() + 2 + event.len() > room {
            part.push(b']');
            messages.payloads.push(std::mem::take(&mut part).into());
        }
        part.push(if part.is_empty() { b'[' } else { b',' });
        part.extend_from_slice(event);
    }
    if !part.is_empty() {
        part.push(b']');
        messages.payloads.push(part.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
