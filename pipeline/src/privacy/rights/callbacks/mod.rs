//! Callbacks of OpenDSR (8.5): every change of the status of a request is
//! posted to the URLs that its controller has named.
//!
//! The registrar stores a callback in the rights stream in the same step that
//! publishes the status, and before it deletes the request; [`deliver`] posts
//! it and deletes the message. A kill in between posts it again. Callbacks to
//! one origin are posted in order, and to several at the same time, so that a
//! controller that is slow delays its own alone; while the first one fails, it
//! is repeated with a growing pause, for at most a day after the change.
//!
//! An entry is the body as it is sent: it names the request and its status, and
//! nothing about the person.

mod address;
mod post;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, InMessage, Reader, subject as subjects};

use super::signature::Signer;
use super::time::now;
use crate::broker::retry::retry_transient;
use crate::report::metrics::Metrics;
pub use post::{CallbackError, Poster, permitted};

/// Name of the header of a request that carries a callback URL; it may be there
/// several times.
pub const HEADER: &str = "Tributary-Callback";

/// Maximum time to wait for an entry before due attempts are made.
const LOOK: Duration = Duration::from_millis(500);

/// The first pause after a failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Time after which an entry is given up, in milliseconds.
const GIVEN_UP_MS: i64 = 86_400_000;

/// Maximum number of entries in memory; others wait in the stream.
const QUEUED: usize = 10_000;

/// Maximum number of origins that are posted to at a time.
const AT_ONCE: usize = 32;

/// Maximum number of entries of an origin that are posted in a row. A controller
/// that is slow frees its place for another one after them.
const ROUND: usize = 8;

/// A callback that waits.
#[derive(Clone)]
struct Entry {
    /// Its message in the rights stream.
    sequence: u64,
    /// When the status changed, Unix milliseconds.
    at: i64,
    /// Where it goes.
    url: String,
    /// What is posted.
    body: Bytes,
}

/// The callbacks to one origin, the oldest first.
struct Queue {
    /// What waits.
    entries: VecDeque<Entry>,
    /// The earliest time of the next attempt.
    due: Instant,
    /// The pause after the next failure.
    pause: Duration,
    /// Whether its first entries are being posted.
    is_posting: bool,
}

/// How a round of an origin ended.
struct Round {
    origin: String,
    /// Number of entries that are done.
    done: usize,
    /// Whether one was delivered.
    has_sent: bool,
    /// Whether the last one failed and is to be repeated.
    has_failed: bool,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue {
            entries: VecDeque::new(),
            due: Instant::now(),
            pause: FIRST_PAUSE,
            is_posting: false,
        }
    }
}

impl Queue {
    /// Notes how a round ended.
    fn end(&mut self, round: &Round) {
        self.is_posting = false;
        self.entries.drain(..round.done);
        if round.has_sent {
            self.pause = FIRST_PAUSE;
        }
        if round.has_failed {
            self.due = Instant::now() + self.pause;
            self.pause = LONGEST_PAUSE.min(self.pause * 2);
        }
    }
}

/// Reads an entry; `None` for a message that is none.
fn entry(message: InMessage) -> Option<Entry> {
    #[derive(Deserialize)]
    struct Body {
        status_callback_url: String,
    }
    let body: Body = serde_json::from_slice(&message.payload).ok()?;
    Some(Entry {
        sequence: message.sequence,
        at: message.at_ms,
        url: body.status_callback_url,
        body: message.payload,
    })
}

/// Posts the callbacks of the rights stream until `stop`. Runs on the
/// registrar alone.
///
/// # Errors
///
/// TLS that cannot be set up, or an error of the broker that a retry cannot
/// resolve.
pub async fn deliver(
    config: &Config,
    client: &Client,
    signer: Arc<Signer>,
    metrics: Arc<Metrics>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let poster = Arc::new(Poster::new(&config.http, signer)?);
    let stream = &config.nats.rights_stream;
    let all = subjects::rights_callbacks("*");
    let mut reader = retry_transient(|| Reader::filtered(client, stream, &all, 1)).await?;
    let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
    let mut rounds = JoinSet::new();
    while !*stop.borrow() {
        let waiting: usize = queues.values().map(|queue| queue.entries.len()).sum();
        let messages = match waiting < QUEUED {
            true => reader.next_batch(QUEUED, LOOK).await,
            false => {
                tokio::time::sleep(LOOK).await;
                Ok(Vec::new())
            }
        };
        let messages = match messages {
            Ok(messages) => messages,
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "retrying to read callbacks");
                tokio::time::sleep(LOOK).await;
                let next = reader.next_sequence();
                reader = retry_transient(|| Reader::filtered(client, stream, &all, next)).await?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for message in messages {
            let brand = message.subject.split('.').nth(2).unwrap_or_default();
            if config.is_of_other_shard(brand) {
                continue;
            }
            let sequence = message.sequence;
            let origin = |entry: Entry| {
                let url = permitted(&entry.url, &config.http.opendsr_callbacks)?;
                Some((url.origin().ascii_serialization(), entry))
            };
            match entry(message).and_then(origin) {
                Some((origin, entry)) => queues.entry(origin).or_default().entries.push_back(entry),
                None => {
                    tracing::warn!("a callback to an origin that is not configured is dropped");
                    delete(client, stream, sequence).await;
                }
            }
        }
        while let Some(round) = rounds.try_join_next() {
            let round: Round = round?;
            if let Some(queue) = queues.get_mut(&round.origin) {
                queue.end(&round);
            }
        }
        queues.retain(|_, queue| !queue.entries.is_empty());
        let mut due: Vec<_> = queues
            .iter_mut()
            .filter(|(_, queue)| !queue.is_posting && queue.due <= Instant::now())
            .collect();
        due.sort_by_key(|(_, queue)| queue.due);
        for (origin, queue) in due.into_iter().take(AT_ONCE - rounds.len()) {
            queue.is_posting = true;
            queue.due = Instant::now();
            rounds.spawn(post(
                poster.clone(),
                client.clone(),
                stream.clone(),
                metrics.clone(),
                origin.clone(),
                queue.entries.iter().take(ROUND).cloned().collect(),
            ));
        }
    }
    Ok(())
}

/// Posts the first entries of an origin, until one fails.
async fn post(
    poster: Arc<Poster>,
    client: Client,
    stream: String,
    metrics: Arc<Metrics>,
    origin: String,
    entries: Vec<Entry>,
) -> Round {
    let mut round = Round {
        origin,
        done: 0,
        has_sent: false,
        has_failed: false,
    };
    let origin = &round.origin;
    for entry in entries {
        match poster.post(&entry.url, entry.body).await {
            Ok(()) => {
                metrics.callback("sent");
                round.has_sent = true;
            }
            Err(error) if now() - entry.at < GIVEN_UP_MS => {
                metrics.callback("failed");
                tracing::warn!(origin, %error, "a callback failed and is repeated");
                round.has_failed = true;
                return round;
            }
            Err(error) => {
                metrics.callback("given_up");
                tracing::error!(origin, %error, "a callback is given up after a day: inform the controller");
            }
        }
        delete(&client, &stream, entry.sequence).await;
        round.done += 1;
    }
    round
}

/// Deletes a message. What cannot be deleted is posted again after a restart.
async fn delete(client: &Client, stream: &str, sequence: u64) {
    if let Err(error) = nats::delete_message(client, stream, sequence).await {
        tracing::warn!(%error, "cannot delete a callback that is done");
    }
}
