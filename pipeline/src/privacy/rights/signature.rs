//! Signature of OpenDSR responses and callbacks.
//!
//! The specification wants "Base64 encoded signature of the SHA 256 digest of
//! the body" in a header (7.3, 8.3, 8.6), by a key whose X.509 certificate was
//! issued for the domain of the processor (4.1) and that FIPS 186-4 describes
//! (4.2): RSA, as RSASSA-PKCS1-v1_5 with SHA-256, which is what controllers
//! verify, or ECDSA over P-256.
//!
//! Certificates are renewed every few weeks, so the files are read again when
//! they change. A pair that cannot be used leaves the one before it in place.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::http::{HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::SignatureScheme;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use tributary_config::model::Http;

/// Headers that name the processor: that of OpenDSR, and that of OpenGDPR, its
/// earlier name, which 10.1 requires as well.
const PROCESSORS: [HeaderName; 2] = [
    HeaderName::from_static("x-opendsr-processor-domain"),
    HeaderName::from_static("x-opengdpr-processor-domain"),
];

/// Headers with the signature, likewise.
const SIGNATURES: [HeaderName; 2] = [
    HeaderName::from_static("x-opendsr-signature"),
    HeaderName::from_static("x-opengdpr-signature"),
];

/// The schemes of FIPS 186-4 that sign a SHA-256 digest.
const SCHEMES: [SignatureScheme; 2] = [
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::ECDSA_NISTP256_SHA256,
];

/// Reason why a certificate cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// A file that cannot be read.
    #[error("cannot read {} ({setting}): {error}", path.display())]
    Read {
        /// The setting that names the file.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system reports.
        error: std::io::Error,
    },
    /// A file without what it should contain.
    #[error("{} ({setting}) has no {what} in PEM", path.display())]
    Pem {
        /// The setting that names the file.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should contain.
        what: &'static str,
    },
    /// A key that is not that of the certificate, or of a kind that is not known.
    #[error("http.opendsr_key_file and http.opendsr_certificate_file do not fit: {0}")]
    Pair(rustls::Error),
    /// A key of a kind that the specification does not permit.
    #[error("the key of http.opendsr_key_file must be RSA or ECDSA over P-256")]
    Scheme,
    /// A certificate for another name.
    #[error("the certificate of http.opendsr_certificate_file is not for {domain}: {error}")]
    Domain {
        /// The domain of the processor.
        domain: String,
        /// What the certificate lacks.
        error: rustls::Error,
    },
}

/// A certificate and its key, as read from their files.
struct Pair {
    /// The certificate chain in PEM, as it is published.
    pem: Arc<str>,
    /// The key, with the certificate.
    key: CertifiedKey,
    /// When the files were changed, as found before they were read.
    changed: [Option<SystemTime>; 2],
}

/// Signs for the domain of the processor.
pub struct Signer {
    /// The domain of the processor.
    domain: String,
    /// The file with the certificate chain.
    certificate: PathBuf,
    /// The file with the key.
    key: PathBuf,
    /// The newest pair that could be used.
    pair: Mutex<Arc<Pair>>,
}

impl Signer {
    /// The signer of a configuration; `None` if OpenDSR is disabled or has no
    /// certificate.
    ///
    /// # Errors
    ///
    /// Files that cannot be used; see [`SignatureError`].
    pub fn open(http: &Http) -> Result<Option<Signer>, SignatureError> {
        let (Some(domain), Some(certificate), Some(key)) = (
            &http.opendsr_domain,
            &http.opendsr_certificate,
            &http.opendsr_key,
        ) else {
            return Ok(None);
        };
        let pair = Pair::read(domain, certificate, key)?;
        Ok(Some(Signer {
            domain: domain.clone(),
            certificate: certificate.clone(),
            key: key.clone(),
            pair: Mutex::new(Arc::new(pair)),
        }))
    }

    /// The certificate chain in PEM.
    pub fn certificate(&self) -> Arc<str> {
        self.pair().pem.clone()
    }

    /// The newest pair of the files that can be used.
    fn pair(&self) -> Arc<Pair> {
        let mut pair = self.pair.lock().unwrap_or_else(PoisonError::into_inner);
        if pair.changed != changed(&self.certificate, &self.key) {
            match Pair::read(&self.domain, &self.certificate, &self.key) {
                Ok(read) => *pair = Arc::new(read),
                // A pair that is being replaced does not fit for a moment.
                Err(error) => tracing::warn!(%error, "signing with the certificate before"),
            }
        }
        pair.clone()
    }

    /// The headers of a body: the domain and the signature, under both names. They
    /// lack the signature if the key fails, which is logged.
    pub fn headers(&self, body: &[u8]) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = processor_headers(&self.domain);
        let pair = self.pair();
        let signature = (pair.key.key.choose_scheme(&SCHEMES))
            .ok_or_else(|| rustls::Error::General("no scheme".to_owned()))
            .and_then(|signer| signer.sign(body));
        match signature {
            Ok(signature) => {
                if let Ok(value) = HeaderValue::from_str(&STANDARD.encode(signature)) {
                    headers.extend(SIGNATURES.map(|name| (name, value.clone())));
                }
            }
            Err(error) => tracing::error!(%error, "cannot sign for OpenDSR"),
        }
        headers
    }
}

/// The headers that name the processor.
pub fn processor_headers(domain: &str) -> Vec<(HeaderName, HeaderValue)> {
    let value = HeaderValue::from_str(domain).ok();
    let named = |value: HeaderValue| PROCESSORS.map(|name| (name, value.clone())).to_vec();
    value.map(named).unwrap_or_default()
}

/// When the files of a pair were changed.
fn changed(certificate: &Path, key: &Path) -> [Option<SystemTime>; 2] {
    [certificate, key].map(|file| {
        std::fs::metadata(file)
            .and_then(|data| data.modified())
            .ok()
    })
}

impl Pair {
    /// Reads a pair and checks that it can sign for a domain.
    ///
    /// # Errors
    ///
    /// See [`SignatureError`].
    fn read(domain: &str, certificate: &Path, key: &Path) -> Result<Pair, SignatureError> {
        let changed = changed(certificate, key);
        let read = |setting, path: &Path| {
            std::fs::read(path).map_err(|error| SignatureError::Read {
                setting,
                path: path.to_owned(),
                error,
            })
        };
        let lacks = |setting, path: &Path, what| SignatureError::Pem {
            setting,
            path: path.to_owned(),
            what,
        };
        let setting = "http.opendsr_certificate_file";
        let pem = read(setting, certificate)?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|_| lacks(setting, certificate, "certificate"))?;
        let first = chain
            .first()
            .ok_or_else(|| lacks(setting, certificate, "certificate"))?;
        let parsed = ParsedCertificate::try_from(first).map_err(SignatureError::Pair)?;
        let name = ServerName::try_from(domain.to_owned()).map_err(|_| SignatureError::Domain {
            domain: domain.to_owned(),
            error: rustls::Error::General("no name of a host".to_owned()),
        })?;
        verify_server_name(&parsed, &name).map_err(|error| SignatureError::Domain {
            domain: domain.to_owned(),
            error,
        })?;
        let setting = "http.opendsr_key_file";
        let text = zeroize::Zeroizing::new(read(setting, key)?);
        let private =
            PrivateKeyDer::from_pem_slice(&text).map_err(|_| lacks(setting, key, "private key"))?;
        // The chain alone is published, whatever else its file contains.
        let pem = chain.iter().map(|one| encode(one)).collect::<String>();
        let key = CertifiedKey::from_der(chain, private, &ring::default_provider())
            .map_err(SignatureError::Pair)?;
        match key.key.choose_scheme(&SCHEMES) {
            Some(_) => Ok(Pair {
                pem: pem.into(),
                key,
                changed,
            }),
            None => Err(SignatureError::Scheme),
        }
    }
}

/// A certificate in PEM (RFC 7468).
fn encode(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}
