//! One attempt to deliver a callback: a POST over TLS to an address that may be
//! reached, with a signature, within a time limit. Redirects are not followed.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use futures::future::{Either, select};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tributary_config::model::Http;
use url::Url;

use super::address::is_public;
use crate::client_tls::{ClientTlsError, client_tls};
use crate::privacy::rights::signature::Signer;
use crate::version::VERSION;

/// Time limit of an attempt.
const WITHIN: Duration = Duration::from_secs(10);

/// Reason why a callback was not delivered. No text contains a URL.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// The URL is no `https` URL of a configured origin.
    #[error("its URL is not of an origin of http.opendsr_callbacks")]
    Origin,
    /// The name cannot be resolved, or the connection fails.
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    /// The name resolves to addresses that are not public.
    #[error("its name resolves to addresses that are not public (http.opendsr_private_callbacks)")]
    Private,
    /// TLS cannot be set up.
    #[error("no TLS: {0}")]
    Tls(#[from] ClientTlsError),
    /// The exchange fails.
    #[error("the exchange failed: {0}")]
    Http(#[from] hyper::Error),
    /// The controller answers with another status than 2xx.
    #[error("answered {0}")]
    Status(StatusCode),
    /// The controller does not answer in time.
    #[error("no answer within {} s", WITHIN.as_secs())]
    Late,
}

/// The client that delivers callbacks.
pub struct Poster {
    /// Signs the bodies.
    signer: Arc<Signer>,
    /// The origins that may be called.
    origins: Vec<String>,
    /// Whether they may be inside.
    is_private_permitted: bool,
    /// TLS, with the certificate authorities of the system.
    tls: TlsConnector,
}

impl Poster {
    /// The client of a configuration.
    ///
    /// # Errors
    ///
    /// TLS that cannot be set up.
    pub fn new(http: &Http, signer: Arc<Signer>) -> Result<Poster, CallbackError> {
        Ok(Poster {
            signer,
            origins: http.opendsr_callbacks.clone(),
            is_private_permitted: http.opendsr_private_callbacks,
            tls: client_tls(None)?,
        })
    }

    /// Posts a body to a URL. Returns if the answer is 2xx.
    ///
    /// # Errors
    ///
    /// See [`CallbackError`].
    pub async fn post(&self, url: &str, body: Bytes) -> Result<(), CallbackError> {
        let url = permitted(url, &self.origins).ok_or(CallbackError::Origin)?;
        tokio::time::timeout(WITHIN, self.exchange(&url, body))
            .await
            .map_err(|_| CallbackError::Late)?
    }

    /// The exchange with a controller.
    ///
    /// # Errors
    ///
    /// See [`CallbackError`].
    async fn exchange(&self, url: &Url, body: Bytes) -> Result<(), CallbackError> {
        let host = url.host_str().ok_or(CallbackError::Origin)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| CallbackError::Origin)?;
        let port = url.port_or_known_default().unwrap_or(443);
        let mut addresses: Vec<_> = tokio::net::lookup_host((bare, port)).await?.collect();
        addresses.retain(|address| self.is_private_permitted || is_public(address.ip()));
        if addresses.is_empty() {
            return Err(CallbackError::Private);
        }
        let stream = TcpStream::connect(&addresses[..]).await?;
        let stream = self.tls.connect(name, stream).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = pin!(connection);
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let path = url.query().map_or_else(
            || url.path().to_owned(),
            |query| format!("{}?{query}", url.path()),
        );
        let mut request = Request::post(path)
            .header(HOST, authority)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, format!("tributary/{VERSION}"));
        for (name, value) in self.signer.headers(&body) {
            request = request.header(name, value);
        }
        let request = (request.body(Full::new(body))).map_err(|_| CallbackError::Origin)?;
        let answer = pin!(sender.send_request(request));
        let status = match select(answer, connection).await {
            Either::Left((answer, _)) => answer?.status(),
            // The controller has closed the connection: the answer came before, or never comes.
            Either::Right((_, answer)) => answer.await?.status(),
        };
        match status.is_success() {
            true => Ok(()),
            false => Err(CallbackError::Status(status)),
        }
    }
}

/// The parsed URL of a callback if its origin is one of `origins`; `None` for
/// every other, and for one with a login.
pub fn permitted(url: &str, origins: &[String]) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let is_plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    let origin = url.origin().ascii_serialization();
    (is_plain && origins.contains(&origin)).then_some(url)
}
