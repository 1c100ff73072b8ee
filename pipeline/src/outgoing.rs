//! Outgoing: cells and dead letters on their way to the broker, in order, until it has them.

use std::sync::Arc;

use anyhow::Context;
use async_nats::Client;
use tokio::sync::mpsc;
use tributary_connectors::nats::{Outgoing, Publisher};

use crate::http::State;

/// What goes to the broker.
pub enum Out {
    /// A cell, and whether it is closed.
    Cell(Outgoing, bool),
    /// A refused line.
    Dead(Outgoing),
}

/// Publishes what comes until the channel ends, and waits until the broker has all of it.
pub async fn publish(
    client: Client,
    mut outgoing: mpsc::UnboundedReceiver<Out>,
    state: Arc<State>,
) -> anyhow::Result<()> {
    let mut publisher = Publisher::new(&client, 512);
    while let Some(out) = outgoing.recv().await {
        let message = match out {
            Out::Cell(message, closed) => {
                state
                    .metrics
                    .published(u64::from(!closed), u64::from(closed), 0);
                message
            }
            Out::Dead(message) => message,
        };
        if let Err(error) = publisher.send(message).await {
            state.metrics.published(0, 0, 1);
            tracing::warn!(%error, "publishing again");
        }
        if outgoing.is_empty() {
            while let Err(error) = publisher.flush().await {
                state.metrics.published(0, 0, 1);
                tracing::warn!(%error, "publishing again");
                if outgoing.is_closed() && !error.is_transient() {
                    return Err(error.into());
                }
            }
        }
    }
    publisher
        .flush()
        .await
        .context("the last messages could not be published")
}
