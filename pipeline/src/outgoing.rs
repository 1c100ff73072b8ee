//! Outgoing: released cells on their way to the broker.
//!
//! However long the broker is away, what waits is the newest value of each cell and no more.

use std::sync::Arc;

use tokio::sync::mpsc;
use tributary_connectors::nats::{Client, Latest, Outgoing};

use crate::http::State;

/// Cells in flight to the broker.
const WINDOW: usize = 512;

/// A cell's message, and whether it closes the cell.
pub struct Out {
    /// The message.
    pub message: Outgoing,
    /// Whether it is a tombstone.
    pub closed: bool,
}

/// Publishes what comes until the channel ends, and waits until the broker has all of it.
pub async fn publish(
    client: Client,
    mut outgoing: mpsc::UnboundedReceiver<Out>,
    state: Arc<State>,
) -> anyhow::Result<()> {
    let mut latest = Latest::new(&client, WINDOW);
    let mut batch = Vec::new();
    loop {
        let more = tokio::select! {
            biased;
            count = outgoing.recv_many(&mut batch, usize::MAX) => count > 0,
            flushed = latest.flush(), if latest.pending() > 0 => {
                again(flushed, &state);
                continue;
            }
        };
        for Out { message, closed } in batch.drain(..) {
            state
                .metrics
                .published(u64::from(!closed), u64::from(closed), 0);
            latest.put(message);
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
        tracing::warn!(%error, "publishing again");
    }
}
