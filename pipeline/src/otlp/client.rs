//! One attempt to hand a batch to the collector: a POST within a time limit.
//!
//! Each attempt has a connection of its own, so that none is found dead when it is
//! needed. The headers are read anew each time, because a key may be replaced while
//! the process runs. Redirects are not followed, and no more of an answer is read
//! than an answer needs.

use std::time::Duration;

use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER,
    TRANSFER_ENCODING, USER_AGENT,
};
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tributary_config::model::{Credential, Telemetry};
use url::Url;

use super::queue::Signal;
use crate::client_tls::{ClientTlsError, client_tls};
use crate::version::VERSION;

/// Time limit of an attempt.
const WITHIN: Duration = Duration::from_secs(5);

/// Maximum size of an answer, bytes.
const ANSWER: usize = 65_536;

/// Maximum time for which an answer may have the next attempt wait.
const LATEST: Duration = Duration::from_secs(60);

/// Headers that an export has by itself.
const OWN: [HeaderName; 5] = [
    HOST,
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    TRANSFER_ENCODING,
];

/// Reason why a batch was not taken. No text contains a header.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostError {
    /// The headers cannot be read, or are no headers.
    #[error(transparent)]
    Headers(#[from] HeaderError),
    /// The address cannot be reached.
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    /// The exchange fails.
    #[error("the exchange failed: {0}")]
    Http(#[from] hyper::Error),
    /// The answer is too large, or breaks off.
    #[error("the answer cannot be read")]
    Answer,
    /// The request cannot be formed.
    #[error("the address is not that of a collector")]
    Address,
    /// The collector answers with another status than 2xx, and possibly after how long it wants to be asked again.
    #[error("answered {0}")]
    Status(StatusCode, Option<Duration>),
    /// The collector does not answer in time.
    #[error("no answer within {} s", WITHIN.as_secs())]
    Late,
}

impl PostError {
    /// Whether another attempt would fail as well (OTLP: failures that are not
    /// retryable).
    pub(super) fn is_final(&self) -> bool {
        match self {
            PostError::Status(status, _) => !matches!(status.as_u16(), 429 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// After how long the collector wants to be asked again, if it says so (OTLP/HTTP Throttling; RFC 9110, 10.2.3, in
    /// seconds). At most [`LATEST`].
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            PostError::Status(_, after) => *after,
            _ => None,
        }
    }
}

/// The time of a `Retry-After` in seconds. One that is a date is passed over, because it would compare two clocks.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = Duration::from_secs(seconds.parse().ok()?);
    Some(seconds.min(LATEST))
}

/// Reason why the headers of the export cannot be used. No text repeats a value.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Their file cannot be read.
    #[error("telemetry.otlp_headers_file cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// A line is no header.
    #[error("line {0} of telemetry.otlp_headers is not written `Name: value`")]
    Line(usize),
    /// A line names a header that the export sets itself.
    #[error("line {0} of telemetry.otlp_headers names a header that each export has by itself")]
    Own(usize),
}

/// Sends batches to the collector.
pub(super) struct Client {
    /// The endpoint.
    url: Url,
    headers: Option<Credential>,
    /// `None` without `https`.
    tls: Option<TlsConnector>,
}

/// Reason why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The endpoint is no address.
    #[error("telemetry.otlp_endpoint is not an address")]
    Address,
    /// The headers cannot be used.
    #[error(transparent)]
    Headers(#[from] HeaderError),
    /// TLS cannot be set up.
    #[error("telemetry.otlp_ca_file: {0}")]
    Tls(#[from] ClientTlsError),
}

impl Client {
    /// The client of an endpoint, with headers that can be used now.
    ///
    /// # Errors
    ///
    /// See [`ClientError`].
    pub(super) fn new(endpoint: &str, telemetry: &Telemetry) -> Result<Client, ClientError> {
        let url = Url::parse(endpoint).map_err(|_| ClientError::Address)?;
        let authorities = telemetry.otlp_ca_file.as_deref();
        let tls = match url.scheme() {
            "https" => Some(client_tls(authorities)?),
            _ => None,
        };
        let headers = telemetry.otlp_headers.clone();
        read_headers(headers.as_ref())?;
        Ok(Client { url, headers, tls })
    }

    /// Posts a batch. Returns the answer if its status is 2xx.
    ///
    /// # Errors
    ///
    /// See [`PostError`].
    pub(super) async fn post(&self, signal: Signal, body: Bytes) -> Result<Bytes, PostError> {
        tokio::time::timeout(WITHIN, self.exchange(signal, body))
            .await
            .map_err(|_| PostError::Late)?
    }

    /// The exchange with the collector.
    ///
    /// # Errors
    ///
    /// See [`PostError`].
    async fn exchange(&self, signal: Signal, body: Bytes) -> Result<Bytes, PostError> {
        let host = self.url.host_str().ok_or(PostError::Address)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.url.port_or_known_default().ok_or(PostError::Address)?;
        let authority = match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let path = self.url.path().trim_end_matches('/');
        let mut request = Request::post(format!("{path}/v1/{}", signal.name()))
            .header(HOST, authority)
            .header(CONNECTION, "close")
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, format!("tributary/{VERSION}"));
        for (name, value) in read_headers(self.headers.as_ref())? {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body));
        let request = request.map_err(|_| PostError::Address)?;
        let stream = TcpStream::connect((bare, port)).await?;
        match &self.tls {
            Some(tls) => {
                let name = ServerName::try_from(bare.to_owned()).map_err(|_| PostError::Address)?;
                send(tls.connect(name, stream).await?, request).await
            }
            None => send(stream, request).await,
        }
    }
}

/// Sends a request over a connection, and returns the answer.
///
/// # Errors
///
/// See [`PostError`].
async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Bytes, PostError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the exchange, whose error says the same.
    let connection = tokio::spawn(connection);
    let answered = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        if !status.is_success() {
            let after = retry_after(answer.headers());
            return Err(PostError::Status(status, after));
        }
        let body = Limited::new(answer.into_body(), ANSWER).collect().await;
        Ok(body.map_err(|_| PostError::Answer)?.to_bytes())
    };
    let answered = answered.await;
    connection.abort();
    answered
}

/// The headers of a credential, one `Name: value` per line; empty lines count for
/// nothing.
///
/// # Errors
///
/// See [`HeaderError`].
fn read_headers(
    credential: Option<&Credential>,
) -> Result<Vec<(HeaderName, HeaderValue)>, HeaderError> {
    let Some(credential) = credential else {
        return Ok(Vec::new());
    };
    let text = credential.read()?;
    let lines = text.expose_secret().lines().map(str::trim).zip(1..);
    let lines = lines.filter(|(line, _)| !line.is_empty());
    lines
        .map(|(line, number)| {
            let wrong = || HeaderError::Line(number);
            let (name, value) = line.split_once(':').ok_or_else(wrong)?;
            let name = HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
            let mut value = HeaderValue::try_from(value.trim()).map_err(|_| wrong())?;
            if OWN.contains(&name) {
                return Err(HeaderError::Own(number));
            }
            value.set_sensitive(true);
            Ok((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    fn read(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, HeaderError> {
        read_headers(Some(&Credential::from(text.to_owned())))
    }

    #[test]
    fn headers_are_one_to_a_line() {
        let headers = read("Authorization: Bearer a:b==\n\n  x-tenant :north \r\n").unwrap();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(
            headers,
            [("authorization", "Bearer a:b=="), ("x-tenant", "north")]
        );
        assert!(read_headers(None).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_header_is_refused_by_its_line_and_not_repeated() {
        for (text, number) in [
            ("hunter2", 1),
            ("a: b\nhunter 2: c", 2),
            ("a: hunter2\u{7}", 1),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("line {number} ")), "{error}");
            assert!(!error.contains("hunter"), "{error}");
        }
        let error = read("a: b\nContent-Length: 3").unwrap_err();
        assert!(matches!(error, HeaderError::Own(2)), "{error}");
    }

    #[test]
    fn only_failures_that_may_pass_are_repeated() {
        for (code, is_final) in [
            (400, true),
            (401, true),
            (429, false),
            (500, true),
            (503, false),
        ] {
            let status = StatusCode::from_u16(code).unwrap();
            let error = PostError::Status(status, None);
            assert_eq!(error.is_final(), is_final, "{code}");
        }
        assert!(!PostError::Late.is_final());
    }

    #[test]
    fn a_collector_says_when_it_is_asked_again() {
        for (value, seconds) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("86400", Some(60)),
            ("-1", None),
            ("soon", None),
            ("Fri, 31 Dec 1999 23:59:59 GMT", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&headers), expected, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
