//! Publishing cells: the newest value of each, once, whatever the broker does.
//!
//! A cell's message is an absolute value, so that of several that wait only the newest is worth
//! sending: what waits is bounded by the number of cells, however long the broker is away. What must
//! never happen is that an older value ends behind a newer one. [`Latest`] keeps to two rules.
//!
//! *One message of a subject is in flight at most, and it is sent until it is acknowledged.* A newer
//! value waits meanwhile; it does not replace what is in flight, because nobody knows whether that
//! has arrived, or still will, by a connection that was given up.
//!
//! *Every sending of one message has one id*, the cell's hash and the epoch. Copies of it that
//! arrive within the stream's duplicate window count once, at the place of the first: one that
//! comes late, behind the cell's next value, is passed over.
//!
//! Neither rule is enough alone. Without ids a late copy would overwrite the next value. With ids,
//! but both values in flight, the first could be lost, the second be stored, and the first, sent
//! again, be stored behind it, while the second, sent again, would be passed over as a duplicate:
//! the window would keep the older value. One at a time, the first is stored before the second
//! leaves.
//!
//! An epoch gives a cell one value at most: of two with the same id the second would be passed over.

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
use super::held::Subjects;
use super::outgoing::Outgoing;
use super::publish::{PAUSE, acknowledged, context, dispatch, failed};

/// The longest pause between two rounds of sending again.
const LONGEST: Duration = Duration::from_secs(5);

/// How long no message may be acknowledged, the server refusing them, before the caller hears of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Publishes the newest message of every subject, with a bounded number in flight.
pub struct Latest {
    client: Client,
    jetstream: Context,
    window: usize,
    /// The newest message of each subject that has not been sent.
    newest: FxHashMap<String, Outgoing>,
    /// Subjects of `newest` that nothing is in flight of, in the order they came.
    order: VecDeque<String>,
    /// What has been sent once and is to be sent again.
    again: VecDeque<Outgoing>,
    /// Subjects of `again` and `sending`.
    busy: FxHashSet<String>,
    sending: FuturesUnordered<BoxFuture<'static, (Outgoing, Result<(), PublishError>)>>,
    /// When sending goes on after a failure.
    resume: Instant,
    /// How long the next pause is.
    pause: Duration,
    /// Since when nothing was acknowledged.
    failing: Option<Instant>,
    /// The subjects that were acknowledged, for whoever looks.
    told: Arc<Mutex<Subjects>>,
}

impl Latest {
    /// A publisher with at most `window` messages in flight.
    pub fn new(client: &Client, window: usize) -> Latest {
        let window = window.max(1);
        Latest {
            client: client.clone(),
            jetstream: context(client, window),
            window,
            newest: FxHashMap::default(),
            order: VecDeque::new(),
            again: VecDeque::new(),
            busy: FxHashSet::default(),
            sending: FuturesUnordered::new(),
            resume: Instant::now(),
            pause: PAUSE,
            failing: None,
            told: Arc::default(),
        }
    }

    /// Puts the subjects that are acknowledged from now on into this set.
    pub fn noting(self, told: Arc<Mutex<Subjects>>) -> Latest {
        Latest { told, ..self }
    }

    /// Takes the newest message of its subject; it replaces one that waits. Sends nothing yet.
    pub fn put(&mut self, message: Outgoing) {
        let subject = message.subject.clone();
        let waited = self.newest.insert(subject.clone(), message).is_some();
        if !waited && !self.busy.contains(&subject) {
            self.order.push_back(subject);
        }
    }

    /// How many messages are not acknowledged yet.
    pub fn pending(&self) -> usize {
        self.newest.len() + self.busy.len()
    }

    /// Sends and awaits acknowledgements until all have come or `wait` has passed. Can be given up
    /// at any time without losing anything; does nothing while it is not awaited.
    ///
    /// # Errors
    /// [`super::NatsErrorKind::Publish`], when the server refuses a message and has acknowledged
    /// none for some seconds, or when a message is too large, which is dropped. Everything else is
    /// kept: calling again goes on.
    pub async fn work(&mut self, wait: Duration) -> Result<(), NatsError> {
        let flushed = tokio::time::timeout(wait, self.flush()).await;
        flushed.unwrap_or(Ok(()))
    }

    /// Waits until the server has acknowledged everything, however long it is away.
    ///
    /// # Errors
    /// As [`Latest::work`].
    pub async fn flush(&mut self) -> Result<(), NatsError> {
        while self.pending() > 0 {
            self.fill();
            let next = match self.sending.is_empty() {
                true => {
                    tokio::time::sleep_until(self.resume).await;
                    continue;
                }
                false => self.sending.next().await,
            };
            if let Some((message, result)) = next {
                self.settle(message, result)?;
            }
        }
        Ok(())
    }

    fn fill(&mut self) {
        while self.sending.len() < self.window && Instant::now() >= self.resume {
            let next = self.again.pop_front().or_else(|| {
                let subject = self.order.pop_front()?;
                self.newest.remove(&subject)
            });
            let Some(message) = next else {
                return;
            };
            self.busy.insert(message.subject.clone());
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

    fn settle(
        &mut self,
        message: Outgoing,
        result: Result<(), PublishError>,
    ) -> Result<(), NatsError> {
        let error = match result {
            Ok(()) => {
                (self.failing, self.pause) = (None, PAUSE);
                let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
                told.insert(&message.subject);
                drop(told);
                self.done(&message.subject);
                return Ok(());
            }
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                self.done(&message.subject);
                return Err(failed(&message.subject, error));
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
        self.again.push_back(message);
        if refused && since.elapsed() > PATIENCE {
            // Once for all that are refused in this while.
            self.failing = Some(now);
            return Err(failed(&subject, error));
        }
        Ok(())
    }

    /// Nothing of a subject is in flight any more; what waits of it is next.
    fn done(&mut self, subject: &str) {
        self.busy.remove(subject);
        if self.newest.contains_key(subject) {
            self.order.push_back(subject.to_owned());
        }
    }
}
