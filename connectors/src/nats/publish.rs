//! Publishes messages in order with acknowledgments and many in flight.
//!
//! [`Publisher`] keeps every message until the server acknowledges that a
//! stream has stored it. When an acknowledgment does not arrive, it resends
//! that message and *all later ones* in order, so that the last message of a
//! subject is the one that was sent last. Its id makes each message count once.
//! This publisher is for dead letters and replayed input;
//! [`super::LatestPublisher`] publishes cells.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream;
use async_nats::jetstream::context::{Context, PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::connect::connections;
use super::error::{NatsError, NatsErrorKind};
use super::outgoing::OutgoingMessage;
use super::subject;

/// How long an acknowledgment may take.
const ACK_WAIT: Duration = Duration::from_secs(5);
/// How often one message is sent before the caller receives an error.
const TRIES: u32 = 8;
/// The first pause before a retry.
pub(super) const PAUSE: Duration = Duration::from_millis(250);
/// How often a wait for an acknowledgment checks whether it can still arrive.
const LOOK: Duration = Duration::from_millis(200);

/// The error of a server that stores a message in a cluster, for one that
/// replaces another than the last message.
const WRONG_SEQUENCE_IN_CLUSTER: u64 = 10_164;

/// A message that was sent and not acknowledged.
struct Sent {
    message: OutgoingMessage,
    /// The acknowledgment to come; `None` if the message must be resent, or if
    /// there is an `outcome`.
    ack: Option<BoxFuture<'static, Result<PublishAck, PublishError>>>,
    /// What the acknowledgment said, once it has arrived or cannot any more.
    outcome: Option<Result<(), PublishError>>,
    /// How often the client had connected when the message was sent.
    connections: u64,
}

impl Sent {
    /// A message that was dispatched, or that must be resent without a `sent`.
    fn new(message: OutgoingMessage, sent: Option<PublishAckFuture>, connections: u64) -> Sent {
        Sent {
            message,
            ack: sent.map(IntoFuture::into_future),
            outcome: None,
            connections,
        }
    }

    /// Waits until the acknowledgment has arrived or can no longer arrive, which
    /// is the case once the client has connected again. Loses nothing if it is
    /// cancelled.
    async fn settle(&mut self, client: &Client) {
        while let Some(ack) = self.ack.as_mut() {
            let lost = connections(client) != self.connections;
            let outcome = match tokio::time::timeout(LOOK, ack).await {
                Ok(result) => result.map(drop),
                Err(_) if lost => Err(PublishErrorKind::TimedOut.into()),
                Err(_) => continue,
            };
            self.ack = None;
            self.outcome = Some(outcome);
        }
    }
}

/// Awaits the acknowledgment of a message that was sent when the client had
/// connected `connected` times, and returns the sequence of the message. It can
/// no longer arrive once the client has connected again.
pub(super) async fn acknowledged(
    client: &Client,
    ack: PublishAckFuture,
    connected: u64,
) -> Result<u64, PublishError> {
    let mut ack = ack.into_future();
    loop {
        let lost = connections(client) != connected;
        match tokio::time::timeout(LOOK, &mut ack).await {
            Ok(result) => return result.map(|ack| ack.sequence),
            Err(_) if lost => return Err(PublishErrorKind::TimedOut.into()),
            Err(_) => {}
        }
    }
}

/// A JetStream context for `window` messages in flight.
pub(super) fn context(client: &Client, window: usize) -> Context {
    async_nats::jetstream::ContextBuilder::new()
        .timeout(ACK_WAIT)
        .ack_timeout(ACK_WAIT)
        // Acknowledgements that were given up still hold a place of the context's until they time
        // out, so that it has more places than the window.
        .max_ack_inflight(window.saturating_mul(4))
        .backpressure_on_inflight(true)
        .build(client.clone())
}

/// Publishes in order, with a bounded number of messages in flight. Not for
/// cells: a cell that is resent behind its own successor would come last.
pub struct Publisher {
    client: Client,
    jetstream: Context,
    window: usize,
    /// The unacknowledged messages, in the order of their transmission.
    sent: VecDeque<Sent>,
}

impl Publisher {
    /// A publisher with at most `window` messages in flight, at least one.
    pub fn new(client: &Client, window: usize) -> Publisher {
        let window = window.max(1);
        Publisher {
            client: client.clone(),
            jetstream: context(client, window),
            window,
            sent: VecDeque::new(),
        }
    }

    /// The number of unacknowledged messages.
    pub fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// The largest message, headers and payload together, that the server
    /// accepts, bytes.
    pub fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// Sends a message; waits for the oldest acknowledgment if the window is
    /// full.
    ///
    /// # Errors
    /// [`NatsErrorKind::Publish`]. Unless the message is too large, it is kept,
    /// and the next [`Publisher::send`] or [`Publisher::flush`] retries.
    pub async fn send(&mut self, message: OutgoingMessage) -> Result<(), NatsError> {
        while self.sent.len() >= self.window {
            if let Err(error) = self.settle_oldest().await {
                // It is sent with those before it, in its turn.
                self.sent.push_back(Sent::new(message, None, 0));
                return Err(error);
            }
        }
        let connections = connections(&self.client);
        match dispatch(&self.jetstream, &message).await {
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Err(publish_error(&message.subject, error))
            }
            sent => {
                self.sent
                    .push_back(Sent::new(message, sent.ok(), connections));
                Ok(())
            }
        }
    }

    /// Awaits the acknowledgment of every message.
    ///
    /// # Errors
    /// [`NatsErrorKind::Publish`]; unacknowledged messages are kept.
    pub async fn flush(&mut self) -> Result<(), NatsError> {
        while !self.sent.is_empty() {
            self.settle_oldest().await?;
        }
        Ok(())
    }

    /// Waits until [`Publisher::settle_oldest`] has something to do; for ever if
    /// no message is in flight. Loses nothing if it is cancelled, so that a
    /// sender can wait for the time of its next message meanwhile.
    pub async fn oldest_settled(&mut self) {
        match self.sent.front_mut() {
            Some(oldest) => oldest.settle(&self.client).await,
            None => std::future::pending().await,
        }
    }

    /// Whether [`Publisher::oldest_settled`] would return at once.
    pub fn is_oldest_settled(&mut self) -> bool {
        let Some(oldest) = self.sent.front_mut() else {
            return false;
        };
        if let Some(ack) = oldest.ack.as_mut() {
            let Some(result) = ack.now_or_never() else {
                return false;
            };
            oldest.ack = None;
            oldest.outcome = Some(result.map(drop));
        }
        true
    }

    /// Awaits the oldest acknowledgment, and resends everything when it does
    /// not arrive. Afterwards one message less is in flight.
    ///
    /// # Errors
    /// [`NatsErrorKind::Publish`]; unacknowledged messages are kept.
    pub async fn settle_oldest(&mut self) -> Result<(), NatsError> {
        for attempt in 1.. {
            let Some(oldest) = self.sent.front_mut() else {
                break;
            };
            oldest.settle(&self.client).await;
            let acknowledged = oldest.outcome.take();
            if let Some(Ok(())) = acknowledged {
                self.sent.pop_front();
                break;
            }
            if let Some(Err(error)) = acknowledged {
                let hopeless = matches!(error.kind(), PublishErrorKind::Other);
                if hopeless || attempt >= TRIES {
                    return Err(publish_error(&oldest.message.subject, error));
                }
                tracing::warn!(waiting = self.sent.len(), %error, "retrying to publish");
                tokio::time::sleep(PAUSE * attempt).await;
            }
            self.send_all_again(attempt).await?;
        }
        Ok(())
    }

    /// Resends all messages in order; stops at the first failure, because none
    /// may overtake it.
    async fn send_all_again(&mut self, attempt: u32) -> Result<(), NatsError> {
        for sent in &mut self.sent {
            (sent.ack, sent.outcome) = (None, None);
        }
        for sent in &mut self.sent {
            sent.connections = connections(&self.client);
            match dispatch(&self.jetstream, &sent.message).await {
                Ok(ack) => sent.ack = Some(ack.into_future()),
                Err(error) if attempt >= TRIES => {
                    return Err(publish_error(&sent.message.subject, error));
                }
                // Nothing behind it may overtake it.
                Err(_) => break,
            }
        }
        Ok(())
    }
}

/// Sends a message; the acknowledgment arrives later.
pub(super) async fn dispatch(
    jetstream: &Context,
    message: &OutgoingMessage,
) -> Result<PublishAckFuture, PublishError> {
    jetstream
        .publish_with_headers(
            message.subject.clone(),
            message.header_map(),
            message.payload.clone(),
        )
        .await
}

/// Whether the server refused a message because it replaces another one than
/// the last.
pub(super) fn is_wrong_sequence(error: &PublishError) -> bool {
    let source = std::error::Error::source(error);
    let answer = source.and_then(|source| source.downcast_ref::<jetstream::Error>());
    error.kind() == PublishErrorKind::WrongLastSequence
        || answer.is_some_and(|answer| answer.error_code().0 == WRONG_SEQUENCE_IN_CLUSTER)
}

/// The error of a message that could not be published.
pub(super) fn publish_error(subject: &str, error: PublishError) -> NatsError {
    let what = match error.kind() {
        PublishErrorKind::StreamNotFound => {
            let hint = subject::hint(subject);
            format!("no stream captures {subject}, so messages published there are lost{hint}")
        }
        _ => format!("publishing to {subject}"),
    };
    NatsError::caused(NatsErrorKind::Publish, what, error)
}
