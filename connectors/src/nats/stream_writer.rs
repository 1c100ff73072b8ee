//! Stores the messages of one request in a stream, or says that it did not.
//!
//! Unlike [`super::Publisher`], which retries until the broker is back,
//! [`StreamWriter`] has a deadline, because somebody waits for its answer: `Ok`
//! means that the stream has acknowledged *every* message, and after an error
//! the whole request may be sent again. The id of each message makes that
//! repetition count once, as long as the stream remembers ids.
//!
//! An id is chosen by whoever sends the request, who may use it twice for
//! different contents. The stream would then acknowledge a message that it does
//! not store. The writer therefore compares what the stream reports as a
//! duplicate with what is stored under its sequence.

use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::context::{Context, PublishError, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::RawMessageErrorKind;
use tokio::time::{Instant, timeout, timeout_at};

use super::connect::connections;
use super::outgoing::OutgoingMessage;
use super::publish::{PAUSE, context, dispatch, publish_error};

/// How often a wait for an acknowledgment checks whether it can still arrive.
const LOOK: Duration = Duration::from_millis(50);

/// Why messages are not known to be stored. Any of them may be.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The broker is not connected, has no stream for the subject yet, or has
    /// not acknowledged in time.
    #[error("the broker is not connected, or did not acknowledge in time")]
    Unavailable,
    /// The broker refuses the messages: the stream is full, or a message is too
    /// large.
    #[error("the broker refuses the messages: {0}")]
    Refused(#[from] super::NatsError),
    /// The stream holds another message under the id of one of these.
    #[error("the id of a message is that of another message in the stream")]
    IdReused,
}

/// Stores messages of requests in the streams of their subjects. Clones share the connection.
#[derive(Clone)]
pub struct StreamWriter {
    client: Client,
    jetstream: Context,
}

impl StreamWriter {
    /// A writer to the streams that capture the subjects of messages, with at most
    /// `window` messages of all requests in flight.
    pub fn new(client: &Client, window: usize) -> StreamWriter {
        StreamWriter {
            client: client.clone(),
            jetstream: context(client, window.max(1)),
        }
    }

    /// Whether there is a connection to the broker now.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// The largest message, headers and payload together, that the server
    /// accepts, bytes.
    pub fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// Publishes messages in order and awaits the acknowledgment of each, at
    /// most for `within`. What was lost with a connection is published again
    /// after the next one. Without an id of their own, messages that were lost
    /// may be stored twice.
    ///
    /// # Errors
    /// [`StoreError`]; any of the messages may be stored.
    pub async fn store(
        &self,
        messages: &[OutgoingMessage],
        within: Duration,
    ) -> Result<(), StoreError> {
        let deadline = Instant::now() + within;
        let mut missing: Vec<&OutgoingMessage> = messages.iter().collect();
        loop {
            missing = match timeout_at(deadline, self.publish(&missing)).await {
                Ok(result) => result?,
                Err(_) => return Err(StoreError::Unavailable),
            };
            if missing.is_empty() {
                return Ok(());
            }
            if timeout_at(deadline, tokio::time::sleep(PAUSE))
                .await
                .is_err()
            {
                return Err(StoreError::Unavailable);
            }
        }
    }

    /// Publishes messages once. Returns those that were not acknowledged and may
    /// be published again.
    async fn publish<'m>(
        &self,
        messages: &[&'m OutgoingMessage],
    ) -> Result<Vec<&'m OutgoingMessage>, StoreError> {
        if !self.is_connected() {
            return Ok(messages.to_vec());
        }
        let connected = connections(&self.client);
        let mut sent = Vec::with_capacity(messages.len());
        let mut missing = Vec::new();
        for message in messages {
            match dispatch(&self.jetstream, message).await {
                Ok(ack) => sent.push((*message, ack)),
                Err(error) => {
                    Self::check(message, error)?;
                    missing.push(*message);
                }
            }
        }
        for (message, ack) in sent {
            let mut ack = ack.into_future();
            let acknowledged = loop {
                let is_lost = !self.is_connected() || connections(&self.client) != connected;
                match timeout(LOOK, &mut ack).await {
                    Ok(result) => break result,
                    Err(_) if is_lost => break Err(PublishErrorKind::TimedOut.into()),
                    Err(_) => {}
                }
            };
            match acknowledged {
                Ok(ack) if ack.duplicate => self.compare(message, &ack).await?,
                Ok(_) => {}
                Err(error) => {
                    Self::check(message, error)?;
                    missing.push(message);
                }
            }
        }
        Ok(missing)
    }

    /// Returns if a message may be published again after an error.
    ///
    /// # Errors
    /// What the broker refuses would be refused again.
    fn check(message: &OutgoingMessage, error: PublishError) -> Result<(), StoreError> {
        match error.kind() {
            // A server that restarts accepts connections before it has restored its streams.
            PublishErrorKind::StreamNotFound
            | PublishErrorKind::TimedOut
            | PublishErrorKind::BrokenPipe
            | PublishErrorKind::MaxAckPending => Ok(()),
            _ => Err(publish_error(&message.subject, error).into()),
        }
    }

    /// Compares a message with the one that the stream holds under its id. What
    /// was deleted meanwhile cannot be compared, and was stored.
    async fn compare(&self, message: &OutgoingMessage, ack: &PublishAck) -> Result<(), StoreError> {
        let stream = self.jetstream.get_stream_no_info(&ack.stream).await;
        let stream = stream.map_err(|_| StoreError::Unavailable)?;
        match stream.get_raw_message(ack.sequence).await {
            Ok(stored) => {
                let is_same =
                    stored.subject.as_str() == message.subject && stored.payload == message.payload;
                is_same.then_some(()).ok_or(StoreError::IdReused)
            }
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(()),
            Err(_) => Err(StoreError::Unavailable),
        }
    }
}
