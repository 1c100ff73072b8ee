//! What commands that use a broker and a worker have in common: connections, tokens, lengths of time.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use tributary_config::model::Nats;
use tributary_connectors::nats::{Client, NatsError, NatsErrorKind, connect, ensure_input_stream};
use tributary_connectors::terminal;
use tributary_loadtest::measure::process;
use tributary_loadtest::replay::length_of;

/// How long to wait for a broker that has just been started.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to the broker, and retries for a moment if it is not available yet.
pub(super) async fn connected(nats: &Nats) -> Result<Client, NatsError> {
    let begun = Instant::now();
    loop {
        match connect(nats, "loadtest").await {
            Err(error) if error.is_transient() && begun.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            connected => return connected,
        }
    }
}

/// A length of time.
pub(super) fn length(text: &str) -> Result<Duration, String> {
    let length = length_of(text).filter(|length| !length.is_zero());
    length.ok_or_else(|| "a length of time is written as 500ms, 90s, 5m or 2h".to_owned())
}

/// The token in a file.
pub(super) fn token(file: &Path) -> anyhow::Result<String> {
    let token = std::fs::read_to_string(file);
    let token = token.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(token.trim().to_owned())
}

/// Connections to the broker, whose input stream is created if it is missing.
pub(super) async fn clients(
    nats: &Nats,
    brands: &[&str],
    count: u32,
) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(connected(nats).await?);
    }
    if let Some(client) = clients.first() {
        match ensure_input_stream(client, nats, brands).await {
            // Another stream may capture the subjects; if none does, the first acknowledgment tells.
            Err(error) if error.kind() == NatsErrorKind::Stream => {
                terminal::note(format_args!("warning: {error}"));
            }
            other => drop(other?),
        }
    }
    Ok(clients)
}

/// The process of a broker on this machine.
pub(super) fn broker_of(nats: &Nats) -> Option<u32> {
    let (_, address) = nats.url.split(',').next()?.rsplit_once('/')?;
    let (host, port) = address
        .rsplit_once('@')
        .map_or(address, |(_, host)| host)
        .rsplit_once(':')?;
    let is_here = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
    process::listening_on(port.parse().ok().filter(|_| is_here)?)
}
