//! Outgoing messages: cells and dead letters with their subjects, headers and ids.

use std::borrow::Cow;

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use tributary_operators::cell::{Cell, Dim};

use super::message::sequence_of;
use super::subject;
use crate::dead_letter::DeadLetter;
use crate::out;

/// One message to publish.
#[derive(Clone, Debug)]
pub struct OutgoingMessage {
    /// Where to.
    pub subject: String,
    /// Its headers. Line breaks in values become spaces; a name that cannot be one is left out.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Its bytes.
    pub payload: Bytes,
    /// What makes two sendings one message, within the stream's duplicate window.
    pub id: Option<String>,
}

impl OutgoingMessage {
    /// The message of a cell as it is after `epoch`, for [`super::LatestPublisher`]: its subject is its own,
    /// see [`subject::cell`], its payload that of [`cell_payload`], its id the subject, the
    /// epoch and the time, so that no other message has it, of another process or after a clock was
    /// set back either. A cell without values is closed: a tombstone.
    pub fn cell(cell: &Cell, epoch: u64, as_of_ms: i64) -> OutgoingMessage {
        let json = out::cell_json(cell);
        let brand = match cell.dims.first() {
            Some(Dim::Text(brand)) => brand.as_ref(),
            _ => "",
        };
        let value = (!cell.values.is_empty()).then(|| out::value_json(cell));
        let subject = subject::cell(brand, cell.family, &json);
        OutgoingMessage {
            id: Some(format!("{subject}-{epoch}-{as_of_ms}")),
            headers: Vec::new(),
            payload: cell_payload(&json, value.as_deref(), epoch, as_of_ms).into(),
            subject,
        }
    }

    /// The message of a dead letter: the line as it came, and why it was refused in the headers
    /// `Tributary-Reason` (from the closed list), `Tributary-Detail`, `Tributary-Sequence`,
    /// `Tributary-Line` and [`super::AT_HEADER`]. A line that would be larger than `max_payload`
    /// with its headers is cut, and `Tributary-Bytes` tells how long it was.
    pub fn dead_letter(letter: DeadLetter, max_payload: usize) -> OutgoingMessage {
        let mut headers: Vec<(Cow<'static, str>, String)> = vec![
            ("Tributary-Reason".into(), letter.reason.name().to_owned()),
            ("Tributary-Detail".into(), letter.detail),
            (
                "Tributary-Sequence".into(),
                sequence_of(letter.arrival.message).to_string(),
            ),
            ("Tributary-Line".into(), letter.arrival.line.to_string()),
            (super::AT_HEADER.into(), letter.at.to_string()),
        ];
        let id = format!("dead-{}-{}", letter.arrival.message, letter.arrival.line);
        // Four bytes go with every header; the rest is for the two that are not in the list, and
        // the status line.
        let written: usize = headers.iter().map(|(n, v)| n.len() + v.len() + 4).sum();
        let room = max_payload.saturating_sub(written + id.len() + 128);
        let mut payload = letter.payload;
        if payload.len() > room {
            headers.push(("Tributary-Bytes".into(), payload.len().to_string()));
            payload.truncate(room);
        }
        OutgoingMessage {
            subject: subject::dead_letter(letter.brand.as_deref(), letter.kind.as_deref()),
            headers,
            payload: payload.into(),
            id: Some(id),
        }
    }

    /// The headers as the client takes them, the message id among them.
    pub fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        let id = self.id.as_deref().map(|id| ("Nats-Msg-Id", id));
        let own = self.headers.iter();
        let own = own.map(|(name, value)| (name.as_ref(), value.as_str()));
        for (name, value) in own.chain(id) {
            let value = value.replace(['\r', '\n'], " ");
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
            {
                map.append(name, value);
            }
        }
        map
    }
}

/// The payload of a cell's message: `{"cell":…,"value":…,"epoch":n,"as_of":"RFC 3339"}`. A cell
/// without a value is closed: a tombstone, `"value":null`.
pub fn cell_payload(
    cell_json: &str,
    value_json: Option<&str>,
    epoch: u64,
    as_of_ms: i64,
) -> String {
    let value = value_json.unwrap_or("null");
    let as_of = jiff::Timestamp::from_millisecond(as_of_ms).unwrap_or_default();
    format!(r#"{{"cell":{cell_json},"value":{value},"epoch":{epoch},"as_of":"{as_of}"}}"#)
}
