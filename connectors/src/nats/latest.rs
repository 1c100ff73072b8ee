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
//! *Each message names the sequence of the value that it replaces*, and the
//! broker refuses it if another one has come between. A late copy behind the
//! cell's next value is refused, however late it comes.
//!
//! A refusal has three reasons, and the last message of the subject tells which.
//! It may be this very message, known by its id, whose acknowledgment was lost.
//! It may be missing, because the stream was emptied or replaced. Otherwise
//! another process has published the cell. Then either that one or this one is
//! not entitled to: the publisher waits until this process has renewed its
//! lease ([`super::Fence`]), which only the entitled one can, and replaces the
//! value of the other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::context::{Context, PublishError, PublishErrorKind};
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, HeaderValue, header};
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::Instant;

use super::connect::connections;
use super::error::NatsError;
use super::lease::Fence;
use super::outgoing::OutgoingMessage;
use super::publish::{PAUSE, acknowledged, context, is_wrong_sequence, publish_error};
use super::subject_set::SubjectSet;

/// The longest pause between two rounds of retries.
const LONGEST: Duration = Duration::from_secs(5);

/// How long the server may refuse every message before the publisher returns an
/// error.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause before another look whether this process may publish.
const LOOK: Duration = Duration::from_millis(50);

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// It is stored under a sequence.
    Stored(u64),
    /// It is not stored: its subject has no message.
    Empty,
    /// It is not stored: the last message of its subject is another one, with
    /// this sequence.
    Behind(u64),
}

/// A message, and what became of it.
type Answer = (OutgoingMessage, Result<Sent, PublishError>);

/// Publishes the newest message of every subject, with a bounded number in
/// flight.
pub struct LatestPublisher {
    client: Client,
    jetstream: Context,
    /// The stream that stores the messages.
    stream: Arc<str>,
    /// The sequence of the last message of each subject, by the subject's hash.
    /// Others have none, as far as is known.
    sequences: FxHashMap<u64, u64>,
    /// Whether this process may publish.
    fence: Option<Fence>,
    /// Since when the lease must have been renewed.
    renewed_since: Option<Instant>,
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
    sending: FuturesUnordered<BoxFuture<'static, Answer>>,
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
    /// A publisher to a stream with at most `window` messages in flight, at
    /// least one.
    pub fn new(client: &Client, stream: &str, window: usize) -> LatestPublisher {
        let window = window.max(1);
        LatestPublisher {
            client: client.clone(),
            jetstream: context(client, window),
            stream: stream.into(),
            sequences: FxHashMap::default(),
            fence: None,
            renewed_since: None,
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

    /// Publishes only while a lease is held.
    pub fn fenced(self, fence: Fence) -> LatestPublisher {
        let fence = Some(fence);
        LatestPublisher { fence, ..self }
    }

    /// States that the last message of a subject has a sequence. What is not
    /// stated is found out, one more request for each subject.
    pub fn stored(&mut self, subject: &str, sequence: u64) {
        self.sequences.insert(hash(subject), sequence);
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
                    let resume = self.resume.max(Instant::now() + LOOK);
                    tokio::time::sleep_until(resume).await;
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

    /// Sends messages until the window is full, retries first. Sends none
    /// without the lease.
    fn fill_window(&mut self) {
        let fence = self.fence.as_ref();
        if fence.is_some_and(|fence| !fence.holds(self.renewed_since)) {
            return;
        }
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
            let stream = self.stream.clone();
            let replaces = self.sequences.get(&hash(&message.subject)).copied();
            self.sending.push(Box::pin(async move {
                let replaces = replaces.unwrap_or(0);
                let sent = match replace(&client, &jetstream, &message, replaces).await {
                    Ok(sequence) => Ok(Sent::Stored(sequence)),
                    Err(error) if is_wrong_sequence(&error) => {
                        instead(&client, &stream, &message, error).await
                    }
                    Err(error) => Err(error),
                };
                (message, sent)
            }));
        }
    }

    /// Handles the outcome of one message: releases its subject, or schedules a
    /// retry.
    fn handle_ack(
        &mut self,
        message: OutgoingMessage,
        result: Result<Sent, PublishError>,
    ) -> Result<(), NatsError> {
        let key = hash(&message.subject);
        let error = match result {
            Ok(Sent::Empty) => {
                self.sequences.remove(&key);
                self.retries.push_back(message);
                return Ok(());
            }
            Ok(Sent::Behind(sequence)) => {
                self.sequences.insert(key, sequence);
                if let Some(fence) = &self.fence {
                    tracing::warn!(subject = %message.subject, "another process has published this cell");
                    self.renewed_since = Some(Instant::now());
                    fence.hurry();
                }
                self.retries.push_back(message);
                return Ok(());
            }
            Ok(Sent::Stored(sequence)) => {
                self.sequences.insert(key, sequence);
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

/// The hash of a subject.
fn hash(subject: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(subject.as_bytes())
}

/// Publishes a message in place of the one with a sequence, 0 for none. Returns
/// its sequence.
async fn replace(
    client: &Client,
    jetstream: &Context,
    message: &OutgoingMessage,
    sequence: u64,
) -> Result<u64, PublishError> {
    let connected = connections(client);
    let mut headers = message.header_map();
    headers.insert(
        header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
        HeaderValue::from(sequence),
    );
    let subject = message.subject.clone();
    let sent = jetstream.publish_with_headers(subject, headers, message.payload.clone());
    acknowledged(client, sent.await?, connected).await
}

/// What the stream stores in place of a message that it refused. `refusal` is
/// returned if it does not say.
async fn instead(
    client: &Client,
    stream: &str,
    message: &OutgoingMessage,
    refusal: PublishError,
) -> Result<Sent, PublishError> {
    let jetstream = jetstream::new(client.clone());
    let Ok(stream) = jetstream.get_stream_no_info(stream).await else {
        return Err(refusal);
    };
    let last = stream.get_last_raw_message_by_subject(&message.subject);
    match last.await {
        Ok(last) => {
            let id = last.headers.get(header::NATS_MESSAGE_ID);
            let is_this = id.map(HeaderValue::as_str) == message.id.as_deref() && id.is_some();
            Ok(match is_this {
                true => Sent::Stored(last.sequence),
                false => Sent::Behind(last.sequence),
            })
        }
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(Sent::Empty),
            LastRawMessageErrorKind::JetStream(answer)
                if answer.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
            {
                Ok(Sent::Empty)
            }
            _ => Err(refusal),
        },
    }
}
