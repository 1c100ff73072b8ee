//! Connections: addresses, TLS, credentials, and a server that is recent
//! enough.
//!
//! The first connection fails at once and states the reason; the client repairs
//! a later loss of the connection without limit. A login in a URL is removed
//! before anything could log the address. A configured certificate file implies
//! TLS: a server without TLS is then refused, because an unencrypted connection
//! would be the worst interpretation of such a configuration.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use tributary_config::model::Nats;

use super::addresses::Addresses;
use super::credentials::Credentials;
use super::error::{NatsError, NatsErrorKind};

/// The oldest supported server, major and minor version. Older servers silently
/// ignore what Tributary requests of streams.
pub const MIN_VERSION: (u32, u32) = (2, 12);

/// How often the client pings a silent server. It abandons a connection after
/// two pings without a response.
const PING: Duration = Duration::from_secs(10);

/// The number of messages that this process's clients have dropped. The client
/// reports drops to a callback that does not know its connection, so the count
/// is per process.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Connects to the broker under a client name that operators see in its list of
/// connections.
///
/// # Errors
/// [`NatsErrorKind::Config`] for unusable addresses, files and seeds;
/// `Unreachable`, `Authorization` and `Tls` for what the server or the network
/// reports; `OldServer` below [`MIN_VERSION`].
pub async fn connect(nats: &Nats, name: &str) -> Result<Client, NatsError> {
    connect_with(nats, name, |options| options).await
}

/// Connects as [`connect`] does, with adjusted client options such as buffers
/// and intervals.
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
        // A server announces others before TLS begins: whoever is on the way could name
        // any, and none of them was configured.
        .ignore_discovered_servers()
        .event_callback(|event| async move { note(&event) });
    let has_tls = addresses.servers.iter().any(ServerAddr::tls_required);
    options = tls(options, nats, has_tls)?;

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

/// How often a client has connected. Whatever was in flight before its last
/// connection is lost, and an in-memory consumer may be.
pub(super) fn connections(client: &Client) -> u64 {
    client.statistics().connects.load(Ordering::Relaxed)
}

/// How many messages the clients of this process have dropped because their
/// readers were too slow.
pub(super) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Whether a version that a server announces is at least [`MIN_VERSION`]; false
/// if it cannot be parsed.
fn new_enough(version: &str) -> bool {
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+']);
    let mut part = || parts.next().and_then(|text| text.parse::<u32>().ok());
    match (part(), part()) {
        (Some(major), Some(minor)) => (major, minor) >= MIN_VERSION,
        _ => false,
    }
}

/// Adds the certificate files to the options, after checking that they can be
/// opened. With `has_tls`, an address asks for TLS, and no connection goes without.
fn tls(
    mut options: ConnectOptions,
    nats: &Nats,
    has_tls: bool,
) -> Result<ConnectOptions, NatsError> {
    let readable = |key: &str, path: &Path| {
        std::fs::File::open(path).map(drop).map_err(|error| {
            NatsError::caused(
                NatsErrorKind::Config,
                format!("cannot read nats.{key} {}", path.display()),
                error,
            )
        })
    };
    let mut wanted = nats.tls || has_tls;
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

/// The error of a failed connection; `shown` are the addresses without a login.
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

/// Whether TLS caused the failure. A server without TLS, and a certificate that
/// is not trusted, appear as an I/O error whose source is an error of rustls.
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

/// Logs what happens to the connection later; the client repairs it by itself.
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
