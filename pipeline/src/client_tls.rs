//! TLS of the connections that this process opens by HTTP: to the controllers of
//! OpenDSR, and to the collector of telemetry.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// Reason why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    /// The certificate authorities cannot be read.
    #[error("{}: {why}", path.display())]
    Authorities {
        /// Their file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The library refuses the settings.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// TLS that trusts the certificate authorities in a PEM file, or without one those
/// of the system.
///
/// # Errors
///
/// See [`ClientTlsError`].
pub fn client_tls(authorities: Option<&Path>) -> Result<TlsConnector, ClientTlsError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(path) => {
            let wrong = |why: String| ClientTlsError::Authorities {
                path: path.to_owned(),
                why,
            };
            let read = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| wrong(error.to_string()))?;
            roots.add_parsable_certificates(read);
            if roots.is_empty() {
                return Err(wrong("holds no certificate authority".to_owned()));
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "cannot read a certificate authority of the system");
            }
            roots.add_parsable_certificates(found.certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(tls)))
}
