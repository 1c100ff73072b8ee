//! Connecting: addresses, TLS, credentials, and a server that is new enough.
//!
//! The first connection fails at once with a reason; a later loss of the connection is repaired by
//! the client without end. Credentials that stand in a URL are taken out of it before anything
//! could log the address. Naming a certificate file means wanting TLS: a server without it is then
//! refused, because quietly talking in clear would be the worst reading of such a configuration.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event};
use tributary_config::model::Nats;

use super::addresses::Addresses;
use super::credentials::Credentials;
use super::error::{NatsError, NatsErrorKind};

/// The oldest server that has all that Tributary relies on: major and minor version.
pub const MIN_VERSION: (u32, u32) = (2, 12);

/// How often the client asks a silent server whether it is there. A connection that leads nowhere
/// is given up after two questions without an answer.
const PING: Duration = Duration::from_secs(10);

/// Messages that this process's clients have dropped. The client tells it to a callback that knows
/// no connection, so that the count is the process's.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Connects to the broker under a client name that operators see in its connection list.
///
/// # Errors
/// [`NatsErrorKind::Config`] for unusable addresses, files and seeds, `Unreachable`,
/// `Authorization` and `Tls` for what the server or the way to it says, `OldServer` below
/// [`MIN_VERSION`].
pub async fn connect(nats: &Nats, name: &str) -> Result<Client, NatsError> {
    connect_with(nats, name, |options| options).await
}

/// Connects as [`connect`] does, with the client's own options (buffers, intervals) adjusted.
///
/// # Errors
/// As [`connect`].
pub async fn connect_with(
    nats: &Nats,
    name: &str,
    adjust: impl FnOnce(ConnectOptions) -> ConnectOptions,
) -> Result<Client, NatsError> {
    let addresses = Addresses::parse(&nats.url)?;
    let credentials = Credentials::of(nats, addresses.login.clone());
    let mut options = credentials
        .options()?
        .name(name)
        .ping_interval(PING)
        .event_callback(|event| async move { note(&event) });
    options = tls(options, nats)?;

    let shown = addresses.shown();
    let client = adjust(options)
        .connect(addresses.servers)
        .await
        .map_err(|error| refused(&shown, error))?;
    let version = client.server_info().version;
    if !new_enough(&version) {
        return Err(NatsError::new(
            NatsErrorKind::OldServer,
            format!(
                "the NATS server at {shown} is version {version}; Tributary needs {}.{} or newer, because older \
                 servers silently ignore what it asks of streams: upgrade the server",
                MIN_VERSION.0, MIN_VERSION.1
            ),
        ));
    }
    Ok(client)
}

/// How often a client has connected. What was in flight before the last time is lost, and a
/// consumer in a server's memory may be.
pub(super) fn connections(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

/// How many messages the clients of this process have dropped so far, their readers being too slow.
pub(super) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Whether a version text as servers announce it is at least [`MIN_VERSION`]. What cannot be read
/// is not.
fn new_enough(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+']);
    let mut part = || parts.next().and_then(|text| text.parse::<u32>().ok());
    match (part(), part()) {
        (Some(major), Some(minor)) => (major, minor) >= MIN_VERSION,
        _ => false,
    }
}

fn tls(mut options: ConnectOptions, nats: &Nats) -> Result<ConnectOptions, NatsError> {
    let readable = |key: &str, path: &Path| {
        std::fs::File::open(path).map(drop).map_err(|error| {
            NatsError::caused(
                NatsErrorKind::Config,
                format!("cannot read nats.{key} {}", path.display()),
                error,
            )
        })
    };
    let mut wanted = nats.tls;
    if let Some(authorities) = &nats.tls_ca_file {
        readable("tls_ca_file", authorities)?;
        options = options.add_root_certificates(authorities.clone());
        wanted = true;
    }
    match (&nats.tls_cert_file, &nats.tls_key_file) {
        (Some(certificate), Some(key)) => {
            readable("tls_cert_file", certificate)?;
            readable("tls_key_file", key)?;
            options = options.add_client_certificate(certificate.clone(), key.clone());
            wanted = true;
        }
        (None, None) => {}
        _ => {
            return Err(NatsError::new(
                NatsErrorKind::Config,
                "nats.tls_cert_file and nats.tls_key_file are only of use together",
            ));
        }
    }
    Ok(options.require_tls(wanted))
}

fn refused(shown: &str, error: async_nats::ConnectError) -> NatsError {
    let (kind, what) = match error.kind() {
        ConnectErrorKind::ServerParse => (NatsErrorKind::Config, "cannot use the NATS address"),
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => (
            NatsErrorKind::Authorization,
            "the credentials are refused by the NATS server at",
        ),
        ConnectErrorKind::Tls => (NatsErrorKind::Tls, "no TLS with the NATS server at"),
        ConnectErrorKind::Dns
        | ConnectErrorKind::TimedOut
        | ConnectErrorKind::Io
        | ConnectErrorKind::MaxReconnects => (
            match caused_by_tls(&error) {
                true => NatsErrorKind::Tls,
                false => NatsErrorKind::Unreachable,
            },
            "cannot reach the NATS server at",
        ),
    };
    NatsError::caused(kind, format!("{what} {shown}"), error)
}

/// A server that speaks no TLS, or a certificate that nobody trusts, comes as an I/O error whose
/// source is the TLS library's.
fn caused_by_tls(error: &async_nats::ConnectError) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref());
        if error.is::<async_nats::rustls::Error>()
            || inner.is_some_and(|inner| inner.is::<async_nats::rustls::Error>())
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// What happens to the connection later is for the log; the client repairs it by itself.
fn note(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => tracing::warn!("lost the connection to NATS, reconnecting"),
        Event::SlowConsumer(_) => {
            DROPPED.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("dropped a NATS message: the reader is too slow");
        }
        Event::ServerError(error) => tracing::warn!(%error, "the NATS server reports an error"),
        Event::ClientError(error) => tracing::warn!(%error, "the NATS client reports an error"),
        other => tracing::debug!(event = %other, "NATS"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_below_2_12_are_refused() {
        for version in ["2.12.0", "2.15.1", "v2.12", "2.12.0-RC.1", "3.0.0", "10.1"] {
            assert!(new_enough(version), "{version}");
        }
        for version in ["2.11.9", "2.9.10", "1.99.0", "0.0.0", "2", "", "dev"] {
            assert!(!new_enough(version), "{version}");
        }
    }
}
