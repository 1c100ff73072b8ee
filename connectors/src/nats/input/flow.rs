//! The flow of deliveries and its failures.
//!
//! Every failure has the same remedy: a new consumer at the position. A lost
//! delivery shows as a jump in the consumer's own numbers, a silent connection
//! as missed heartbeats, a lost connection as a reconnect, and a deleted
//! consumer by the server's report; each is counted. Deliveries below the
//! position are redeliveries and are skipped.
//!
//! A jump in the *stream's* numbers is either a gap, because messages were
//! deleted one by one, or the stream has dropped messages that this process had
//! not read. The stream's first sequence distinguishes the two. Until it is
//! known, no message behind the jump is delivered: a loss becomes an error
//! ([`NatsErrorKind::Lost`]) before it becomes a position.
//!
//! While no message arrives, the reader polls the server: for deliveries that
//! were lost at the very end, and for the end of the stream, to which the
//! position may advance when nothing is pending.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{MessagesError, MessagesErrorKind};
use futures::{FutureExt, StreamExt};
use tokio::time::Instant;

use super::super::connect::connections;
use super::super::consumer::{self, ConsumerStart, OpenConsumer};
use super::super::error::{NatsError, NatsErrorKind};
use super::super::input_request::InputRequest;
use super::super::loss::find_loss_since;
use super::super::message::{InMessage, Place, message};
use super::super::stream_state::input_state;
use super::{Input, Link, ServerState, StateRequest};

/// How often a waiting reader checks whether the client is still on the
/// connection of the consumer.
const LOOK: Duration = Duration::from_millis(200);
/// How often the server is queried while no message arrives.
const ASK: Duration = Duration::from_secs(2);
/// How long to wait before opening again.
const PAUSE: Duration = Duration::from_millis(250);

impl Input {
    /// The loop behind [`Input::next_batch`]: takes what has arrived, waits,
    /// queries, and reopens, until there is a batch or the deadline passes.
    pub(super) async fn collect(
        &mut self,
        max: usize,
        deadline: Instant,
    ) -> Result<Vec<InMessage>, NatsError> {
        loop {
            let connected = connections(&self.client);
            match &self.link {
                Link::Open(open) if open.connections != connected => {
                    self.close("the connection is another one");
                }
                // Its requests are lost.
                Link::Opening(began, _) if *began != connected => self.link = Link::Closed,
                // Nothing more is taken while what is held waits for the server's word.
                _ if self.jump.is_none() => self.take_ready(max)?,
                _ => {}
            }
            if self.jump.is_none() && !self.buffered.is_empty() {
                let count = self.buffered.len().min(max);
                return Ok(self.buffered.drain(..count).collect());
            }
            let until = deadline.min(Instant::now() + LOOK);
            match &self.link {
                Link::Open(_) if self.jump.is_some() => self.query_state(until).await?,
                Link::Open(_) => self.wait(until).await?,
                _ => self.reopen(until).await?,
            }
            if Instant::now() >= deadline && (self.jump.is_some() || self.buffered.is_empty()) {
                return Ok(Vec::new());
            }
        }
    }

    /// Takes deliveries that have arrived, until `max` messages are buffered.
    fn take_ready(&mut self, max: usize) -> Result<(), NatsError> {
        while self.buffered.len() < max
            && let Link::Open(open) = &mut self.link
            && let Some(next) = open.messages.next().now_or_never()
        {
            self.handle_delivery(next)?;
        }
        Ok(())
    }

    /// Waits for a delivery. While none arrives, queries the server when that
    /// is due.
    async fn wait(&mut self, until: Instant) -> Result<(), NatsError> {
        let Link::Open(open) = &mut self.link else {
            return Ok(());
        };
        if self.state_request.is_none() && Instant::now() < self.due {
            let until = until.min(self.due);
            if let Ok(next) = tokio::time::timeout_at(until, open.messages.next()).await {
                self.handle_delivery(next)?;
            }
            return Ok(());
        }
        self.query_state(until).await
    }

    /// Queries the stream and the consumer, and acts on the response if it
    /// arrives by `until`; otherwise the next call continues to wait for it.
    ///
    /// # Errors
    /// `Lost` and `StreamReset` for a loss, and transient failures of the
    /// query.
    async fn query_state(&mut self, until: Instant) -> Result<(), NatsError> {
        let from = self.position().from;
        let request = (self.state_request).get_or_insert_with(|| StateRequest {
            from,
            answer: Box::pin(fetch_state(self.client.clone(), self.request.clone())),
        });
        let asked = request.from;
        let Ok(seen) = tokio::time::timeout_at(until, &mut request.answer).await else {
            return Ok(());
        };
        self.state_request = None;
        self.due = Instant::now() + ASK;
        let (state, consumer) = seen.map_err(|error| self.interrupted(error))?;
        if let Some(loss) = find_loss_since(&state, asked, from, Some(self.created)) {
            return Err(loss.error(&self.request.stream));
        }
        if self.jump.take().is_some() {
            return Ok(());
        }
        let consumer = match consumer {
            Some(info) if Some(info.created.unix_timestamp_nanos()) == self.own_consumer => info,
            _ => {
                self.close("the consumer was deleted");
                return Ok(());
            }
        };
        // What was delivered before the answer has come before the answer.
        self.take_ready(usize::MAX)?;
        let Link::Open(open) = &self.link else {
            return Ok(());
        };
        if open.delivery < consumer.delivered.consumer_sequence {
            self.counts.lost_deliveries += 1;
            self.close("a delivery did not arrive");
        } else if open.delivery == consumer.delivered.consumer_sequence && self.jump.is_none() {
            self.pending = consumer.num_pending;
            // All that the stream held when it was asked first is behind.
            if consumer.num_pending == 0 && state.last_sequence >= self.next_unread {
                self.pass_over(state.last_sequence + 1);
            }
        }
        Ok(())
    }

    /// Opens a consumer at the position, after the pause; a failure schedules
    /// the next attempt.
    async fn reopen(&mut self, until: Instant) -> Result<(), NatsError> {
        if let Link::Closed = self.link {
            tokio::time::sleep_until(self.due.min(until)).await;
            if Instant::now() < self.due {
                return Ok(());
            }
            let (client, wanted) = (self.client.clone(), self.request.clone());
            let opening = consumer::open(client, wanted, self.position());
            self.link = Link::Opening(connections(&self.client), Box::pin(opening));
        }
        let Link::Opening(_, opening) = &mut self.link else {
            return Ok(());
        };
        match tokio::time::timeout_at(until, opening).await {
            Err(_) => Ok(()),
            Ok(Ok(opened)) => {
                self.begin(opened);
                Ok(())
            }
            Ok(Err(error)) => {
                self.link = Link::Closed;
                self.due = Instant::now() + PAUSE;
                Err(self.interrupted(error))
            }
        }
    }

    /// Where to open a consumer, and what the stream must still store.
    pub(super) fn position(&self) -> ConsumerStart {
        ConsumerStart {
            next: self.next_unread,
            from: (!self.from_any_sequence).then(|| self.jump.unwrap_or(self.next_unread)),
            created: self.created,
            ours: self.own_consumer,
        }
    }

    /// Begins to read from a consumer. It was checked for losses when it was
    /// created.
    pub(super) fn begin(&mut self, opened: OpenConsumer) {
        self.own_consumer = Some(opened.made);
        self.pending = opened.pending;
        self.jump = None;
        self.due = Instant::now() + ASK;
        self.link = Link::Open(Box::new(opened));
    }

    /// Abandons the consumer; the next read opens a new one at the position.
    fn close(&mut self, why: &str) {
        tracing::info!(stream = %self.request.stream, next = self.next_unread, why, "reconnecting to the input");
        self.link = Link::Closed;
        self.state_request = None;
        self.newest = None;
        self.due = Instant::now() + PAUSE;
        self.counts.reopened += 1;
    }

    /// Handles what the consumer returns: a message, a missed heartbeat, or its
    /// end.
    fn handle_delivery(
        &mut self,
        next: Option<Result<Message, MessagesError>>,
    ) -> Result<(), NatsError> {
        match next {
            Some(Ok(delivery)) => return self.accept(delivery),
            Some(Err(error)) => {
                let missed = error.kind() == MessagesErrorKind::MissingHeartbeat;
                self.counts.heartbeats_missed += u64::from(missed);
                self.close(&error.to_string());
            }
            None => self.close("the client has ended the subscription"),
        }
        Ok(())
    }

    /// Handles one message: checks the numbers of delivery and sequence, and
    /// buffers it if it is this process's own.
    ///
    /// # Errors
    /// `Read` for a delivery without its metadata.
    fn accept(&mut self, delivery: Message) -> Result<(), NatsError> {
        let place = match Place::of(&delivery) {
            Ok(place) => place,
            Err(error) => {
                self.close("a delivery without its place");
                return Err(error);
            }
        };
        let Link::Open(open) = &mut self.link else {
            return Ok(());
        };
        if place.delivery != open.delivery + 1 {
            self.counts.lost_deliveries += 1;
            self.close("a delivery did not arrive");
            return Ok(());
        }
        open.delivery = place.delivery;
        self.pending = place.pending;
        // If messages are pending and none arrives, a delivery may be lost.
        self.due = Instant::now() + if place.pending > 0 { LOOK } else { ASK };
        self.counts.redelivered += u64::from(place.times > 1);
        if place.sequence < self.next_unread {
            return Ok(());
        }
        if place.sequence > self.next_unread {
            if !self.from_any_sequence {
                // An answer that is under way may be older than the jump.
                self.state_request = None;
                self.jump.get_or_insert(self.next_unread);
            }
            self.pass_over(place.sequence);
        }
        self.from_any_sequence = false;
        self.next_unread = place.sequence + 1;
        let delivery = delivery.message;
        self.newest = delivery.reply.clone().map(|reply| (place.sequence, reply));
        if self.share.takes(&delivery.subject, place.sequence) {
            self.buffered.push_back(message(delivery, &place));
        }
        Ok(())
    }

    /// Advances to a sequence without the messages before it.
    fn pass_over(&mut self, next: u64) {
        if !self.share.is_filtered() && !self.from_any_sequence {
            self.counts.gaps += next - self.next_unread;
        }
        self.next_unread = next;
        self.from_any_sequence = false;
    }

    /// Turns a failure that passes into a transient one: a server that has just
    /// started has no JetStream for a moment.
    fn interrupted(&self, error: NatsError) -> NatsError {
        match error.is_passing() && !error.is_transient() {
            true => NatsError::caused(
                NatsErrorKind::Read,
                format!("reading the stream {}", self.request.stream),
                error,
            ),
            false => error,
        }
    }
}

/// Queries the stream first and then the consumer, so that what the consumer no
/// longer has to deliver lies beyond the end that the stream reported.
async fn fetch_state(client: Client, wanted: Arc<InputRequest>) -> Result<ServerState, NatsError> {
    let state = input_state(&client, &wanted.stream).await?;
    let stream = async_nats::jetstream::new(client)
        .get_stream_no_info(&wanted.stream)
        .await
        .map_err(|error| consumer::unanswered(&wanted, error))?;
    let consumer = consumer::info(&stream, &wanted, &wanted.consumer()).await?;
    Ok((state, consumer))
}
