//! The publisher of released cells.
//!
//! A cell is an absolute value, so that only its newest version matters. The
//! publisher keeps for each cell the newest version that the broker has not
//! acknowledged, and nothing else, however long the broker is unavailable:
//! memory is bounded by the number of cells.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tributary_connectors::nats::{Client, Fence, LatestPublisher, OutgoingMessage, SubjectSet};
use tributary_operators::cell::Cell;
use tributary_operators::cells::Standing;
use tributary_operators::engine::Epoch;

use crate::otlp::spans::{Stage, Traces};
use crate::report::metrics::Metrics;
use crate::report::telemetry::Telemetry;

/// Maximum number of unacknowledged messages in flight.
const WINDOW: usize = 512;

/// Maximum number of commands that are executed before messages are sent again.
const AT_ONCE: usize = 4096;

/// A command to the publisher.
pub enum PublisherCommand {
    /// States which messages the stream holds: their subjects and sequences.
    Stored(Vec<(String, u64)>),
    /// Publishes a cell.
    Cell {
        /// The cell, without values if it closes.
        cell: Cell,
        /// The epoch that changed it.
        epoch: Epoch,
        /// The time of its release, Unix milliseconds.
        released: i64,
        /// How it stands outside.
        standing: Standing,
    },
    /// Publishes a message of the stream once more.
    Again(OutgoingMessage),
    /// Confirms when the broker has everything that came before.
    Confirm(oneshot::Sender<()>),
}

/// Publishes cells to a stream until the channel closes, and returns when the
/// broker has acknowledged all of them. Sends nothing while `fence` does not
/// hold. `acknowledged` receives the subjects that the broker has acknowledged.
///
/// # Errors
///
/// None; failed attempts are retried without limit.
pub async fn publish(
    client: Client,
    stream: String,
    fence: Fence,
    mut outgoing: mpsc::UnboundedReceiver<PublisherCommand>,
    telemetry: Telemetry,
    acknowledged: Arc<Mutex<SubjectSet>>,
) -> anyhow::Result<()> {
    let mut latest = LatestPublisher::new(&client, &stream, WINDOW)
        .fenced(fence)
        .recording_into(acknowledged);
    let Telemetry {
        metrics, traces, ..
    } = telemetry;
    let mut traced = TracedEpochs::default();
    let mut batch = Vec::new();
    let mut waiting = Vec::new();
    loop {
        let more = tokio::select! {
            biased;
            count = outgoing.recv_many(&mut batch, AT_ONCE) => count > 0,
            flushed = latest.flush(), if latest.pending() > 0 => {
                log_retry(flushed, &metrics);
                true
            }
        };
        for out in batch.drain(..) {
            match out {
                PublisherCommand::Stored(messages) => messages
                    .iter()
                    .for_each(|(subject, sequence)| latest.stored(subject, *sequence)),
                PublisherCommand::Cell {
                    cell,
                    epoch,
                    released,
                    standing,
                } => {
                    let closed = cell.values.is_empty();
                    metrics.published(u64::from(!closed), u64::from(closed), 0);
                    traced.add(&traces, epoch);
                    latest.put(OutgoingMessage::cell(&cell, epoch, released, standing));
                }
                PublisherCommand::Again(message) => latest.put(message),
                PublisherCommand::Confirm(confirm) => waiting.push(confirm),
            }
        }
        metrics.unacknowledged(latest.pending());
        if latest.pending() == 0 {
            traced.acknowledged(&traces);
            // Whoever waits may have ended.
            waiting.drain(..).for_each(|confirm: oneshot::Sender<()>| {
                let _ = confirm.send(());
            });
        }
        if !more {
            break;
        }
    }
    while latest.pending() > 0 {
        log_retry(latest.flush().await, &metrics);
    }
    traced.acknowledged(&traces);
    Ok(())
}

/// Maximum number of traced epochs whose cells wait for the broker.
const TRACED: usize = 64;

/// The traced epochs with cells that the broker has not acknowledged: when the first
/// cell of each arrived, and their number.
#[derive(Default)]
struct TracedEpochs {
    waiting: BTreeMap<Epoch, (Instant, u64)>,
    /// The epoch of the last cell, and whether it is traced: cells come in rows.
    last: Option<(Epoch, bool)>,
}

impl TracedEpochs {
    /// Adds a cell. While the broker is away, the newest epochs are traced.
    fn add(&mut self, traces: &Traces, epoch: Epoch) {
        let is_traced = match self.last {
            Some((last, is_traced)) if last == epoch => is_traced,
            _ => traces.has(epoch),
        };
        self.last = Some((epoch, is_traced));
        if is_traced {
            let begin = || (Instant::now(), 0);
            self.waiting.entry(epoch).or_insert_with(begin).1 += 1;
            if self.waiting.len() > TRACED {
                self.waiting.pop_first();
            }
        }
    }

    /// Traces the publication of all epochs: nothing is unacknowledged.
    fn acknowledged(&mut self, traces: &Traces) {
        for (epoch, (begun, cells)) in std::mem::take(&mut self.waiting) {
            let times = (begun, Instant::now());
            traces.stage(epoch, Stage::Publish, times, &[("cells", cells)]);
        }
    }
}

/// Logs and counts a failed attempt.
fn log_retry(flushed: Result<(), tributary_connectors::nats::NatsError>, metrics: &Metrics) {
    if let Err(error) = flushed {
        metrics.published(0, 0, 1);
        tracing::warn!(%error, "retrying to publish");
    }
}
