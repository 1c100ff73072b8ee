//! Detects copies of a stream that an erasure cannot reach.
//!
//! An erasure deletes a person's messages in the streams that store them in
//! clear: the input, the pings, the dead letters and the requests. A stream that is filled
//! from another one leaves the original there, a republished stream has already
//! sent copies to its subscribers, and a stream that another one mirrors or
//! sources survives in that one. A receipt would then be untrue. Copies in
//! other accounts or at consumers cannot be detected.

use async_nats::Client;
use async_nats::jetstream::stream::{Config, Info};
use futures::TryStreamExt;
use tributary_config::model::Nats;

use super::error::{NatsError, NatsErrorKind};

/// Refuses a stream that is a copy of another one, or that is republished.
///
/// # Errors
/// [`NatsErrorKind::Stream`] names the other stream or the destination.
pub(super) fn refuse_mirror(info: &Info) -> Result<(), NatsError> {
    let config = &info.config;
    let what = match (&config.mirror, &config.sources, &config.republish) {
        (Some(mirror), _, _) => format!("mirrors {}", mirror.name),
        (None, Some(sources), _) if !sources.is_empty() => {
            let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
            format!("is filled from {}", names.join(", "))
        }
        (None, _, Some(republish)) => format!("is republished to {}", republish.destination),
        _ => return Ok(()),
    };
    Err(NatsError::new(
        NatsErrorKind::Stream,
        format!(
            "stream {} {what}: what is erased here stays there, and its receipt would be untrue. Let the records be \
             published to this stream alone",
            config.name
        ),
    ))
}

/// Refuses streams with records in clear that another stream of the account
/// mirrors or sources. If the account may not list its streams, the check is
/// skipped with a warning in the log.
///
/// # Errors
/// [`NatsErrorKind::Stream`] names both streams.
pub async fn refuse_copies(client: &Client, nats: &Nats) -> Result<(), NatsError> {
    let streams = async_nats::jetstream::new(client.clone()).streams();
    let all: Vec<Info> = match streams.try_collect().await {
        Ok(all) => all,
        Err(error) => {
            tracing::warn!(%error, "cannot list the streams to check for copies of clear-text records");
            return Ok(());
        }
    };
    let mut names = vec![
        &nats.input_stream,
        &nats.dead_letter_stream,
        &nats.rights_stream,
    ];
    names.extend(&nats.pings_stream);
    for info in &all {
        let Some(name) = names.iter().find(|name| copies(&info.config, name)) else {
            continue;
        };
        return Err(NatsError::new(
            NatsErrorKind::Stream,
            format!(
                "stream {} copies the stream {name}: what is erased there stays here, and its receipt would be untrue. \
                 Delete {}, or let it copy another stream",
                info.config.name, info.config.name
            ),
        ));
    }
    Ok(())
}

/// Whether a stream mirrors or sources the stream `name` of its own account. A
/// stream behind another API prefix or in another domain only shares the name.
fn copies(config: &Config, name: &str) -> bool {
    let sources = config.sources.iter().flatten();
    let mut all = sources.chain(&config.mirror);
    // A stream of the same name behind another prefix is another one.
    all.any(|source| source.name == name && source.external.is_none() && source.domain.is_none())
}
