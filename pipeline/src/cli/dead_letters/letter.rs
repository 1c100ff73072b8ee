//! A dead letter as read back from the stream or a file.

use serde_json::{Value, json};
use tributary_connectors::dead_letter::{MASKED_HEADER, RESENT_HEADER};
use tributary_connectors::nats::{AT_HEADER, InMessage, SUBJECT_HEADER};
use tributary_connectors::trace::TraceLine;

/// A dead letter.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    /// The sequence in the stream, or the line of the file.
    pub(super) number: u64,
    /// The brand; `unknown` if the message names none that is configured.
    pub(super) brand: String,
    /// The kind; `unknown` as above.
    pub(super) kind: String,
    /// The name of the reason.
    pub(super) reason: String,
    /// The field and the remedy.
    pub(super) detail: String,
    /// The subject of the source, to which it may be sent again.
    pub(super) source_subject: Option<String>,
    /// Whether it was sent again already.
    pub(super) is_resent: bool,
    /// Whether the line was cut because it was longer than a message, or addresses
    /// in it are masked.
    pub(super) is_cut: bool,
    /// The arrival of the message, Unix milliseconds.
    pub(super) at: i64,
    /// The line as received.
    pub(super) payload: Vec<u8>,
}

/// The value of a header.
fn header(headers: &[(String, String)], name: &str) -> Option<String> {
    let mut headers = headers.iter();
    let found = headers.find(|(own, _)| own.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.clone())
}

impl Letter {
    /// A message of the stream of dead letters,
    /// `tributary.deadletter.<brand>.<kind>`.
    pub(super) fn of_message(message: InMessage) -> Letter {
        let arrival = header(&message.headers, AT_HEADER).and_then(|at| at.parse().ok());
        Letter::new(
            message.sequence,
            &message.subject,
            &message.headers,
            arrival.unwrap_or(message.at_ms),
            message.payload.to_vec(),
        )
    }

    /// A line of a file of dead letters, whose subject is that of the message,
    /// `tributary.in.<brand>.<kind>`.
    pub(super) fn of_line(number: u64, line: TraceLine) -> Letter {
        Letter::new(number, &line.subject, &line.headers, line.at, line.data)
    }

    fn new(
        number: u64,
        subject: &str,
        headers: &[(String, String)],
        at: i64,
        payload: Vec<u8>,
    ) -> Letter {
        let mut tokens = subject.split('.').skip(2);
        let mut token = || tokens.next().unwrap_or("unknown").to_owned();
        Letter {
            number,
            brand: token(),
            kind: token(),
            reason: header(headers, "Tributary-Reason").unwrap_or_else(|| "unknown".to_owned()),
            detail: header(headers, "Tributary-Detail").unwrap_or_default(),
            source_subject: header(headers, SUBJECT_HEADER),
            is_resent: header(headers, RESENT_HEADER).is_some(),
            is_cut: header(headers, "Tributary-Bytes").is_some()
                || header(headers, MASKED_HEADER).is_some(),
            at,
            payload,
        }
    }

    /// The payload as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// The letter as JSON, with its payload as shown.
    pub(super) fn json(&self, payload: &str) -> Value {
        json!({
            "number": self.number,
            "at": self.at,
            "brand": self.brand,
            "kind": self.kind,
            "reason": self.reason,
            "detail": self.detail,
            "source_subject": self.source_subject,
            "resent": self.is_resent,
            "payload": payload,
        })
    }
}
