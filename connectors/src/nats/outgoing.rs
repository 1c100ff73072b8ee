//! Outgoing messages: cells and dead letters with their subjects, headers and
//! ids.
//!
//! An id makes two transmissions of one message count once within the stream's
//! duplicate window (`Nats-Msg-Id`).

use std::borrow::Cow;

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use tributary_operators::cell::{Cell, Dim};
use tributary_operators::cells::Standing;

use super::message::{InMessage, STANDING_HEADER, sequence_of};
use super::subject;
use crate::dead_letter::{DeadLetter, RESENT_HEADER};
use crate::out;
use crate::rights_request::RightsRequest;

/// The header of a dead letter with the subject of its source. It names what is
/// configured, and nothing that a sender chose.
pub const SUBJECT_HEADER: &str = "Tributary-Subject";

/// One message to publish.
#[derive(Clone, Debug)]
pub struct OutgoingMessage {
    /// The subject.
    pub subject: String,
    /// The headers. Line breaks in values become spaces; a header with an
    /// invalid name is omitted.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The payload.
    pub payload: Bytes,
    /// The id by which the stream recognizes duplicates.
    pub id: Option<String>,
}

impl OutgoingMessage {
    /// The message of a cell after `epoch`, for [`super::LatestPublisher`]; a
    /// cell without values is a tombstone.
    ///
    /// | header | value |
    /// |---|---|
    /// | `Tributary-Standing` | the thresholds under which it was published and what it counts, or why it is closed: [`Standing`] |
    ///
    /// Its subject is the cell's own ([`subject::cell`]), its payload that of
    /// [`cell_payload`]. Its id consists of the subject, the epoch and the
    /// time, so that no other message has it, neither of another process nor
    /// after a clock was set back.
    pub fn cell(cell: &Cell, epoch: u64, as_of_ms: i64, standing: Standing) -> OutgoingMessage {
        let json = out::cell_json(cell);
        let brand = match cell.dims.first() {
            Some(Dim::Text(brand)) => brand.as_ref(),
            _ => "",
        };
        let value = (!cell.values.is_empty()).then(|| out::value_json(cell));
        let subject = subject::cell(brand, cell.family, &json);
        OutgoingMessage {
            id: Some(format!("{subject}-{epoch}-{as_of_ms}")),
            headers: vec![(STANDING_HEADER.into(), standing.to_string())],
            payload: cell_payload(&json, value.as_deref(), epoch, as_of_ms).into(),
            subject,
        }
    }

    /// A message of the output stream once more, as it is. Its id is of the one that it replaces.
    pub fn again(message: &InMessage) -> OutgoingMessage {
        let headers = message.headers.iter();
        // The client and the broker write their own.
        let own = headers.filter(|(name, _)| !name.to_ascii_lowercase().starts_with("nats-"));
        OutgoingMessage {
            subject: message.subject.to_string(),
            headers: own
                .map(|(name, value)| (name.clone().into(), value.clone()))
                .collect(),
            payload: message.payload.clone(),
            id: Some(format!("{}-again-{}", message.subject, message.sequence)),
        }
    }

    /// The message of a dead letter: the line as received, and the reason in
    /// the headers.
    ///
    /// A line that would exceed `max_payload` bytes together with its headers
    /// is cut, and `Tributary-Bytes` states its length.
    /// | header | value |
    /// |---|---|
    /// | `Tributary-Reason` | the name of the [`Reason`](crate::dead_letter::Reason) |
    /// | `Tributary-Detail` | the field and the remedy |
    /// | `Tributary-Sequence` | the sequence of the message in the stream that it was read from |
    /// | `Tributary-Line` | the position of the line in the message, from 0 |
    /// | `Tributary-At` | the arrival, Unix milliseconds |
    /// | `Tributary-Subject` | the subject of the source, if the line has one |
    /// | `Tributary-Resent` | present if the line was sent again already |
    /// | `Tributary-Masked` | present if the worker masked MAC addresses in the line |
    /// | `Tributary-Bytes` | the length of the line, if it was cut |
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
        if let Some(subject) = letter.source_subject {
            headers.push((SUBJECT_HEADER.into(), subject));
        }
        if letter.is_resent {
            headers.push((RESENT_HEADER.into(), "1".to_owned()));
        }
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

    /// The message of a rights request that a vendor passed on to a brand. A
    /// request that is passed on twice is one, by its id.
    pub fn rights_request(brand: &str, request: &RightsRequest) -> OutgoingMessage {
        OutgoingMessage {
            subject: subject::rights_requests(brand),
            headers: Vec::new(),
            payload: request.message(brand).into(),
            id: Some(format!("rights-{brand}-{}", request.id)),
        }
    }

    /// The headers for the client, including the message id.
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

/// The payload of a cell's message. A cell without a value is a tombstone,
/// `"value":null`.
///
/// ```
/// use tributary_connectors::nats::cell_payload;
///
/// assert_eq!(
///     cell_payload(r#"{"brand":"acme"}"#, Some(r#"{"visits":52}"#), 7, 1_700_000_000_000),
///     r#"{"cell":{"brand":"acme"},"value":{"visits":52},"epoch":7,"as_of":"2023-11-14T22:13:20Z"}"#
/// );
/// ```
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
