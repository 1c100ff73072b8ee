//! The input of a process: every message of its share, in order, without
//! duplicates and without silent gaps.
//!
//! The caller owns the position. The ledger stores the accepted records and
//! [`Input::next_sequence`] in one commit; only then does the caller invoke
//! [`Input::acknowledge`], so the server's view of this process never runs
//! ahead of the disk. A restart resumes from the ledger's position, whatever
//! the server remembers.
//!
//! `flow` describes the failures that may occur while reading, and how they are
//! detected.

mod flow;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::Info;
use async_nats::{Client, Subject};
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::connect::{connections, dropped};
use super::consumer::{self, OpenConsumer};
use super::error::NatsError;
use super::input_request::InputRequest;
use super::loss::Loss;
use super::message::InMessage;
use super::share::Share;
use super::stream_state::{StreamState, stream_state};

/// Counters of an input since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputCounts {
    /// Redelivered messages, which were skipped.
    pub redelivered: u64,
    /// Sequences without a message, because messages were deleted one by one.
    /// Not counted if the server filters by partition, because the messages of
    /// other processes are gaps then.
    pub gaps: u64,
    /// Deliveries that never arrived.
    pub lost_deliveries: u64,
    /// Times that the consumer was recreated, for any reason.
    pub reopened: u64,
    /// Missed heartbeats: the server was silent for too long.
    pub heartbeats_missed: u64,
    /// Messages that this process's clients dropped because their readers were
    /// too slow.
    pub slow_consumer: u64,
}

/// The state of the connection to the consumer.
enum Link {
    /// No consumer; the next read opens one.
    Closed,
    /// A consumer is being opened; the number of the client's connections when
    /// that began.
    Opening(u64, BoxFuture<'static, Result<OpenConsumer, NatsError>>),
    /// A consumer delivers.
    Open(Box<OpenConsumer>),
}

/// The server's information on the stream, and then on the consumer, if it
/// exists.
type ServerState = (StreamState, Option<Info>);

/// A query to the server that is under way.
struct StateRequest {
    /// The sequence that was to be read next when it was asked; `None` for whatever the
    /// stream stores.
    from: Option<u64>,
    answer: BoxFuture<'static, Result<ServerState, NatsError>>,
}

/// The input of one process.
pub struct Input {
    client: Client,
    request: Arc<InputRequest>,
    /// The messages that are this process's own.
    share: Share,
    /// When the stream was created, Unix nanoseconds.
    created: i64,
    /// The loss that was accepted at the opening.
    accepted: Option<Loss>,
    /// The consumer.
    link: Link,
    /// When to open again, or to query the server next.
    due: Instant,
    /// The query to the server that is under way.
    state_request: Option<StateRequest>,
    /// This process's consumer, identified by its creation time.
    own_consumer: Option<i128>,
    /// Messages that were read and not delivered yet.
    buffered: VecDeque<InMessage>,
    /// The next sequence to read from the server.
    next_unread: u64,
    /// The start of the first jump that may be a loss.
    jump: Option<u64>,
    /// Nothing has been read, and reading begins with the oldest stored
    /// message, whichever that is: a stream that drops its oldest messages
    /// continuously could otherwise drop the first before it is read.
    from_any_sequence: bool,
    /// The sequence and reply subject of the newest message that was read.
    newest: Option<(u64, Subject)>,
    /// The number of messages that the consumer has not delivered, by the
    /// server's last report.
    pending: u64,
    counts: InputCounts,
    /// The number of dropped messages of this process at the opening.
    dropped: u64,
}

impl Input {
    /// Checks whether the input can be opened, without opening it.
    ///
    /// # Errors
    /// As [`Input::open`] for what the stream no longer stores.
    pub async fn check(client: &Client, wanted: &InputRequest) -> Result<(), NatsError> {
        let state = stream_state(client, &wanted.stream).await?;
        wanted.check(&state).map(drop)
    }

    /// Opens the input.
    ///
    /// # Errors
    /// [`super::NatsErrorKind::Lost`] and `StreamReset` if the stream no longer
    /// stores the position, unless the request accepts the loss; `Taken` if
    /// another process reads as this one; `Stream` if the stream does not exist
    /// or cannot be read as requested; otherwise those of [`stream_state`].
    pub async fn open(client: &Client, wanted: InputRequest) -> Result<Input, NatsError> {
        let state = stream_state(client, &wanted.stream).await?;
        let fresh = wanted.is_fresh();
        let accepted = wanted.check(&state)?;
        let next = match (accepted, wanted.required_sequence()) {
            (Some(loss), _) => loss.resume,
            (None, Some(next)) => next,
            (None, None) => state.first_sequence.max(1),
        };
        if let Some(loss) = &accepted {
            tracing::warn!(stream = %wanted.stream, ?loss, "continuing to read after a loss");
        }
        let mut input = Input {
            client: client.clone(),
            share: wanted.share(),
            request: Arc::new(wanted),
            created: state.created_ns,
            accepted,
            link: Link::Closed,
            due: Instant::now(),
            state_request: None,
            own_consumer: None,
            buffered: VecDeque::new(),
            next_unread: next,
            jump: None,
            from_any_sequence: fresh || accepted.is_some(),
            newest: None,
            pending: 0,
            counts: InputCounts::default(),
            dropped: dropped(),
        };
        let opened = consumer::open(
            input.client.clone(),
            input.request.clone(),
            input.position(),
        );
        let opened = opened.await?;
        input.begin(opened);
        Ok(input)
    }

    /// The next messages of this process in order, 1 to `max`. Waits up to
    /// `wait` for the first one and adds only what has arrived already; empty
    /// if nothing arrived.
    ///
    /// # Errors
    /// [`super::NatsErrorKind::Read`] and `Unreachable` after a failure, once
    /// `wait` has passed: calling again resumes. `Lost`, `StreamReset`, `Taken`
    /// and `Stream` as [`Input::open`].
    pub async fn next_batch(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<InMessage>, NatsError> {
        let deadline = Instant::now() + wait;
        // The scheduler's own budget would make a full buffer look empty after some dozen messages.
        let result = tokio::task::unconstrained(self.collect(max.max(1), deadline)).await;
        if self.buffered.is_empty()
            && self.jump.is_none()
            && let Link::Open(open) = &mut self.link
            && let Some(newest) = self.newest.take()
        {
            open.replies.push_back(newest);
        }
        if let Err(error) = &result
            && error.is_transient()
        {
            tracing::warn!(stream = %self.request.stream, next = self.next_sequence(), %error, "retrying to read");
            tokio::time::sleep_until(deadline).await;
        }
        result
    }

    /// Acknowledges that everything up to a sequence is durable.
    ///
    /// Acknowledges the newest delivery that ended a batch at or below the
    /// sequence, and thereby all before it. Does not wait for the server. An
    /// acknowledgment that is lost with the connection has no consequence: the
    /// position in the ledger counts.
    pub async fn acknowledge(&mut self, up_to_sequence: u64) {
        let Link::Open(open) = &mut self.link else {
            return;
        };
        let mut newest = None;
        while let Some((sequence, reply)) = open.replies.pop_front() {
            if sequence > up_to_sequence {
                open.replies.push_front((sequence, reply));
                break;
            }
            newest = Some(reply);
        }
        // Without a connection the client would queue it, and it is stale after the next.
        if let Some(reply) = newest
            && self.client.connection_state() == State::Connected
            && connections(&self.client) == open.connections
        {
            let _ = self
                .client
                .publish(reply, Bytes::from_static(b"+ACK"))
                .await;
        }
    }

    /// The position: the sequence of the next message that this process has not
    /// handled. All before it were returned, belong to other processes, or were
    /// deleted.
    pub fn next_sequence(&self) -> u64 {
        let held = self
            .buffered
            .front()
            .map_or(self.next_unread, |next| next.sequence);
        held.min(self.jump.unwrap_or(self.next_unread))
    }

    /// When the stream was created, Unix nanoseconds; stored beside the
    /// position in the ledger.
    pub fn created(&self) -> i64 {
        self.created
    }

    /// The loss that was accepted at the opening.
    pub fn accepted_loss(&self) -> Option<Loss> {
        self.accepted
    }

    /// The number of messages not yet delivered, by the server's last report,
    /// including those that were read and are still buffered.
    pub fn pending(&self) -> u64 {
        self.pending + self.buffered.len() as u64
    }

    /// Whether the last delivered message was the newest, according to the
    /// server's last report.
    pub fn caught_up(&self) -> bool {
        self.pending() == 0 && self.jump.is_none()
    }

    /// The counters so far.
    pub fn counts(&self) -> InputCounts {
        InputCounts {
            slow_consumer: dropped() - self.dropped,
            ..self.counts
        }
    }
}
