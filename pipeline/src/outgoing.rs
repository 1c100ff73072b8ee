//! Outgoing: released cells on their way to the broker.
//!
//! However long the broker is away, what waits is the newest value of each cell and no more.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, oneshot};
use tributary_connectors::nats::{Client, LatestPublisher, OutgoingMessage, SubjectSet};

use crate::http::State;

/// Cells in flight to the broker.
const WINDOW: usize = 512;

/// What leaves.
pub enum Out {
    /// A cell's message.
    Cell {
        /// The message.
        message: OutgoingMessage,
        /// Whether it is a tombstone.
        closed: bool,
    },
    /// Somebody hears when the broker has all that came before.
    Heard(oneshot::Sender<()>),
}

/// Publishes what comes until the channel ends, and waits until the broker has all of it. `told` takes the subjects that
/// the broker has acknowledged.
pub async fn publish(
    client: Client,
    mut outgoing: mpsc::UnboundedReceiver<Out>,
    state: Arc<State>,
    told: Arc<Mutex<SubjectSet>>,
) -> anyhow::Result<()> {
    let mut latest = LatestPublisher::new(&client, WINDOW).recording_into(told);
    let mut batch = Vec::new();
    let mut waiting = Vec::new();
    loop {
        let more = tokio::select! {
            biased;
            count = outgoing.recv_many(&mut batch, usize::MAX) => count > 0,
            flushed = latest.flush(), if latest.pending() > 0 => {
                again(flushed, &state);
                true
            }
        };
        for out in batch.drain(..) {
            match out {
                Out::Cell { message, closed } => {
                    state
                        .metrics
                        .published(u64::from(!closed), u64::from(closed), 0);
                    latest.put(message);
                }
                Out::Heard(heard) => waiting.push(heard),
            }
        }
        if latest.pending() == 0 {
            // Whoever waits may have ended.
            waiting.drain(..).for_each(|heard: oneshot::Sender<()>| {
                let _ = heard.send(());
            });
        }
        if !more {
            break;
        }
    }
    while latest.pending() > 0 {
        again(latest.flush().await, &state);
    }
    Ok(())
}

fn again(flushed: Result<(), tributary_connectors::nats::NatsError>, state: &State) {
    if let Err(error) = flushed {
        state.metrics.published(0, 0, 1);
        tracing::warn!(%error, "retrying to publish");
    }
}
