//! Opens the input stream, and that of pings, at the positions of the ledger.
//!
//! The position names the stream by its creation time. A stream that was
//! recreated, truncated or purged beyond the position has lost messages; the
//! start is refused unless the operator accepts the loss. A recreated or
//! truncated stream assigns sequence numbers again, so that the generation of
//! the position increases: what arrives now orders after everything before.

use anyhow::{Context, anyhow, bail};
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Brands, Client, Input, InputRequest, LossKind, NatsError};
use tributary_ledger::{PingsPosition, Position, StreamPosition};

use crate::broker::retry::retry_transient;
use crate::durability::location::ledger_options;
use crate::worker::feed::{Inputs, Pings, age_of};

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
            published |= has_cells(client, config, &brand.name).await?;
        }
    }
    Ok(InputRequest {
        stream: config.nats.input_stream.clone(),
        shard: config.workers.shard.clone(),
        process: config.workers.process,
        processes: config.workers.hosts.len().max(1),
        partitions: config.nats.partitions,
        brands: Brands::of(config),
        next: position.map_or(1, |position| position.sequence + 1),
        created: before.map(|stream| stream.created_ns),
        published,
        accept_loss,
    })
}

/// Whether the output stream has cells of a brand.
///
/// # Errors
///
/// A broker that does not answer.
pub(super) async fn has_cells(
    client: &Client,
    config: &Config,
    brand: &str,
) -> Result<bool, NatsError> {
    let cells = format!("tributary.out.{brand}.>");
    let stream = &config.nats.output_stream;
    retry_transient(|| nats::has_messages(client, stream, &cells)).await
}

/// Refuses to begin a ledger where cells of an earlier run prove that there was one, also
/// if the input stream still has every message: the pings of closed days, what was
/// published before, and the noise of published values are in the ledger alone.
///
/// # Errors
///
/// Which directory has no ledger, and the ways to go on.
pub(super) fn refuse_missing_ledger(config: &Config, wanted: &InputRequest) -> anyhow::Result<()> {
    if !wanted.published || wanted.accept_loss {
        return Ok(());
    }
    bail!(
        "{} holds no ledger, but the stream {} holds cells of an earlier run. Is the volume mounted, and is ledger.directory \
         the one of that run? Put the ledger there, or restore it with: tributary ledger restore. To begin a new one from what the \
         input stream still has: tributary run --accept-loss",
        ledger_options(config).directory.display(),
        config.nats.output_stream
    )
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

/// Describes the stream of pings `stream` after a position. It forgets pings
/// soon, so that what cells of an earlier run were computed from is not asked
/// for.
fn wanted_pings(
    config: &Config,
    stream: &str,
    position: Option<PingsPosition>,
    accept_loss: bool,
) -> InputRequest {
    InputRequest {
        stream: stream.to_owned(),
        shard: config.workers.shard.clone(),
        process: config.workers.process,
        processes: config.workers.hosts.len().max(1),
        partitions: config.nats.partitions,
        brands: Brands::of(config),
        next: position.map_or(1, |position| position.sequence + 1),
        created: position.map(|position| position.stream.created_ns),
        published: false,
        accept_loss,
    }
}

/// Opens the inputs after `position`, and returns them with the stream position
/// that later commits store.
///
/// # Errors
///
/// A loss that was not accepted, or a broker that does not answer.
pub(super) async fn open_inputs(
    client: &Client,
    config: &Config,
    position: Option<Position>,
    accept_loss: bool,
) -> anyhow::Result<(Inputs, StreamPosition)> {
    let wanted = wanted(client, config, position, accept_loss).await?;
    let records = retry_transient(|| Input::open(client, wanted.clone())).await;
    let records = explained(records, config, &wanted)?;
    let before = position.and_then(|position| position.stream);
    let stream = read_stream(&wanted, &records, before);
    let before = position.and_then(|position| position.pings);
    let Some(name) = &config.nats.pings_stream else {
        if let Some(before) = before {
            tracing::warn!(
                sequence = before.sequence,
                "nats.pings_stream is not set any more: pings that were not read from there are lost"
            );
        }
        let pings = None;
        return Ok((Inputs { records, pings }, stream));
    };
    let wanted = wanted_pings(config, name, before, accept_loss);
    let input = retry_transient(|| Input::open(client, wanted.clone())).await?;
    let of_pings = read_stream(&wanted, &input, before.map(|before| before.stream));
    let state = retry_transient(|| nats::stream_state(client, name)).await?;
    let age = age_of(client, name).await;
    let age = age.map_err(|error| anyhow!("cannot read the age of the stream {name}: {error}"))?;
    let pings = Some(Pings {
        input,
        age,
        name: name.clone(),
        stream: of_pings,
        past: state.last_sequence,
    });
    Ok((Inputs { records, pings }, stream))
}

/// The identity of a stream that was opened, `before` that of the ledger. Logs an
/// accepted loss.
fn read_stream(
    wanted: &InputRequest,
    input: &Input,
    before: Option<StreamPosition>,
) -> StreamPosition {
    let mut generation = before.map_or(1, |stream| stream.generation);
    if let Some(loss) = input.accepted_loss() {
        let (from, to, next) = (loss.from, loss.to, loss.resume);
        let stream = &wanted.stream;
        match loss.kind {
            LossKind::Dropped => {
                tracing::error!(
                    stream,
                    from,
                    to,
                    next,
                    "these sequences were never read (loss accepted)"
                );
            }
            LossKind::Truncated => {
                tracing::error!(
                    stream,
                    from,
                    to,
                    next,
                    "the end of the stream was lost upstream (loss accepted)"
                );
            }
            LossKind::Recreated => {
                tracing::error!(stream, next, "the stream was replaced (loss accepted)");
            }
        }
        // Sequences that were given before are given again: what comes now is later than all of them.
        if loss.kind != LossKind::Dropped {
            generation = generation.saturating_add(1);
        }
    }
    StreamPosition {
        created_ns: input.created(),
        generation,
    }
}
