//! Replay of a trace into NATS: at a rate, at a multiple of its own speed, or as fast as the broker
//! accepts it.
//!
//! Several rules depend on when a record arrives, so replaying an old trace by the broker's clock
//! would change its results. Every message therefore carries the arrival time of the trace in the
//! header `Tributary-At`, and a worker whose sources have `arrival_header = true`, as generated
//! configurations do, computes exactly the cells that `tributary replay` writes.
//!
//! Packing several events into one message is more efficient. [`Clock::Exact`] packs only events
//! with the same arrival time; the other clocks trade exactness for throughput. Packs belong to one
//! subject, so the events of a subject keep their order, which is all that corrections depend on.

mod http;
mod pace;
mod pack;

use std::time::{Duration, Instant};

use serde::Serialize;
use tributary_connectors::nats::{AT_HEADER, Client, NatsError, OutgoingMessage, Publisher};
use tributary_connectors::trace::TraceLine;

pub use http::{HttpOptions, HttpReplayError, HttpSummary, replay_http};
pub use pace::Pace;
pub use pack::Clock;
use pack::{Packed, Packs};
use tributary_connectors::inputs::InputsError;

/// The options of a replay.
#[derive(Clone, Copy, Debug)]
pub struct ReplayOptions {
    /// The speed.
    pub pace: Pace,
    /// The maximum number of events per message.
    pub pack: usize,
    /// Which time of arrival the messages have.
    pub clock: Clock,
    /// The maximum number of messages without a JetStream acknowledgement, or `None` to publish
    /// without acknowledgements and only flush the connection.
    pub window: Option<usize>,
}

/// The result of a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Events: each object of an NDJSON message counts.
    pub events: u64,
    /// Published messages.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Seconds from the start to the last acknowledgement.
    pub seconds: f64,
    /// Events per second.
    pub events_per_second: f64,
    /// Lines of the trace that were not messages.
    pub skipped: u64,
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An input cannot be read.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// The broker rejected a message.
    #[error("after {messages} messages: {error}")]
    Nats {
        /// Messages sent so far.
        messages: u64,
        /// What happened.
        error: NatsError,
    },
    /// The connection failed, when publishing without acknowledgements.
    #[error("after {messages} messages: {reason}")]
    Connection {
        /// Messages sent so far.
        messages: u64,
        /// What happened.
        reason: String,
    },
}

/// Publishes messages in their order. `seen` receives the summary after every message.
///
/// Acknowledged messages carry a `Nats-Msg-Id` that is unique to this run, so the stream stores a
/// message only once if it is sent again after a lost connection.
///
/// # Errors
///
/// The first input that cannot be read, or a message that the broker rejects permanently.
pub async fn replay(
    client: &Client,
    lines: impl Iterator<Item = Result<TraceLine, InputsError>>,
    options: ReplayOptions,
    mut seen: impl FnMut(&Summary),
) -> Result<Summary, ReplayError> {
    let begin = Instant::now();
    // The header block needs some room too, and a pack of half the largest message is large enough.
    let mut packs = Packs::new(options.pack, client.max_payload() / 2, options.clock);
    let mut sender = Sender::new(client, options);
    for line in lines {
        for packed in packs.add(line?) {
            sender.send(packed).await?;
            seen(&sender.summary);
        }
    }
    for packed in packs.close() {
        sender.send(packed).await?;
    }
    sender.finish().await?;
    let mut summary = sender.summary;
    summary.seconds = begin.elapsed().as_secs_f64();
    summary.events_per_second = summary.events as f64 / summary.seconds.max(1e-9);
    seen(&summary);
    Ok(summary)
}

/// Publishes messages at their pace, with or without acknowledgements.
struct Sender {
    client: Client,
    /// The publisher with acknowledgements, if any.
    publisher: Option<Publisher>,
    clock: Clock,
    /// When messages are due.
    pacer: pace::Pacer,
    /// A random number that identifies the run.
    run: u64,
    /// The counts so far.
    summary: Summary,
}

impl Sender {
    /// A sender for the options of a replay.
    fn new(client: &Client, options: ReplayOptions) -> Sender {
        Sender {
            client: client.clone(),
            publisher: options.window.map(|window| Publisher::new(client, window)),
            clock: options.clock,
            pacer: pace::Pacer::new(options.pace),
            run: rand::random(),
            summary: Summary::default(),
        }
    }

    /// Waits until a message is due, and publishes it.
    ///
    /// # Errors
    ///
    /// The error of the broker or of the connection, with the number of messages so far.
    async fn send(&mut self, packed: Packed) -> Result<(), ReplayError> {
        let due = self.pacer.due(self.summary.events, packed.at);
        if let Some(wait) = due.checked_duration_since(Instant::now())
            // The timer is no finer, and a wait for every message would be most of the time.
            && wait > Duration::from_millis(1)
        {
            tokio::time::sleep(wait).await;
        }
        self.summary.events += packed.events;
        self.summary.messages += 1;
        self.summary.bytes += packed.data.len() as u64;
        let messages = self.summary.messages;
        let at = match self.clock {
            Clock::Stream => None,
            Clock::Exact | Clock::Last => Some(packed.at.to_string()),
        };
        let headers = packed
            .headers
            .into_iter()
            .map(|(name, value)| (name.into(), value));
        let message = OutgoingMessage {
            subject: packed.subject,
            headers: headers.chain(at.map(|at| (AT_HEADER.into(), at))).collect(),
            payload: packed.data.into(),
            id: self
                .publisher
                .is_some()
                .then(|| format!("{:016x}-{messages}", self.run)),
        };
        match &mut self.publisher {
            Some(publisher) => publisher
                .send(message)
                .await
                .map_err(|error| ReplayError::Nats { messages, error }),
            None => self
                .client
                .publish_with_headers(
                    message.subject.clone(),
                    message.header_map(),
                    message.payload,
                )
                .await
                .map_err(|error| ReplayError::Connection {
                    messages,
                    reason: error.to_string(),
                }),
        }
    }

    /// Waits for all acknowledgements, or flushes the connection.
    ///
    /// # Errors
    ///
    /// As for [`Self::send`].
    async fn finish(&mut self) -> Result<(), ReplayError> {
        let messages = self.summary.messages;
        match &mut self.publisher {
            Some(publisher) => publisher
                .flush()
                .await
                .map_err(|error| ReplayError::Nats { messages, error }),
            None => self
                .client
                .flush()
                .await
                .map_err(|error| ReplayError::Connection {
                    messages,
                    reason: error.to_string(),
                }),
        }
    }
}
