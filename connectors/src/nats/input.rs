//! Reading the input stream, in order, from a sequence that the caller names.
//!
//! The consumer is ordered and acknowledges nothing: it notices a gap in what the server delivers
//! and starts again behind the last message it had. [`Input`] adds what that leaves open. A
//! consumer that is made anew before its first message would begin at the stream's beginning, so
//! that messages below the position are passed over; and a consumer that ends for any other reason
//! is opened again at the position. Whatever happens, sequences only ever ascend, and none that the
//! stream still holds is left out. Gaps in the sequences are normal: those messages have been
//! deleted.
//!
//! There is no flow control but the caller's: the client asks for more only while it is read from,
//! so that a caller who stops reading stops the flow after at most some hundred messages.

use std::pin::Pin;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use async_nats::{Client, Subject};
use bytes::Bytes;
use futures::StreamExt;
use tokio::time::Instant;

use super::connect::connections;
use super::error::{NatsError, NatsErrorKind};
use super::streams::stream_state;

/// A header with the arrival time in Unix milliseconds, which replaces the stream's own time stamp:
/// a replayed trace keeps its clock by it.
pub const AT_HEADER: &str = "Tributary-At";

/// How many messages the client asks for at once. With the server's largest payload of 1 MiB this
/// bounds what waits in memory to a few hundred MiB, and it is enough to keep small messages
/// flowing.
const PULL: i64 = 256;

/// How often a waiting reader looks whether the connection is still the one that it reads from.
const LOOK: Duration = Duration::from_millis(200);

/// One message of the input stream.
#[derive(Clone, Debug)]
pub struct InMessage {
    /// `tributary.in.<brand>.<kind>`.
    pub subject: Subject,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// When it arrived, Unix milliseconds: [`AT_HEADER`] where it holds an integer, else the
    /// stream's time stamp.
    pub at_ms: i64,
    /// Its headers, sorted by name, the values of one name in their order.
    pub headers: Vec<(String, String)>,
    /// Its bytes.
    pub payload: Bytes,
}

/// A reader of one stream.
pub struct Input {
    client: Client,
    stream: String,
    messages: Option<Pin<Box<Ordered>>>,
    /// How often the client had connected when `messages` was opened.
    connections: u64,
    /// The sequence of the next message that the caller has not seen.
    next: u64,
    pending: u64,
    skipped: u64,
}

impl Input {
    /// Opens a stream for reading from `start_sequence` on (0 and 1 both mean its beginning).
    ///
    /// # Errors
    /// [`NatsErrorKind::Stream`] where there is no such stream, [`NatsErrorKind::StreamReset`]
    /// where the stream has never given the sequence before `start_sequence`, so that it cannot be
    /// the one that was read before, else what [`stream_state`] says.
    pub async fn open(
        client: &Client,
        stream: &str,
        start_sequence: u64,
    ) -> Result<Input, NatsError> {
        let mut input = Input {
            client: client.clone(),
            stream: stream.to_owned(),
            messages: None,
            connections: 0,
            next: start_sequence.max(1),
            pending: 0,
            skipped: 0,
        };
        let state = stream_state(client, stream).await?;
        input.skipped = state.first_sequence.saturating_sub(input.next);
        input.reopen().await?;
        Ok(input)
    }

    /// The next messages in order, at most `max` (at least one). Waits up to `wait` for the first
    /// and takes besides only what has come already; empty when nothing came.
    ///
    /// # Errors
    /// [`NatsErrorKind::Read`] and `Unreachable` after a failure, once `wait` has passed: calling
    /// again goes on where it stopped. `StreamReset` and `Stream` when the stream was made anew or
    /// is gone.
    pub async fn next_batch(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<InMessage>, NatsError> {
        let deadline = Instant::now() + wait;
        // The scheduler's own budget would make a full buffer look empty after some dozen messages.
        let result = tokio::task::unconstrained(self.gather(max.max(1), deadline)).await;
        if let Err(error) = &result
            && error.is_transient()
        {
            tracing::warn!(stream = %self.stream, next = self.next, %error, "reading again");
            tokio::time::sleep_until(deadline).await;
        }
        result
    }

    /// The sequence of the next message that [`Input::next_batch`] may give.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// How many messages were still to come when the server sent the last one (or when the stream
    /// was opened).
    pub fn pending(&self) -> u64 {
        self.pending
    }

    /// Whether the last message that was given was the newest, as far as the server has told.
    pub fn caught_up(&self) -> bool {
        self.pending == 0
    }

    /// How many sequences between the start and the oldest message the stream had lost already when
    /// it was opened, because of its limits or because they were deleted.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The stream's last sequence now, asked from the server.
    ///
    /// # Errors
    /// As [`stream_state`].
    pub async fn last_sequence(&self) -> Result<u64, NatsError> {
        Ok(stream_state(&self.client, &self.stream)
            .await?
            .last_sequence)
    }

    async fn gather(&mut self, max: usize, deadline: Instant) -> Result<Vec<InMessage>, NatsError> {
        let mut batch = Vec::new();
        while batch.len() < max {
            // The client would notice a consumer that died with its server only by missing
            // heartbeats.
            if connections(&self.client) != self.connections {
                self.messages = None;
            }
            let messages = match self.messages.as_mut() {
                Some(messages) => messages,
                None => {
                    self.reopen()
                        .await
                        .map_err(|error| self.interrupted(error))?;
                    continue;
                }
            };
            let next = match batch.is_empty() {
                true => {
                    tokio::time::timeout_at(deadline.min(Instant::now() + LOOK), messages.next())
                        .await
                        .ok()
                }
                false => futures::FutureExt::now_or_never(messages.next()),
            };
            let message = match next {
                None if batch.is_empty() && Instant::now() < deadline => continue,
                None => break,
                Some(Some(Ok(message))) => message,
                Some(ended) => {
                    self.messages = None;
                    // What was gathered is not lost for an error behind it: the next call meets it.
                    if !batch.is_empty() {
                        break;
                    }
                    return Err(match ended {
                        Some(Err(error)) => NatsError::caused(
                            NatsErrorKind::Read,
                            format!("reading the stream {}", self.stream),
                            error,
                        ),
                        _ => NatsError::new(
                            NatsErrorKind::Read,
                            format!("reading the stream {} has ended", self.stream),
                        ),
                    });
                }
            };
            if let Some(message) = self.accept(message)? {
                batch.push(message);
            }
        }
        Ok(batch)
    }

    async fn reopen(&mut self) -> Result<(), NatsError> {
        let connected = connections(&self.client);
        let state = stream_state(&self.client, &self.stream).await?;
        if self.next > state.last_sequence + 1 {
            return Err(NatsError::new(
                NatsErrorKind::StreamReset,
                format!(
                    "stream {} ends at sequence {}, but was read up to {} before: it was made anew. What it holds now \
                     would be taken for what is known already",
                    self.stream,
                    state.last_sequence,
                    self.next - 1
                ),
            ));
        }
        let jetstream = async_nats::jetstream::new(self.client.clone());
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            NatsError::caused(
                NatsErrorKind::Read,
                format!("opening the stream {} for reading", self.stream),
                error,
            )
        };
        let consumer = jetstream
            .create_consumer_on_stream(
                OrderedConfig {
                    description: Some("Tributary reads its input".to_owned()),
                    deliver_policy: DeliverPolicy::ByStartSequence {
                        start_sequence: self.next,
                    },
                    replay_policy: ReplayPolicy::Instant,
                    max_batch: PULL,
                    ..OrderedConfig::default()
                },
                self.stream.as_str(),
            )
            .await
            .map_err(|error| failed(error.into()))?;
        self.pending = consumer.cached_info().num_pending;
        let messages = consumer
            .messages()
            .await
            .map_err(|error| failed(error.into()))?;
        self.messages = Some(Box::pin(messages));
        self.connections = connected;
        Ok(())
    }

    /// A server that has just started has no JetStream for a moment: while reading, that is a
    /// failure that passes.
    fn interrupted(&self, error: NatsError) -> NatsError {
        match error.kind() {
            NatsErrorKind::NoJetStream => NatsError::caused(
                NatsErrorKind::Read,
                format!("reading the stream {}", self.stream),
                error,
            ),
            _ => error,
        }
    }

    /// Turns a delivery into a message and moves the position; none when it lies below the
    /// position.
    fn accept(
        &mut self,
        message: async_nats::jetstream::Message,
    ) -> Result<Option<InMessage>, NatsError> {
        let (sequence, pending, nanos) = match message.info() {
            Ok(info) => (
                info.stream_sequence,
                info.pending,
                info.published.unix_timestamp_nanos(),
            ),
            Err(error) => {
                self.messages = None;
                return Err(NatsError::caused(
                    NatsErrorKind::Read,
                    format!("a delivery of stream {} without its place", self.stream),
                    error,
                ));
            }
        };
        self.pending = pending;
        if sequence < self.next {
            return Ok(None);
        }
        self.next = sequence + 1;
        let message = message.message;
        let headers = sorted(message.headers.as_ref());
        let at_ms = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(AT_HEADER))
            .and_then(|(_, value)| value.trim().parse().ok())
            .unwrap_or((nanos / 1_000_000) as i64);
        Ok(Some(InMessage {
            subject: message.subject,
            sequence,
            at_ms,
            headers,
            payload: message.payload,
        }))
    }
}

fn sorted(headers: Option<&async_nats::HeaderMap>) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = headers
        .into_iter()
        .flat_map(|headers| headers.iter())
        .flat_map(|(name, values)| {
            values
                .iter()
                .map(|value| (name.to_string(), value.to_string()))
        })
        .collect();
    // A stable sort by name alone keeps the values of one name in the order they were sent in.
    pairs.sort_by(|left, right| left.0.cmp(&right.0));
    pairs
}
