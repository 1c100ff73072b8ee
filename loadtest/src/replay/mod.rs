//! Playing a trace into NATS: at a rate, at a multiple of its own clock, or as fast as the broker
//! takes it.
//!
//! A record is judged by its arrival, so that a replay of an old trace would be another trace if
//! the stream's own clock counted. Every message therefore carries the trace's `at` in the header
//! `Tributary-At`, and a worker whose sources go by it (`arrival_header = true`, as a generated
//! configuration says) comes to the very cells that `tributary replay` writes. Packing several events into one message, the efficient form, can keep to that
//! ([`Clock::Exact`]: only what shares an `at` shares a message) or trade it for throughput. Packs
//! are kept per subject: the events of one subject keep their order, which is all that corrections
//! depend on.

mod pace;
mod pack;

use std::time::{Duration, Instant};

use serde::Serialize;
use tributary_connectors::nats::{AT_HEADER, Client, NatsError, OutgoingMessage, Publisher};
use tributary_connectors::trace::TraceLine;

pub use pace::Pace;
pub use pack::Clock;
use pack::{Packed, Packs};
use tributary_connectors::inputs::InputsError;

/// How to replay.
#[derive(Clone, Copy, Debug)]
pub struct ReplayOptions {
    /// How fast.
    pub pace: Pace,
    /// Events per message, at most.
    pub pack: usize,
    /// Which clock counts.
    pub clock: Clock,
    /// Messages in flight with JetStream acknowledgements; none publishes without them and waits
    /// for the connection to be flushed only.
    pub window: Option<usize>,
}

/// What was played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Records: objects of NDJSON messages each count.
    pub events: u64,
    /// Messages published.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Seconds from the first to the last acknowledgement.
    pub seconds: f64,
    /// Events per second.
    pub events_per_second: f64,
    /// Lines of the trace that were no messages.
    pub skipped: u64,
}

/// Why a replay ends early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The trace.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// The broker.
    #[error("after {messages} messages: {error}")]
    Nats {
        /// Messages sent so far.
        messages: u64,
        /// What happened.
        error: NatsError,
    },
    /// The connection, without acknowledgements.
    #[error("after {messages} messages: {reason}")]
    Connection {
        /// Messages sent so far.
        messages: u64,
        /// What happened.
        reason: String,
    },
}

/// Plays messages into NATS in their order. `seen` receives the summary after every message.
///
/// Acknowledged messages carry a `Nats-Msg-Id` of this run, so that one that has to be sent again
/// after a lost connection is kept once by the stream.
///
/// # Errors
/// The first input that cannot be read, and what the broker refuses for good.
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

struct Sender {
    client: Client,
    publisher: Option<Publisher>,
    clock: Clock,
    pacer: pace::Pacer,
    run: u64,
    summary: Summary,
}

impl Sender {
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
