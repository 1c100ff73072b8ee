//! Publishes the newest value of each cell exactly once, despite failures of
//! the broker.
//!
//! A cell's message is an absolute value, so of several pending values only the
//! newest is worth sending. The queue is bounded by the number of cells,
//! however long the broker is unavailable. An older value must never end up
//! behind a newer one. [`LatestPublisher`] ensures this by two rules.
//!
//! *At most one message of a subject is in flight, and it is resent until it is
//! acknowledged.* A newer value waits meanwhile. It does not replace the
//! message in flight, which may have arrived, or may still arrive, on a
//! connection that was abandoned.
//!
//! *All transmissions of one message share one id*, the cell's hash and the
//! epoch. Copies that arrive within the stream's duplicate window count once,
//! at the position of the first; a late copy behind the cell's next value is
//! discarded.
//!
//! Neither rule suffices alone. Without ids, a late copy would overwrite the
//! next value. With ids but two values in flight, the first could be lost, the
//! second stored, and the first, resent, stored behind it, while the second,
//! resent, would be discarded as a duplicate: the stream would keep the older
//! value. With one message in flight, the first is stored before the second is
//! sent.
//!
//! An epoch gives a cell one value at most: a second message with the same id
//! would be discarded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::context::{Context, PublishError, PublishErrorKind};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::Instant;

use super::connect::connections;
use super::error::NatsError;
use super::outgoing::OutgoingMessage;
use super::publish::{PAUSE, acknowledged, context, dispatch, publish_error};
use super::subject_set::SubjectSet;

/// The longest pause between two rounds of retries.
const LONGEST: Duration = Duration::from_secs(5);

/// How long the server may refuse every message before the publisher returns an
/// error.
const PATIENCE: Duration = Duration::from_secs(10);

/// Publishes the newest message of every subject, with a bounded number in
/// flight.
pub struct LatestPublisher {
    client: Client,
    jetstream: Context,
    /// The maximum number of messages in flight.
    window: usize,
    /// The newest message of each subject that has not been sent.
    newest: FxHashMap<String, OutgoingMessage>,
    /// The subjects of `newest` that have nothing in flight, in the order in
    /// which they arrived.
    order: VecDeque<String>,
    /// Messages that were sent and must be resent.
    retries: VecDeque<OutgoingMessage>,
    /// The subjects of `retries` and `sending`.
    in_flight_subjects: FxHashSet<String>,
    /// Messages that were sent and not acknowledged.
    sending: FuturesUnordered<BoxFuture<'static, (OutgoingMessage, Result<(), PublishError>)>>,
    /// When sending resumes after a failure.
    resume: Instant,
    /// The length of the next pause; it doubles up to [`LONGEST`].
    pause: Duration,
    /// Since when nothing was acknowledged.
    failing: Option<Instant>,
    /// The acknowledged subjects, shared with an observer.
    acknowledged: Arc<Mutex<SubjectSet>>,
}

impl LatestPublisher {
    /// A publisher with at most `window` messages in flight, at least one.
    pub fn new(client: &Client, window: usize) -> LatestPublisher {
        let window = window.max(1);
        LatestPublisher {
            client: client.clone(),
            jetstream: context(client, window),
            window,
            newest: FxHashMap::default(),
            order: VecDeque::new(),
            retries: VecDeque::new(),
            in_flight_subjects: FxHashSet::default(),
            sending: FuturesUnordered::new(),
            resume: Instant::now(),
            pause: PAUSE,
            failing: None,
            acknowledged: Arc::default(),
        }
    }

    /// Records every subject that is acknowledged from now on in a shared set.
    pub fn recording_into(self, acknowledged: Arc<Mutex<SubjectSet>>) -> LatestPublisher {
        LatestPublisher {
            acknowledged,
            ..self
        }
    }

    /// Enqueues the newest message of its subject, which replaces one that
    /// waits. Sends nothing yet.
    pub fn put(&mut self, message: OutgoingMessage) {
        let subject = message.subject.clone();
        let waited = self.newest.insert(subject.clone(), message).is_some();
        if !waited && !self.in_flight_subjects.contains(&subject) {
            self.order.push_back(subject);
        }
    }

    /// The number of subjects with unacknowledged messages, counting a subject
    /// twice if a newer message waits behind one in flight.
    pub fn pending(&self) -> usize {
        self.newest.len() + self.in_flight_subjects.len()
    }

    /// Sends messages and awaits acknowledgments until all have arrived or
    /// `wait` has passed. Cancel-safe; makes no progress while it is not
    /// polled.
    ///
    /// # Errors
    /// [`super::NatsErrorKind::Publish`] if the server refuses a message and
    /// has acknowledged none for some seconds, or if a message is too large,
    /// which is dropped. All others are kept; calling again resumes.
    pub async fn flush_for(&mut self, wait: Duration) -> Result<(), NatsError> {
        let flushed = tokio::time::timeout(wait, self.flush()).await;
        flushed.unwrap_or(Ok(()))
    }

    /// Sends messages and awaits all acknowledgments, however long the server
    /// is unavailable.
    ///
    /// # Errors
    /// As [`LatestPublisher::flush_for`].
    pub async fn flush(&mut self) -> Result<(), NatsError> {
        while self.pending() > 0 {
            self.fill_window();
            let next = match self.sending.is_empty() {
                true => {
                    tokio::time::sleep_until(self.resume).await;
                    continue;
                }
                false => self.sending.next().await,
            };
            if let Some((message, result)) = next {
                self.handle_ack(message, result)?;
            }
        }
        Ok(())
    }

    /// Sends messages until the window is full, retries first.
    fn fill_window(&mut self) {
        while self.sending.len() < self.window && Instant::now() >= self.resume {
            let next = self.retries.pop_front().or_else(|| {
                let subject = self.order.pop_front()?;
                self.newest.remove(&subject)
            });
            let Some(message) = next else {
                return;
            };
            self.in_flight_subjects.insert(message.subject.clone());
            let (client, jetstream) = (self.client.clone(), self.jetstream.clone());
            self.sending.push(Box::pin(async move {
                let connected = connections(&client);
                let result = match dispatch(&jetstream, &message).await {
                    Ok(ack) => acknowledged(&client, ack, connected).await,
                    Err(error) => Err(error),
                };
                (message, result)
            }));
        }
    }

    /// Handles the outcome of one message: releases its subject, or schedules a
    /// retry.
    fn handle_ack(
        &mut self,
        message: OutgoingMessage,
        result: Result<(), PublishError>,
    ) -> Result<(), NatsError> {
        let error = match result {
            Ok(()) => {
                (self.failing, self.pause) = (None, PAUSE);
                let mut acknowledged = self
                    .acknowledged
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                acknowledged.insert(&message.subject);
                drop(acknowledged);
                self.release_subject(&message.subject);
                return Ok(());
            }
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                self.release_subject(&message.subject);
                return Err(publish_error(&message.subject, error));
            }
            Err(error) => error,
        };
        let now = Instant::now();
        let since = *self.failing.get_or_insert(now);
        if now >= self.resume {
            tracing::warn!(pending = self.pending(), %error, "retrying to publish cells");
            self.resume = now + self.pause;
            self.pause = (self.pause * 2).min(LONGEST);
        }
        let refused = !matches!(
            error.kind(),
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe
        );
        let subject = message.subject.clone();
        self.retries.push_back(message);
        if refused && since.elapsed() > PATIENCE {
            // Once for all that are refused in this while.
            self.failing = Some(now);
            return Err(publish_error(&subject, error));
        }
        Ok(())
    }

    /// Marks that a subject has nothing in flight; a message of it that waits
    /// is next.
    fn release_subject(&mut self, subject: &str) {
        self.in_flight_subjects.remove(subject);
        if self.newest.contains_key(subject) {
            self.order.push_back(subject.to_owned());
        }
    }
}
