//! Publishing with acknowledgements, many in flight, in order.
//!
//! [`Publisher`] keeps every message until the server has acknowledged that a stream holds it. When
//! an acknowledgement stays away, it sends that message and *all later ones* again, in order: what
//! one subject holds last is then what was sent last. That is what cells need, being absolute
//! values; they carry no message id, because a server that passes over the second of two sendings
//! would keep the older value. Messages of which each must count once (dead letters, replayed
//! input) carry one.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream::context::{Context, PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::{Client, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use tributary_operators::cell::{Cell, Dim};

use super::connect::connections;
use super::error::{NatsError, NatsErrorKind};
use super::subject;
use crate::dead::DeadLetter;
use crate::out;

/// How long an acknowledgement may take.
const ACK_WAIT: Duration = Duration::from_secs(5);
/// How often one message is sent before the caller hears of it.
const TRIES: u32 = 8;
const PAUSE: Duration = Duration::from_millis(250);
/// How often a wait for an acknowledgement looks whether it can still come.
const LOOK: Duration = Duration::from_millis(200);

/// One message to publish.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where to.
    pub subject: String,
    /// Its headers. Line breaks in values become spaces; a name that cannot be one is left out.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Its bytes.
    pub payload: Bytes,
    /// What makes two sendings one message, within the stream's duplicate window.
    pub id: Option<String>,
}

impl Outgoing {
    /// The message of a cell as it is after `epoch`: its subject is its own, see [`subject::cell`],
    /// its payload that of [`cell_payload`]. A cell without values is closed: a tombstone.
    pub fn cell(cell: &Cell, epoch: u64, as_of_ms: i64) -> Outgoing {
        let json = out::cell_json(cell);
        let brand = match cell.dims.first() {
            Some(Dim::Text(brand)) => brand.as_ref(),
            _ => "",
        };
        let value = (!cell.values.is_empty()).then(|| out::value_json(cell));
        Outgoing {
            subject: subject::cell(brand, cell.family, &json),
            headers: Vec::new(),
            payload: cell_payload(&json, value.as_deref(), epoch, as_of_ms).into(),
            id: None,
        }
    }

    /// The message of a dead letter: the line as it came, and why it was refused in the headers
    /// `Tributary-Reason` (from the closed list), `Tributary-Detail`, `Tributary-Sequence`,
    /// `Tributary-Line` and [`super::AT_HEADER`]. A line that would be larger than `max_payload`
    /// with its headers is cut, and `Tributary-Bytes` tells how long it was.
    pub fn dead_letter(letter: DeadLetter, max_payload: usize) -> Outgoing {
        let mut headers: Vec<(Cow<'static, str>, String)> = vec![
            ("Tributary-Reason".into(), letter.reason.name().to_owned()),
            ("Tributary-Detail".into(), letter.detail),
            (
                "Tributary-Sequence".into(),
                letter.arrival.message.to_string(),
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
        Outgoing {
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

struct Sent {
    message: Outgoing,
    /// None when it has to be sent again.
    ack: Option<PublishAckFuture>,
    /// How often the client had connected when it was sent.
    connections: u64,
}

impl Sent {
    /// Waits for the acknowledgement. It cannot come any more when the client has connected anew
    /// since.
    async fn acknowledged(&mut self, client: &Client) -> Option<Result<(), PublishError>> {
        let mut ack = self.ack.take()?.into_future();
        loop {
            let lost = connections(client) != self.connections;
            match tokio::time::timeout(LOOK, &mut ack).await {
                Ok(result) => return Some(result.map(drop)),
                Err(_) if lost => return Some(Err(PublishErrorKind::TimedOut.into())),
                Err(_) => {}
            }
        }
    }
}

/// Publishes in order, with a bounded number of messages in flight.
pub struct Publisher {
    client: Client,
    jetstream: Context,
    window: usize,
    sent: VecDeque<Sent>,
}

impl Publisher {
    /// A publisher with at most `window` messages in flight.
    pub fn new(client: &Client, window: usize) -> Publisher {
        let window = window.max(1);
        Publisher {
            client: client.clone(),
            // Acknowledgements that were given up still hold a place of the context's until they
            // time out, so that it has more places than the window.
            jetstream: async_nats::jetstream::ContextBuilder::new()
                .timeout(ACK_WAIT)
                .ack_timeout(ACK_WAIT)
                .max_ack_inflight(window.saturating_mul(4))
                .backpressure_on_inflight(true)
                .build(client.clone()),
            window,
            sent: VecDeque::new(),
        }
    }

    /// How many messages are not acknowledged yet.
    pub fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// The largest message (headers and payload) that the server takes, bytes.
    pub fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// Sends a message; waits for the oldest acknowledgement when the window is full.
    ///
    /// # Errors
    /// [`NatsErrorKind::Publish`]. Unless the error says that the message is too large, the message
    /// is kept, and the next [`Publisher::send`] or [`Publisher::flush`] tries again.
    pub async fn send(&mut self, message: Outgoing) -> Result<(), NatsError> {
        while self.sent.len() >= self.window {
            self.settle_oldest().await?;
        }
        let connections = connections(&self.client);
        match dispatch(&self.jetstream, &message).await {
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Err(failed(&message.subject, error))
            }
            sent => {
                self.sent.push_back(Sent {
                    message,
                    ack: sent.ok(),
                    connections,
                });
                Ok(())
            }
        }
    }

    /// Waits until the server has acknowledged everything.
    ///
    /// # Errors
    /// [`NatsErrorKind::Publish`]; what is not acknowledged is kept.
    pub async fn flush(&mut self) -> Result<(), NatsError> {
        while !self.sent.is_empty() {
            self.settle_oldest().await?;
        }
        Ok(())
    }

    async fn settle_oldest(&mut self) -> Result<(), NatsError> {
        for attempt in 1.. {
            let Some(oldest) = self.sent.front_mut() else {
                break;
            };
            let acknowledged = oldest.acknowledged(&self.client).await;
            if let Some(Ok(())) = acknowledged {
                self.sent.pop_front();
                break;
            }
            if let Some(Err(error)) = acknowledged {
                let hopeless = matches!(error.kind(), PublishErrorKind::Other);
                if hopeless || attempt >= TRIES {
                    return Err(failed(&oldest.message.subject, error));
                }
                tracing::warn!(waiting = self.sent.len(), %error, "publishing again");
                tokio::time::sleep(PAUSE * attempt).await;
            }
            self.send_all_again(attempt).await?;
        }
        Ok(())
    }

    async fn send_all_again(&mut self, attempt: u32) -> Result<(), NatsError> {
        for sent in &mut self.sent {
            sent.ack = None;
        }
        for sent in &mut self.sent {
            sent.connections = connections(&self.client);
            match dispatch(&self.jetstream, &sent.message).await {
                Ok(ack) => sent.ack = Some(ack),
                Err(error) if attempt >= TRIES => {
                    return Err(failed(&sent.message.subject, error));
                }
                // Nothing behind it may overtake it.
                Err(_) => break,
            }
        }
        Ok(())
    }
}

async fn dispatch(
    jetstream: &Context,
    message: &Outgoing,
) -> Result<PublishAckFuture, PublishError> {
    jetstream
        .publish_with_headers(
            message.subject.clone(),
            message.header_map(),
            message.payload.clone(),
        )
        .await
}

fn failed(subject: &str, error: PublishError) -> NatsError {
    let what = match error.kind() {
        PublishErrorKind::StreamNotFound => {
            format!("no stream captures {subject}, so that nothing published there is kept")
        }
        _ => format!("publishing to {subject}"),
    };
    NatsError::caused(NatsErrorKind::Publish, what, error)
}
