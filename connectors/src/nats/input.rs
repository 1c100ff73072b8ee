//! The input of a process: every message of its share, in order, none twice, none missed in
//! silence.
//!
//! The caller keeps the position: the ledger stores in one commit what was accepted and
//! [`Input::next_sequence`]. Only then does it call [`Input::acknowledge`], so that the server's
//! word on how far this process is never runs ahead of the disk. A restart reads from the ledger's
//! position on whatever the server remembers.
//!
//! What goes wrong while reading, and how it is noticed, is said in `flow`.

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
use super::consumer::{self, Opened};
use super::error::NatsError;
use super::loss::Loss;
use super::message::InMessage;
use super::share::Share;
use super::streams::{StreamState, stream_state};
use super::wanted::Wanted;

/// What happened while reading, counted since the opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputCounts {
    /// Messages that came again and were passed over.
    pub redelivered: u64,
    /// Sequences that were passed over because their messages had been deleted. Not counted where
    /// the server sorts by partition, since others' messages are gaps then.
    pub gaps: u64,
    /// Times that a delivery never arrived.
    pub lost_deliveries: u64,
    /// Times that the consumer was opened anew, for whatever reason.
    pub reopened: u64,
    /// Times that the server was silent for too long.
    pub heartbeats_missed: u64,
    /// Messages that the clients of this process dropped because their readers were too slow.
    pub slow_consumer: u64,
}

enum Link {
    Closed,
    /// With how often the client had connected when it began.
    Opening(u64, BoxFuture<'static, Result<Opened, NatsError>>),
    Open(Box<Opened>),
}

/// The server's word on the stream, and then on the consumer.
type Seen = (StreamState, Option<Info>);

/// The input of one process.
pub struct Input {
    client: Client,
    wanted: Arc<Wanted>,
    share: Share,
    created: i64,
    accepted: Option<Loss>,
    link: Link,
    /// When opening may be tried, and when the server is asked next.
    due: Instant,
    asked: Option<BoxFuture<'static, Result<Seen, NatsError>>>,
    /// This process's consumer, by the time it was made.
    ours: Option<i128>,
    /// Has been read and not given yet.
    held: VecDeque<InMessage>,
    /// The next sequence to read from the server.
    read: u64,
    /// Where the first jump begins that may be a loss.
    jump: Option<u64>,
    /// Nothing has been read, and reading begins with whatever is there: a stream that is losing
    /// its oldest messages all the time would else have lost the first before it comes.
    anywhere: bool,
    /// Where the newest message that was read is acknowledged.
    newest: Option<(u64, Subject)>,
    pending: u64,
    counts: InputCounts,
    dropped: u64,
}

impl Input {
    /// Whether the input can be opened, without opening it.
    ///
    /// # Errors
    /// As [`Input::open`] for what the stream no longer holds.
    pub async fn judge(client: &Client, wanted: &Wanted) -> Result<(), NatsError> {
        let state = stream_state(client, &wanted.stream).await?;
        wanted.judge(&state).map(drop)
    }

    /// Opens the input.
    ///
    /// # Errors
    /// [`super::NatsErrorKind::Lost`] and `StreamReset` where the stream no longer holds the position,
    /// unless the loss is accepted, `Taken` where another process reads as this one, `Stream` where
    /// there is no such stream or it cannot be read as wanted, else what [`stream_state`] says.
    pub async fn open(client: &Client, wanted: Wanted) -> Result<Input, NatsError> {
        let state = stream_state(client, &wanted.stream).await?;
        let fresh = wanted.is_fresh();
        let accepted = wanted.judge(&state)?;
        let next = match (accepted, wanted.known()) {
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
            wanted: Arc::new(wanted),
            created: state.created_ns,
            accepted,
            link: Link::Closed,
            due: Instant::now(),
            asked: None,
            ours: None,
            held: VecDeque::new(),
            read: next,
            jump: None,
            anywhere: fresh || accepted.is_some(),
            newest: None,
            pending: 0,
            counts: InputCounts::default(),
            dropped: dropped(),
        };
        let opened = consumer::open(input.client.clone(), input.wanted.clone(), input.position());
        let opened = opened.await?;
        input.begin(opened);
        Ok(input)
    }

    /// The next messages of this process, in order, at most `max` (at least one). Waits up to `wait`
    /// for the first and takes besides only what has come already; empty when nothing came.
    ///
    /// # Errors
    /// [`super::NatsErrorKind::Read`] and `Unreachable` after a failure, once `wait` has passed: calling
    /// again goes on where it stopped. `Lost`, `StreamReset`, `Taken` and `Stream` as
    /// [`Input::open`].
    pub async fn next_batch(
        &mut self,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<InMessage>, NatsError> {
        let deadline = Instant::now() + wait;
        // The scheduler's own budget would make a full buffer look empty after some dozen messages.
        let result = tokio::task::unconstrained(self.gather(max.max(1), deadline)).await;
        if self.held.is_empty()
            && self.jump.is_none()
            && let Link::Open(open) = &mut self.link
            && let Some(newest) = self.newest.take()
        {
            open.replies.push_back(newest);
        }
        if let Err(error) = &result
            && error.is_transient()
        {
            tracing::warn!(stream = %self.wanted.stream, next = self.next_sequence(), %error, "retrying to read");
            tokio::time::sleep_until(deadline).await;
        }
        result
    }

    /// Tells the server that everything up to a sequence is durable: acknowledges the newest
    /// delivery that [`Input::next_batch`] has ended with at or below it, and so all before. Does
    /// not wait for the server. What is not acknowledged, because the connection is lost or the
    /// consumer was opened anew meanwhile, is of no consequence.
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

    /// The position: the sequence of the next message of the stream that this process has not
    /// dealt with. All before were given, are other processes' or were deleted.
    pub fn next_sequence(&self) -> u64 {
        let held = self.held.front().map_or(self.read, |next| next.sequence);
        held.min(self.jump.unwrap_or(self.read))
    }

    /// When the stream was made, Unix nanoseconds: belongs beside the position in the ledger.
    pub fn created(&self) -> i64 {
        self.created
    }

    /// The loss that was accepted at the opening.
    pub fn accepted_loss(&self) -> Option<Loss> {
        self.accepted
    }

    /// How many messages were still to come when the server sent the last one, or was last asked;
    /// those that are read and not given yet among them.
    pub fn pending(&self) -> u64 {
        self.pending + self.held.len() as u64
    }

    /// Whether the last message that was given was the newest, as far as the server has told.
    pub fn caught_up(&self) -> bool {
        self.pending() == 0 && self.jump.is_none()
    }

    /// What happened so far.
    pub fn counts(&self) -> InputCounts {
        InputCounts {
            slow_consumer: dropped() - self.dropped,
            ..self.counts
        }
    }
}
