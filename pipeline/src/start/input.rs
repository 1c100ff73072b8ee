//! Opens the input stream at the position of the ledger.
//!
//! The position names the stream by its creation time. A stream that was
//! recreated, truncated or purged beyond the position has lost messages; the
//! start is refused unless the operator accepts the loss. A recreated or
//! truncated stream assigns sequence numbers again, so that the generation of
//! the position increases: what arrives now orders after everything before.

use anyhow::Context;
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, Input, InputRequest, LossKind, NatsError};
use tributary_ledger::{Position, StreamPosition};

use crate::broker::retry::retry_transient;
use crate::durability::location::ledger_options;

/// Describes the input after `position`. Without a position, cells in the
/// output stream prove that an earlier run existed whose ledger is missing.
///
/// # Errors
///
/// A broker that does not answer.
pub(super) async fn wanted(
    client: &Client,
    config: &Config,
    position: Option<Position>,
    accept_loss: bool,
) -> anyhow::Result<InputRequest> {
    let before = position.and_then(|position| position.stream);
    let mut published = false;
    if position.is_none() {
        for brand in &config.brands {
            let cells = format!("tributary.out.{}.>", brand.name);
            let stream = &config.nats.output_stream;
            published |= retry_transient(|| nats::has_messages(client, stream, &cells)).await?;
        }
    }
    Ok(InputRequest {
        stream: config.nats.input_stream.clone(),
        process: config.workers.process,
        processes: config.workers.hosts.len().max(1),
        partitions: config.nats.partitions,
        next: position.map_or(1, |position| position.sequence + 1),
        created: before.map(|stream| stream.created_ns),
        published,
        accept_loss,
    })
}

/// Adds to a lost input that the ledger is missing as well, if cells of an
/// earlier run prove it.
pub(super) fn explained<T>(
    result: Result<T, NatsError>,
    config: &Config,
    wanted: &InputRequest,
) -> anyhow::Result<T> {
    match wanted.published {
        true => result.with_context(|| {
            format!(
                "{} holds no ledger, but the stream {} holds cells of an earlier run",
                ledger_options(config).directory.display(),
                config.nats.output_stream
            )
        }),
        false => result.map_err(Into::into),
    }
}

/// Opens the input after `position`, and returns it with the stream position
/// that later commits store.
///
/// # Errors
///
/// A loss that was not accepted, or a broker that does not answer.
pub(super) async fn open_input(
    client: &Client,
    config: &Config,
    position: Option<Position>,
    accept_loss: bool,
) -> anyhow::Result<(Input, StreamPosition)> {
    let before = position.and_then(|position| position.stream);
    let wanted = wanted(client, config, position, accept_loss).await?;
    let input = retry_transient(|| Input::open(client, wanted.clone())).await;
    let input = explained(input, config, &wanted)?;
    let mut generation = before.map_or(1, |stream| stream.generation);
    if let Some(loss) = input.accepted_loss() {
        let (from, to, next) = (loss.from, loss.to, loss.resume);
        match loss.kind {
            LossKind::Dropped => {
                tracing::error!(
                    from,
                    to,
                    next,
                    "these sequences were never read (loss accepted)"
                );
            }
            LossKind::Truncated => {
                tracing::error!(
                    from,
                    to,
                    next,
                    "the end of the input stream was lost upstream (loss accepted)"
                );
            }
            LossKind::Recreated => {
                tracing::error!(next, "the input stream was replaced (loss accepted)");
            }
        }
        // Sequences that were given before are given again: what comes now is later than all of them.
        if loss.kind != LossKind::Dropped {
            generation = generation.saturating_add(1);
        }
    }
    let created_ns = input.created();
    Ok((
        input,
        StreamPosition {
            created_ns,
            generation,
        },
    ))
}
