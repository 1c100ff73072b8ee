//! Reads a stream in order without leaving state in the server: for tools, and
//! for the last values of cells.
//!
//! The consumer is ordered and acknowledges nothing. It detects a missing
//! delivery and restarts behind the last one that it received. [`Reader`] also
//! detects a lost connection at once and skips messages below the position, so
//! sequences only ascend. It does not check for losses: messages that the
//! stream does not store are a gap. [`super::Input`] reads the input of a
//! worker.

use std::pin::Pin;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

use super::connect::connections;
use super::error::{NatsError, NatsErrorKind};
use super::message::{InMessage, Place, message};
use super::stream_state::stream_state;

/// How many messages the client requests at once.
const PULL: i64 = 256;
/// How often a waiting reader checks whether the client is still on the
/// connection of the consumer.
const LOOK: Duration = Duration::from_millis(200);
/// How long to wait before a retry.
const PAUSE: Duration = Duration::from_millis(250);
/// After how long without any message the last values are counted anew: those that
/// were still to come may have been replaced or deleted since. The time doubles with
/// each count, for a broker that takes long to send the first of them.
const COUNT: Duration = Duration::from_secs(2);
/// How long reading the last values continues without any message before it
/// fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A reader of one stream.
pub struct Reader {
    client: Client,
    stream: String,
    /// The subjects to read; `>` for all.
    filter: String,
    /// Whether only the last message of each subject is read.
    last_only: bool,
    /// The consumer; `None` if it must be recreated.
    messages: Option<Pin<Box<Ordered>>>,
    /// How often the client had connected when the consumer was created.
    connections: u64,
    /// The sequence below which messages are skipped.
    next: u64,
    /// The number of messages that the consumer has not delivered, by the
    /// server's last report.
    pending: u64,
}

impl Reader {
    /// Opens a stream for reading from `start_sequence` on; 0 and 1 both denote
    /// its beginning.
    ///
    /// # Errors
    /// [`NatsErrorKind::Stream`] if the stream does not exist; otherwise those
    /// of [`stream_state`].
    pub async fn open(
        client: &Client,
        stream: &str,
        start_sequence: u64,
    ) -> Result<Reader, NatsError> {
        Reader::opened(client, stream, ">", false, start_sequence.max(1)).await
    }

    /// Opens the messages of a stream whose subjects match `filter`, which may
    /// contain wildcards.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub async fn filtered(
        client: &Client,
        stream: &str,
        filter: &str,
        start_sequence: u64,
    ) -> Result<Reader, NatsError> {
        Reader::opened(client, stream, filter, false, start_sequence.max(1)).await
    }

    /// Opens a reader with all options.
    async fn opened(
        client: &Client,
        stream: &str,
        filter: &str,
        last_only: bool,
        next: u64,
    ) -> Result<Reader, NatsError> {
        let mut reader = Reader {
            client: client.clone(),
            stream: stream.to_owned(),
            filter: filter.to_owned(),
            last_only,
            messages: None,
            connections: 0,
            next,
            pending: 0,
        };
        reader.reopen().await?;
        Ok(reader)
    }

    /// The next messages in order, 1 to `max`. Waits up to `wait` for the first
    /// one and adds only what has arrived already; empty if nothing arrived.
    ///
    /// # Errors
    /// [`NatsErrorKind::Read`] and `Unreachable`: calling again resumes.
    /// `Stream` if the stream no longer exists.
    pub async fn next_batch(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<InMessage>, NatsError> {
        // The scheduler's own budget would make a full buffer look empty after some dozen messages.
        tokio::task::unconstrained(self.collect(max.max(1), Instant::now() + wait)).await
    }

    /// The lowest sequence that [`Reader::next_batch`] may return next.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Whether the last delivered message was the newest, according to the
    /// server's last report.
    pub fn caught_up(&self) -> bool {
        self.pending == 0
    }

    /// The loop behind [`Reader::next_batch`]. An error behind collected
    /// messages is left to the next call.
    async fn collect(
        &mut self,
        max: usize,
        deadline: Instant,
    ) -> Result<Vec<InMessage>, NatsError> {
        let mut batch = Vec::new();
        while batch.len() < max {
            if connections(&self.client) != self.connections {
                self.messages = None;
            }
            let Some(messages) = self.messages.as_mut() else {
                self.reopen().await?;
                continue;
            };
            let until = deadline.min(Instant::now() + LOOK);
            let next = match batch.is_empty() {
                true => tokio::time::timeout_at(until, messages.next()).await.ok(),
                false => messages.next().now_or_never(),
            };
            match next {
                None if batch.is_empty() && Instant::now() < deadline => {}
                None => break,
                Some(Some(Ok(delivery))) => {
                    let place = Place::of(&delivery)?;
                    self.pending = place.pending;
                    if place.sequence >= self.next {
                        self.next = place.sequence + 1;
                        batch.push(message(delivery.message, &place));
                    }
                }
                Some(ended) => {
                    self.messages = None;
                    // What was gathered is not lost for an error behind it.
                    if !batch.is_empty() {
                        break;
                    }
                    let what = format!("reading the stream {}", self.stream);
                    return Err(match ended {
                        Some(Err(error)) => NatsError::caused(NatsErrorKind::Read, what, error),
                        _ => NatsError::new(NatsErrorKind::Read, format!("{what} has ended")),
                    });
                }
            }
        }
        // What was still to come may have been replaced since, and then the last delivery counts too much.
        if batch.is_empty() && self.pending > 0 {
            let state = stream_state(&self.client, &self.stream).await?;
            if state.last_sequence < self.next {
                self.pending = 0;
            }
        }
        Ok(batch)
    }

    /// Recreates the consumer at the position.
    async fn reopen(&mut self) -> Result<(), NatsError> {
        let connected = connections(&self.client);
        stream_state(&self.client, &self.stream).await?;
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            let what = format!("opening the stream {} for reading", self.stream);
            NatsError::caused(NatsErrorKind::Read, what, error)
        };
        let deliver_policy = match self.last_only {
            true => DeliverPolicy::LastPerSubject,
            false => DeliverPolicy::ByStartSequence {
                start_sequence: self.next,
            },
        };
        let consumer = async_nats::jetstream::new(self.client.clone())
            .create_consumer_on_stream(
                OrderedConfig {
                    description: Some("Tributary reads along".to_owned()),
                    filter_subject: self.filter.clone(),
                    deliver_policy,
                    replay_policy: ReplayPolicy::Instant,
                    max_batch: PULL,
                    ..OrderedConfig::default()
                },
                self.stream.as_str(),
            )
            .await
            .map_err(|error| failed(error.into()))?;
        let pending = consumer.cached_info().num_pending;
        let messages = consumer
            .messages()
            .await
            .map_err(|error| failed(error.into()))?;
        self.pending = pending;
        self.messages = Some(Box::pin(messages));
        self.connections = connected;
        Ok(())
    }
}

/// Reads the last message of every subject, in the order of their sequences.
pub struct LastValues {
    reader: Reader,
}

/// Reads the last message of every subject that matches `filter`, up to the
/// present end of the stream. A subject that is published to meanwhile may
/// occur twice; the later message counts.
///
/// # Errors
/// As [`Reader::open`].
pub async fn last_values(
    client: &Client,
    stream: &str,
    filter: &str,
) -> Result<LastValues, NatsError> {
    let reader = Reader::opened(client, stream, filter, true, 1).await?;
    Ok(LastValues { reader })
}

impl LastValues {
    /// The next messages, 1 to `max`; empty once all have been returned.
    /// Resumes by itself after a lost connection.
    ///
    /// # Errors
    /// Those of [`Reader::next_batch`] once they have lasted for half a minute,
    /// or if waiting does not help. Calling again resumes.
    pub async fn next_batch(&mut self, max: usize) -> Result<Vec<InMessage>, NatsError> {
        let begin = Instant::now();
        let (mut counted, mut count) = (begin, COUNT);
        while !self.reader.caught_up() {
            match self.reader.next_batch(max, LOOK).await {
                Ok(batch) if !batch.is_empty() => return Ok(batch),
                Ok(_) if counted.elapsed() > count && begin.elapsed() <= PATIENCE => {
                    (counted, count) = (Instant::now(), 2 * count);
                    // A new consumer says how many there are.
                    self.reader.messages = None;
                }
                Ok(_) if begin.elapsed() > PATIENCE => {
                    let what = format!("the stream {} gives nothing", self.reader.stream);
                    return Err(NatsError::new(NatsErrorKind::Read, what));
                }
                Ok(_) => {}
                Err(error) if error.is_passing() && begin.elapsed() <= PATIENCE => {
                    tracing::warn!(stream = %self.reader.stream, %error, "retrying to read");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Vec::new())
    }
}
