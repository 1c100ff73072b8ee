//! The publisher of released cells.
//!
//! A cell is an absolute value, so that only its newest version matters. The
//! publisher keeps for each cell the newest version that the broker has not
//! acknowledged, and nothing else, however long the broker is unavailable:
//! memory is bounded by the number of cells.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};
use tributary_connectors::nats::{Client, Fence, LatestPublisher, OutgoingMessage, SubjectSet};
use tributary_operators::cell::Cell;
use tributary_operators::engine::Epoch;

use crate::report::metrics::Metrics;

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
    },
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
    metrics: Arc<Metrics>,
    acknowledged: Arc<Mutex<SubjectSet>>,
) -> anyhow::Result<()> {
    let mut latest = LatestPublisher::new(&client, &stream, WINDOW)
        .fenced(fence)
        .recording_into(acknowledged);
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
                } => {
                    let closed = cell.values.is_empty();
                    metrics.published(u64::from(!closed), u64::from(closed), 0);
                    latest.put(OutgoingMessage::cell(&cell, epoch, released));
                }
                PublisherCommand::Confirm(confirm) => waiting.push(confirm),
            }
        }
        metrics.unacknowledged(latest.pending());
        if latest.pending() == 0 {
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
    Ok(())
}

/// Logs and counts a failed attempt.
fn log_retry(flushed: Result<(), tributary_connectors::nats::NatsError>, metrics: &Metrics) {
    if let Err(error) = flushed {
        metrics.published(0, 0, 1);
        tracing::warn!(%error, "retrying to publish");
    }
}
