//! The publisher of released cells.
//!
//! Of each cell it keeps the newest value that the broker has not acknowledged, and no more, however long the broker is away.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};
use tributary_connectors::nats::{Client, LatestPublisher, OutgoingMessage, SubjectSet};

use crate::report::metrics::Metrics;

/// Cells in flight to the broker.
const WINDOW: usize = 512;

/// A command to the publisher.
pub enum PublisherCommand {
    /// Publishes a cell.
    Cell {
        /// The message.
        message: OutgoingMessage,
        /// Whether it is a tombstone.
        closed: bool,
    },
    /// Confirms when the broker has everything that came before.
    Confirm(oneshot::Sender<()>),
}

/// Publishes what comes until the channel ends, and waits until the broker has all of it. `acknowledged` takes the subjects that
/// the broker has acknowledged.
pub async fn publish(
    client: Client,
    mut outgoing: mpsc::UnboundedReceiver<PublisherCommand>,
    metrics: Arc<Metrics>,
    acknowledged: Arc<Mutex<SubjectSet>>,
) -> anyhow::Result<()> {
    let mut latest = LatestPublisher::new(&client, WINDOW).recording_into(acknowledged);
    let mut batch = Vec::new();
    let mut waiting = Vec::new();
    loop {
        let more = tokio::select! {
            biased;
            count = outgoing.recv_many(&mut batch, usize::MAX) => count > 0,
            flushed = latest.flush(), if latest.pending() > 0 => {
                log_retry(flushed, &metrics);
                true
            }
        };
        for out in batch.drain(..) {
            match out {
                PublisherCommand::Cell { message, closed } => {
                    metrics.published(u64::from(!closed), u64::from(closed), 0);
                    latest.put(message);
                }
                PublisherCommand::Confirm(confirm) => waiting.push(confirm),
            }
        }
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

fn log_retry(flushed: Result<(), tributary_connectors::nats::NatsError>, metrics: &Metrics) {
    if let Err(error) = flushed {
        metrics.published(0, 0, 1);
        tracing::warn!(%error, "retrying to publish");
    }
}
