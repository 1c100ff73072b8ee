//! State of the ingest server, and what every path does with a request: it
//! reads its key, parses its body, stores its messages within the window, and
//! counts its response.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use tokio::sync::Semaphore;
use tributary_config::model::{Brand, HttpIngest};
use tributary_connectors::nats::{Client, OutgoingMessage, StoreError, StreamWriter};

use super::body::Limits;
use super::reply::Rejection;
use super::split::Messages;
use super::target::{Admitted, Target, Targets};
use crate::live_config::LiveConfig;
use crate::report::metrics::Metrics;

/// Maximum time for the acknowledgment of all messages of a request.
const ACKNOWLEDGE: Duration = Duration::from_secs(10);

/// Maximum length of an `Idempotency-Key`, bytes.
const LONGEST_KEY: usize = 255;

/// Maximum size of the headers that become headers of a message, bytes.
pub(super) const LONGEST_HEADERS: usize = 8192;

/// Size from which a body is parsed on a thread of its own, bytes: parsing must
/// not delay the connection to the broker.
const LARGE: usize = 64 << 10;

/// The header by which a client makes a repetition count once.
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// State of the server. Handlers share it.
pub struct IngestServer {
    pub(super) settings: HttpIngest,
    pub(super) brands: Vec<Brand>,
    pub(super) targets: Targets,
    pub(super) limits: Limits,
    /// The places of unacknowledged messages.
    window: Semaphore,
    /// The connection to the broker; empty while the worker starts.
    writer: OnceLock<StreamWriter>,
    pub(super) metrics: Arc<Metrics>,
}

impl IngestServer {
    /// The server of a configuration. It responds with 503 before
    /// [`IngestServer::open`].
    pub fn new(live: &LiveConfig, metrics: Arc<Metrics>) -> Arc<IngestServer> {
        let config = live.now();
        let targets = Targets::new(live);
        for target in targets.all() {
            metrics.http_ingest_source(&target.brand, &target.source.name);
        }
        Arc::new(IngestServer {
            settings: config.http_ingest.clone(),
            brands: config.brands.clone(),
            targets,
            limits: Limits::new(config.http_ingest.max_body_bytes),
            window: Semaphore::new(config.http_ingest.window),
            writer: OnceLock::new(),
            metrics,
        })
    }

    /// Provides the connection to the broker; the input stream exists from now on.
    pub fn open(&self, client: &Client) {
        let writer = StreamWriter::new(client, self.settings.window);
        let _ = self.writer.set(writer);
    }

    /// The writer to the input stream.
    ///
    /// # Errors
    /// 503 while the broker is away, so that no body is read for nothing.
    pub(super) fn writer(&self) -> Result<&StreamWriter, Rejection> {
        let writer = self.writer.get().filter(|writer| writer.is_connected());
        writer.ok_or_else(away)
    }

    /// Stores messages for a source, and counts them.
    ///
    /// # Errors
    /// 429 beyond the window, 503 without the stream's acknowledgment, 409 for an
    /// idempotency key that was used for another body.
    pub(super) async fn store(
        &self,
        admitted: &Admitted<'_>,
        headers: Vec<(Cow<'static, str>, String)>,
        key: Option<String>,
        messages: Messages,
    ) -> Result<(), Rejection> {
        let count = messages.payloads.len();
        let places = u32::try_from(count.min(self.settings.window)).unwrap_or(u32::MAX);
        let _places = self.window.try_acquire_many(places).map_err(|_| {
            Rejection::busy(format!(
                "{} messages are not acknowledged yet (http_ingest.window): send it again",
                self.settings.window
            ))
        })?;
        let key = key.unwrap_or_else(random_key);
        let outgoing = messages.payloads.into_iter().enumerate();
        let outgoing: Vec<OutgoingMessage> = outgoing
            .map(|(n, payload)| OutgoingMessage {
                subject: admitted.subject.clone(),
                headers: headers.clone(),
                payload,
                id: Some(format!("{key}/{n}")),
            })
            .collect();
        let stored = self.writer()?.store(&outgoing, ACKNOWLEDGE).await;
        stored.map_err(|error| match error {
            StoreError::Unavailable => away(),
            StoreError::Refused(error) => {
                tracing::warn!(%error, "the broker refuses messages of the HTTP ingest server");
                Rejection::unavailable("the broker refuses the messages: send it again later")
            }
            StoreError::IdReused => Rejection::new(
                StatusCode::CONFLICT,
                "key_reused",
                "this Idempotency-Key was used for another body or another source: draw one for each request",
            ),
        })
    }
}

/// 503.
fn away() -> Rejection {
    Rejection::unavailable(
        "the broker is not connected, or did not acknowledge in time: send the same request again, with its Idempotency-Key",
    )
}

/// An id for the messages of a request without one of its own, by which the
/// stream recognizes what is published again after a lost connection.
fn random_key() -> String {
    data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>())
}

/// The idempotency key of a request.
///
/// # Errors
/// 400 for one that is empty, too long or not printable ASCII.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Rejection> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = value.to_str().map(str::trim).unwrap_or_default();
    match (1..=LONGEST_KEY).contains(&key.len()) {
        true => Ok(Some(key.to_owned())),
        false => Err(Rejection::malformed(format!(
            "the Idempotency-Key must have 1 to {LONGEST_KEY} characters of printable ASCII"
        ))),
    }
}

/// The largest payload of a message with headers, bytes.
pub(super) fn max_payload(writer: &StreamWriter) -> usize {
    // Beside the headers of CloudEvents: the id with its number, and the status line.
    let reserved = LONGEST_HEADERS + LONGEST_KEY + 128;
    writer.max_payload().saturating_sub(reserved)
}

/// Parses a body, a large one on a thread of its own.
pub(super) async fn parse<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Rejection> + Send + 'static,
) -> Result<T, Rejection> {
    if bytes < LARGE {
        return work();
    }
    let parsed = tokio::task::spawn_blocking(work).await;
    parsed.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot parse a body");
        let message = "the body could not be parsed";
        Err(Rejection::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            message,
        ))
    })
}

/// The brand and the source that a request was admitted to, as an extension of
/// its response.
#[derive(Clone)]
pub(super) struct Counted(pub(super) String, pub(super) String);

/// Completes a response: a rejection becomes one, and an admitted request is
/// counted for its source.
pub(super) fn respond(admitted: Option<&Target>, outcome: Result<Response, Rejection>) -> Response {
    let mut response = outcome.unwrap_or_else(|rejection| rejection.response());
    if let Some(target) = admitted {
        let counted = Counted(target.brand.clone(), target.source.name.clone());
        response.extensions_mut().insert(counted);
    }
    response
}
