//! Follows the output stream, so that a process shows the released cells of the
//! whole cluster.
//!
//! A worker of a cluster owns a part of the cells, and `tributary serve` owns
//! none. Both read the stream from its beginning, where it holds the latest value
//! of each cell, and then each change. A closed cell is removed when its tombstone
//! arrives. If the stream was recreated, which shows in a last sequence below the
//! one that was read, the cells are read anew. An error that lasts, such as a
//! missing stream, is a reason why the process is not ready, and is retried.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use tributary_config::model::Config;
use tributary_connectors::nats::{Client, NatsError, Reader, stream_state};
use tributary_connectors::out::parse_cell;
use tributary_operators::cell::{Dim, Family};

use crate::broker::retry::{retry_transient, wait_until};
use crate::report::health::Health;
use crate::report::published_cells::{PublishedCells, SharedCells};

/// Maximum number of messages per read.
const BATCH: usize = 1_000;

/// Maximum time to wait for the next message, after which the stream is checked.
const LOOK: Duration = Duration::from_secs(5);

/// Pause before another attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// Applies the cells of the configured brands to `cells` until `stop`. `is_alone`
/// states that the process does nothing else: it is connected when the stream is
/// read, and has caught up when the cells are those of the stream.
pub async fn follow(
    client: &Client,
    config: &Config,
    cells: &SharedCells,
    health: &Health,
    is_alone: bool,
    stop: watch::Receiver<bool>,
) {
    let followed = async {
        loop {
            let Err(error) = read(client, config, cells, health, is_alone).await;
            let reason = format!("the page and queries do not follow the output stream: {error}");
            tracing::error!("{reason}");
            health.set_follower(Some(reason));
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = followed => {}
        () = wait_until(stop) => {}
    }
}

/// Reads the stream forever, from its beginning.
///
/// # Errors
///
/// An error of the broker that lasts, or that a retry cannot resolve.
async fn read(
    client: &Client,
    config: &Config,
    cells: &SharedCells,
    health: &Health,
    is_alone: bool,
) -> Result<Infallible, NatsError> {
    let stream = &config.nats.output_stream;
    let mut reader = retry_transient(|| Reader::open(client, stream, 1)).await?;
    // What is left of an earlier attempt may be closed by now.
    *cells.lock() = PublishedCells::default();
    loop {
        let messages = match reader.next_batch(BATCH, LOOK).await {
            Ok(messages) => messages,
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "retrying to read released cells");
                if is_alone {
                    health.set_connected(false);
                }
                tokio::time::sleep(PAUSE).await;
                let next = reader.next_sequence();
                reader = retry_transient(|| Reader::open(client, stream, next)).await?;
                continue;
            }
            Err(error) => return Err(error),
        };
        if messages.is_empty() {
            let state = retry_transient(|| stream_state(client, stream)).await?;
            if state.last_sequence + 1 < reader.next_sequence() {
                tracing::warn!("the output stream was recreated: reading it anew");
                *cells.lock() = PublishedCells::default();
                reader = retry_transient(|| Reader::open(client, stream, 1)).await?;
            }
        }
        {
            let mut cells = cells.lock();
            for message in &messages {
                let family = message.subject.split('.').nth(3).and_then(Family::of);
                let cell = family.and_then(|family| parse_cell(family, &message.payload));
                let is_configured = |dim: Option<&Dim>| match dim {
                    Some(Dim::Text(name)) => config.brands.iter().any(|brand| brand.name == **name),
                    _ => false,
                };
                if let Some((cell, _)) = cell.filter(|(cell, _)| is_configured(cell.dims.first())) {
                    cells.apply(&cell);
                }
            }
        }
        health.set_follower(None);
        if is_alone {
            health.set_connected(true);
            health.progress();
            if reader.caught_up() {
                health.set_caught_up(true);
            }
        }
    }
}
