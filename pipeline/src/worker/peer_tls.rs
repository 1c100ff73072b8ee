//! TLS between the processes of a cluster, where both ends show a certificate
//! (`workers.tls_ca_file`, `tls_cert_file`, `tls_key_file`).
//!
//! The dataflow reads and writes sockets, each on two threads. A [`Relay`]
//! therefore stands between it and the network: it encrypts what one end of a
//! local pair of sockets is given, and decrypts for it what comes from the other
//! process. The pair belongs to this process alone, so that nobody else can reach
//! what is in clear. If either side ends, so does the other, and an end that was
//! not announced is an error on both, as with a plain connection.
//!
//! ```text
//! dataflow ── local pair ── relay ══ TLS 1.3 ══ relay ── local pair ── dataflow
//! ```
//!
//! The process that connects wants the certificate of the host that it connects
//! to. The process that accepts wants one of the same authority that names one of
//! `workers.hosts`, or the address in the lease of a process, and lets it prove to be
//! a process of that host only. The files are read for
//! each connection, so that certificates that are replaced while others are waited
//! for are used; connections that are made outlive their certificates.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tributary_config::model::Workers;

use crate::worker::members::Members;

/// How many bytes a relay holds in each direction.
const BUFFER: usize = 64 << 10;

/// How long the last bytes may take to leave at an orderly end.
const FLUSH: Duration = Duration::from_secs(10);

/// The byte with which the accepting end answers a certificate that it takes.
/// Without one, the other end would learn of a refusal in the middle of what
/// follows.
const WELCOME: u8 = 1;

/// Why there is no TLS connection to a peer.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsRefusal {
    /// The files of this process cannot be used.
    #[error("{setting}: {} {why}", path.display())]
    File {
        /// The setting that names the file.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate and the key of this process do not fit, or TLS cannot be set
    /// up with them.
    #[error("workers.tls_cert_file and workers.tls_key_file cannot be used: {0}")]
    Own(String),
    /// The handshake failed.
    #[error("{}", sentence(.0))]
    Handshake(#[source] io::Error),
    /// The handshake took too long.
    #[error("it does not complete the TLS handshake")]
    Late,
    /// The certificate names no process that may connect.
    #[error("none of the names in its certificate is that of a process in workers.hosts")]
    Name,
    /// The other end refuses the names in the certificate of this process.
    #[error(
        "it refuses the certificate of this process, which names no process in its workers.hosts"
    )]
    Unwelcome,
}

/// Encrypts and decrypts for the connections of this process.
pub struct Relay {
    /// Runs the relays, apart from the connection to the broker.
    runtime: Option<Runtime>,
    /// The running relays.
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Relay {
    /// A relay without connections.
    ///
    /// # Errors
    ///
    /// Threads that cannot be created.
    pub fn new() -> anyhow::Result<Relay> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("peer-tls")
            .enable_all()
            .build()
            .context("cannot start the TLS of the processes of the cluster")?;
        Ok(Relay {
            runtime: Some(runtime),
            tasks: Mutex::default(),
        })
    }

    /// Waits until everything has left that was sent before the other ends and this
    /// one have ended their connections.
    pub fn finish(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &self.runtime {
            let all = std::mem::take(&mut *tasks);
            // A peer that has ended needs nothing any more.
            let _ =
                runtime.block_on(async { timeout(FLUSH, futures::future::join_all(all)).await });
        }
    }

    /// Relays between a TLS connection and the socket that is returned.
    fn relay(
        &self,
        runtime: &Runtime,
        mut network: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<TcpStream> {
        let (inside, outside) = UnixStream::pair()?;
        outside.set_nonblocking(true)?;
        let mut outside = {
            let _in_runtime = runtime.enter();
            tokio::net::UnixStream::from_std(outside)?
        };
        let task = runtime.spawn(async move {
            let copied = tokio::io::copy_bidirectional_with_sizes(
                &mut outside,
                &mut network,
                BUFFER,
                BUFFER,
            );
            if let Err(error) = copied.await {
                // The dataflow reports the end of the connection, which follows.
                tracing::debug!(%error, "a connection between processes broke");
            }
        });
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever was refused later has no relay any more.
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
        // To the dataflow it is a stream socket like any other.
        Ok(TcpStream::from(OwnedFd::from(inside)))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// TLS with the files that a configuration names.
pub(super) struct PeerTls<'a> {
    relay: &'a Relay,
    files: Files<'a>,
    /// The addresses of all processes, and those that their leases name.
    hosts: &'a [String],
    members: &'a Members,
    /// Time limit of a handshake.
    within: Duration,
}

/// The files of this process.
struct Files<'a> {
    ca: &'a Path,
    certificate: &'a Path,
    key: &'a Path,
}

impl<'a> PeerTls<'a> {
    /// TLS as configured; `None` if it is not.
    ///
    /// # Errors
    ///
    /// Files that cannot be used.
    pub(super) fn new(
        workers: &'a Workers,
        members: &'a Members,
        relay: &'a Relay,
        within: Duration,
    ) -> Result<Option<PeerTls<'a>>, TlsRefusal> {
        let (Some(ca), Some(certificate), Some(key)) = (
            &workers.tls_ca_file,
            &workers.tls_cert_file,
            &workers.tls_key_file,
        ) else {
            return Ok(None);
        };
        let tls = PeerTls {
            relay,
            files: Files {
                ca,
                certificate,
                key,
            },
            hosts: &workers.hosts,
            members,
            within,
        };
        // A mistake in the files ends the start, instead of every connection.
        tls.files.client()?;
        tls.files.server()?;
        Ok(Some(tls))
    }

    /// The end that connects to the process at this address. Returns the socket of the dataflow.
    ///
    /// # Errors
    ///
    /// See [`TlsRefusal`].
    pub(super) fn connect(
        &self,
        stream: TcpStream,
        address: &str,
    ) -> Result<TcpStream, TlsRefusal> {
        let name = name_of(address).ok_or(TlsRefusal::Name)?;
        let connector = TlsConnector::from(Arc::new(self.files.client()?));
        self.within(async {
            let stream = in_runtime(stream)?;
            let mut stream = connector.connect(name, stream).await?;
            let welcome = stream.read_u8().await?;
            Ok((stream, welcome))
        })
        .and_then(|(stream, welcome)| match welcome {
            WELCOME => self.relayed(stream),
            _ => Err(TlsRefusal::Unwelcome),
        })
    }

    /// The end that accepts one of the processes that are expected. Returns the
    /// socket of the dataflow, and those of them that the certificate names.
    ///
    /// # Errors
    ///
    /// See [`TlsRefusal`].
    pub(super) fn accept(
        &self,
        stream: TcpStream,
        expected: &[usize],
    ) -> Result<(TcpStream, Vec<usize>), TlsRefusal> {
        let acceptor = TlsAcceptor::from(Arc::new(self.files.server()?));
        let (stream, named) = self.within(async {
            let stream = in_runtime(stream)?;
            let mut stream = acceptor.accept(stream).await?;
            let shown = stream.get_ref().1.peer_certificates();
            let named = self.named(shown.and_then(<[_]>::first), expected);
            let welcome = if named.is_empty() { 0 } else { WELCOME };
            stream.write_u8(welcome).await?;
            stream.flush().await?;
            Ok((stream, named))
        })?;
        match named.is_empty() {
            true => Err(TlsRefusal::Name),
            false => Ok((self.relayed(stream)?, named)),
        }
    }

    /// Those of some processes whose names a certificate has.
    fn named(&self, certificate: Option<&CertificateDer<'_>>, of: &[usize]) -> Vec<usize> {
        let parsed = certificate.and_then(|der| ParsedCertificate::try_from(der).ok());
        let is_named = |process: &usize| {
            let Some(parsed) = &parsed else {
                return false;
            };
            let addresses = [
                self.hosts.get(*process).cloned(),
                self.members.address(*process),
            ];
            let names = addresses
                .iter()
                .flatten()
                .filter_map(|address| name_of(address));
            names
                .into_iter()
                .any(|name| verify_server_name(parsed, &name).is_ok())
        };
        of.iter().copied().filter(is_named).collect()
    }

    /// Runs a handshake within its time limit.
    fn within<T>(&self, handshake: impl Future<Output = io::Result<T>>) -> Result<T, TlsRefusal> {
        let runtime = self.runtime()?;
        match runtime.block_on(async { timeout(self.within, handshake).await }) {
            Ok(done) => done.map_err(TlsRefusal::Handshake),
            Err(_) => Err(TlsRefusal::Late),
        }
    }

    /// The socket of the dataflow for a TLS connection.
    fn relayed(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<TcpStream, TlsRefusal> {
        let relayed = self.relay.relay(self.runtime()?, stream);
        relayed.map_err(TlsRefusal::Handshake)
    }

    fn runtime(&self) -> Result<&Runtime, TlsRefusal> {
        self.relay.runtime.as_ref().ok_or(TlsRefusal::Late)
    }
}

impl Files<'_> {
    /// TLS of the end that connects.
    fn client(&self) -> Result<ClientConfig, TlsRefusal> {
        let (chain, key) = self.own()?;
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| TlsRefusal::Own(error.to_string()))?
            .with_root_certificates(self.authorities()?)
            .with_client_auth_cert(chain, key)
            .map_err(|error| TlsRefusal::Own(error.to_string()))
    }

    /// TLS of the end that accepts.
    fn server(&self) -> Result<ServerConfig, TlsRefusal> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authorities = Arc::new(self.authorities()?);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(authorities, provider.clone()).build();
        let verifier = verifier.map_err(|error| self.ca(error.to_string()))?;
        let (chain, key) = self.own()?;
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| TlsRefusal::Own(error.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| TlsRefusal::Own(error.to_string()))
    }

    /// The authorities whose certificates are taken.
    fn authorities(&self) -> Result<RootCertStore, TlsRefusal> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("workers.tls_ca_file", self.ca)? {
            let added = roots.add(certificate);
            added.map_err(|error| self.ca(format!("has no authority: {error}")))?;
        }
        Ok(roots)
    }

    /// The certificate of this process with its chain, and its key.
    #[allow(clippy::type_complexity, reason = "a pair")]
    fn own(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsRefusal> {
        let chain = certificates("workers.tls_cert_file", self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(self.key).map_err(|_| TlsRefusal::File {
            setting: "workers.tls_key_file",
            path: self.key.to_owned(),
            why: "has no private key in PEM that can be read".to_owned(),
        })?;
        Ok((chain, key))
    }

    fn ca(&self, why: String) -> TlsRefusal {
        TlsRefusal::File {
            setting: "workers.tls_ca_file",
            path: self.ca.to_owned(),
            why,
        }
    }
}

/// The certificates in a file, at least one.
fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsRefusal> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsRefusal::File {
            setting,
            path: path.to_owned(),
            why: "has no certificate in PEM that can be read".to_owned(),
        }),
    }
}

/// A socket for the runtime that is entered.
fn in_runtime(stream: TcpStream) -> io::Result<tokio::net::TcpStream> {
    stream.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(stream)
}

/// The name in `host:port` that a certificate must have.
fn name_of(host: &str) -> Option<ServerName<'static>> {
    let (name, _) = host.trim().rsplit_once(':')?;
    let name = name.trim_matches(['[', ']']).trim_end_matches('.');
    ServerName::try_from(name.to_owned()).ok()
}

/// What a failed handshake means, in words.
fn sentence(error: &io::Error) -> String {
    let Some(error) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                "it ended the TLS handshake: perhaps it has no workers.tls_cert_file".to_owned()
            }
            _ => format!("the TLS handshake failed: {error}"),
        };
    };
    let refuses = "it refuses the certificate of this process";
    let text = match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet: compare the clocks"
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is of no authority in workers.tls_ca_file"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate does not have the name by which it is in workers.hosts"
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "its certificate is not for both servers and clients (extended key usage)"
            }
            _ => return format!("its certificate is not valid: {error}"),
        },
        rustls::Error::NoCertificatesPresented => "it shows no certificate",
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS: perhaps it has no workers.tls_cert_file"
        }
        rustls::Error::PeerIncompatible(_) => "it does not speak TLS 1.3",
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateExpired => {
                return format!("{refuses}, which has expired, or is not valid yet");
            }
            AlertDescription::UnknownCA | AlertDescription::DecryptError => {
                return format!("{refuses}, which is of no authority in its workers.tls_ca_file");
            }
            AlertDescription::CertificateRequired => "it wants a certificate",
            _ => return format!("{refuses}: {alert:?}"),
        },
        _ => return format!("the TLS handshake failed: {error}"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_without_ports() {
        for (host, name) in [
            ("worker-0.peers.svc:2101", "worker-0.peers.svc"),
            ("10.0.0.7:2101", "10.0.0.7"),
            ("[::1]:2101", "::1"),
            ("worker-0.example.:1", "worker-0.example"),
        ] {
            let expected = ServerName::try_from(name).ok();
            assert!(expected.is_some());
            assert_eq!(name_of(host), expected, "{host}");
        }
        assert_eq!(name_of("no port"), None);
    }
}
