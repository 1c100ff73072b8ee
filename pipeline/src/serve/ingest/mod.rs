//! The HTTP ingest server (`[http_ingest]`): records over HTTP become messages
//! of the input stream.
//!
//! It keeps one promise: *a response of 2xx means that the input stream has
//! acknowledged every line of the body.* It holds nothing itself, so that a
//! crash loses nothing that was promised. Anything else may be sent again. With
//! an `Idempotency-Key`, the repetition counts once even for records without an
//! id of their own.
//!
//! ```text
//! request ─► target: token, source ─► body: limits ─► split: lines, messages ─► window ─► stream ─► 202
//! ```
//!
//! It judges no record. What is no record becomes a dead letter, as from any
//! other sender. It sets no cookie, serves no pixel, and reads neither the
//! address nor the user agent of a client.

mod body;
mod reply;
mod segment;
mod split;
mod target;

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::bail;
use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tributary_config::model::{Brand, Config, Format, HttpIngest};
use tributary_connectors::formats::meraki;
use tributary_connectors::nats::{AT_HEADER, Client, OutgoingMessage, StoreError, StreamWriter};

use super::access::Peer;
use super::connections;
use super::response::{JSON, TEXT, text};
use crate::report::metrics::Metrics;
use body::{Limits, Received};
use reply::Rejection;
use split::{Media, Messages, split};
use target::{Admitted, Target, Targets};

/// Maximum time for the acknowledgment of all messages of a request.
const ACKNOWLEDGE: Duration = Duration::from_secs(10);

/// Maximum time for responses in progress when the server ends: more than a
/// response may take to be acknowledged.
const GRACE: Duration = Duration::from_secs(12);

/// Maximum length of an `Idempotency-Key`, bytes.
const LONGEST_KEY: usize = 255;

/// Maximum size of the headers that become headers of a message, bytes.
const LONGEST_HEADERS: usize = 8192;

/// Size from which a body is parsed on a thread of its own, bytes: parsing must
/// not delay the connection to the broker.
const LARGE: usize = 64 << 10;

/// The header by which a client makes a repetition count once.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// State of the server. Handlers share it.
pub struct IngestServer {
    settings: HttpIngest,
    brands: Vec<Brand>,
    targets: Targets,
    limits: Limits,
    /// The places of unacknowledged messages.
    window: Semaphore,
    /// The name of the input stream.
    stream: String,
    /// The connection to the broker; empty while the worker starts.
    writer: OnceLock<StreamWriter>,
    metrics: Arc<Metrics>,
}

impl IngestServer {
    /// The server of a configuration. It responds with 503 before
    /// [`IngestServer::open`].
    pub fn new(config: &Config, metrics: Arc<Metrics>) -> Arc<IngestServer> {
        let targets = Targets::new(config);
        for target in targets.all() {
            metrics.http_ingest_source(&target.brand, &target.source.name);
        }
        Arc::new(IngestServer {
            settings: config.http_ingest.clone(),
            brands: config.brands.clone(),
            targets,
            limits: Limits::new(config.http_ingest.max_body_bytes),
            window: Semaphore::new(config.http_ingest.window),
            stream: config.nats.input_stream.clone(),
            writer: OnceLock::new(),
            metrics,
        })
    }

    /// Provides the connection to the broker; the input stream exists from now on.
    pub fn open(&self, client: &Client) {
        let writer = StreamWriter::new(client, &self.stream, self.settings.window);
        let _ = self.writer.set(writer);
    }

    /// Serves until `shutdown`; responses in progress are then completed.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) {
        connections::accept(listener, router(self), shutdown, GRACE).await;
    }

    /// The writer to the input stream.
    ///
    /// # Errors
    /// 503 while the broker is away, so that no body is read for nothing.
    fn writer(&self) -> Result<&StreamWriter, Rejection> {
        let writer = self.writer.get().filter(|writer| writer.is_connected());
        writer.ok_or_else(away)
    }

    /// Stores messages for a source, and counts them.
    ///
    /// # Errors
    /// 429 beyond the window, 503 without the stream's acknowledgment, 409 for an
    /// idempotency key that was used for another body.
    async fn store(
        &self,
        admitted: &Admitted<'_>,
        headers: Vec<(std::borrow::Cow<'static, str>, String)>,
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

/// Checks the address of the server.
///
/// # Errors
///
/// An address other than loopback without tokens.
pub fn refuse_unprotected(config: &Config) -> anyhow::Result<()> {
    match config.http_ingest.is_protected() {
        true => Ok(()),
        false => bail!(
            "others can reach http_ingest.listen and no ingest token is set: add [[http_ingest.token]], or listen on 127.0.0.1"
        ),
    }
}

/// All routes, with their common checks.
fn router(server: Arc<IngestServer>) -> Router {
    let not_found = async || {
        let hint = "not found: there are /v1/in/<brand>/<kind>[/<source>] and /v1/{track,page,screen,identify,alias,group,batch,import}";
        Rejection::new(StatusCode::NOT_FOUND, "not_found", hint).response()
    };
    let router = Router::new()
        .route("/v1/in/{brand}/{kind}", post(receive).get(validate))
        .route(
            "/v1/in/{brand}/{kind}/{source}",
            post(receive).get(validate),
        )
        .route("/v1/{call}", post(segment_call))
        .route("/beacon/v1/batch", post(segment_beacon))
        .method_not_allowed_fallback(async || {
            let hint = "records are sent by POST";
            Rejection::new(StatusCode::METHOD_NOT_ALLOWED, "method", hint).response()
        })
        .fallback(not_found)
        .layer(RequestDecompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(server.settings.max_body_bytes))
        .layer(from_fn_with_state(server.clone(), check_head));
    let router = match server.settings.origins.is_empty() {
        true => router,
        false => router.layer(cors(&server.settings.origins)),
    };
    router
        .layer(from_fn_with_state(server.clone(), count))
        .layer(from_fn(normalize_encoding))
        .with_state(server)
}

/// What pages of these origins may send (the Fetch standard). Credentials are
/// not among it: a write key is no cookie.
fn cors(origins: &[String]) -> CorsLayer {
    let origins = origins.iter().filter_map(|origin| origin.parse().ok());
    let headers = [
        AUTHORIZATION,
        CONTENT_TYPE,
        CONTENT_ENCODING,
        IDEMPOTENCY_KEY,
        // Of RudderStack's SDK.
        HeaderName::from_static("anonymousid"),
        HeaderName::from_static("ce-id"),
        HeaderName::from_static("ce-source"),
        HeaderName::from_static("ce-specversion"),
        HeaderName::from_static("ce-time"),
        HeaderName::from_static("ce-type"),
    ];
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.collect::<Vec<HeaderValue>>()))
        .allow_methods([Method::POST])
        .allow_headers(headers)
        .max_age(Duration::from_secs(86_400))
}

/// Writes the content encoding in lower case, as the layer that decompresses
/// expects it (RFC 9110, section 8.4.1: names have no case).
async fn normalize_encoding(mut request: Request, next: Next) -> Response {
    let encoding = request.headers().get(CONTENT_ENCODING);
    let lower = encoding.map(|name| name.as_bytes().trim_ascii().to_ascii_lowercase());
    if let Some(lower) = lower {
        let lower = if lower == b"x-gzip" {
            b"gzip".to_vec()
        } else {
            lower
        };
        if let Ok(value) = HeaderValue::from_bytes(&lower) {
            request.headers_mut().insert(CONTENT_ENCODING, value);
        }
    }
    next.run(request).await
}

/// The brand and the source that a request was admitted to, as an extension of
/// its response.
#[derive(Clone)]
struct Counted(String, String);

/// Counts a request by its response.
async fn count(State(server): State<Arc<IngestServer>>, request: Request, next: Next) -> Response {
    let is_preflight = request.method() == Method::OPTIONS;
    let response = next.run(request).await;
    if !is_preflight {
        let admitted = response.extensions().get::<Counted>();
        let admitted = admitted.map(|Counted(brand, source)| (brand.as_str(), source.as_str()));
        let code = response.status().as_u16();
        server.metrics.http_ingest_request(admitted, code);
    }
    response
}

/// Refuses, before the body is read, pages of other origins, bodies that are too
/// large, and encodings that are not read.
async fn check_head(
    State(server): State<Arc<IngestServer>>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if let Some(origin) = headers.get(ORIGIN) {
        let mut known = server.settings.origins.iter();
        if !known.any(|known| known.as_bytes() == origin.as_bytes()) {
            let message =
                "pages of this origin may not send records: add it to http_ingest.origins";
            return Rejection::new(StatusCode::FORBIDDEN, "origin", message).response();
        }
    }
    let length = headers.get(CONTENT_LENGTH).map(HeaderValue::to_str);
    let length = length.and_then(|text| text.ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > server.limits.max as u64) {
        return server.limits.too_large().response();
    }
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    let is_read = |value: &HeaderValue| matches!(value.as_bytes(), b"gzip" | b"zstd" | b"identity");
    if !encodings.all(is_read) || headers.get_all(CONTENT_ENCODING).iter().count() > 1 {
        let message = "the content encoding must be gzip, zstd or identity";
        let mut response = Rejection::unsupported(message).response();
        let known = HeaderValue::from_static("gzip, zstd, identity");
        response.headers_mut().insert(ACCEPT_ENCODING, known);
        return response;
    }
    next.run(request).await
}

/// Completes a response: a rejection becomes one, and an admitted request is
/// counted for its source.
fn respond(admitted: Option<&Target>, outcome: Result<Response, Rejection>) -> Response {
    let mut response = outcome.unwrap_or_else(|rejection| rejection.response());
    if let Some(target) = admitted {
        let counted = Counted(target.brand.clone(), target.source.name.clone());
        response.extensions_mut().insert(counted);
    }
    response
}

/// The brand, the kind and perhaps the source in a path.
#[derive(serde::Deserialize)]
struct Place {
    brand: String,
    kind: String,
    source: Option<String>,
}

/// `POST /v1/in/<brand>/<kind>[/<source>]`.
async fn receive(
    State(server): State<Arc<IngestServer>>,
    Path(place): Path<Place>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let peer = peer.map(|Extension(peer)| peer);
    let source = place.source.as_deref();
    let path = (place.brand.as_str(), place.kind.as_str(), source);
    let named = server.targets.named(path.0, path.1, path.2);
    let repeats_secret = named
        .filter(|target| matches!(target.source.format, Format::Meraki))
        .filter(|_| !headers.contains_key(AUTHORIZATION));
    let read = async {
        server.writer()?;
        media(&headers)?;
        server.limits.read(body).await
    };
    // A post that repeats a secret is admitted by its body, any other before it is read.
    let admitted = match repeats_secret {
        None => server.targets.by_path(path, &headers, peer),
        Some(target) => {
            let received = match read.await {
                Ok(received) => received,
                Err(rejection) => return rejection.response(),
            };
            let is_right = std::str::from_utf8(&received.data)
                .is_ok_and(|text| meraki::is_from(text, &target.source.mapping.secret));
            return match server.targets.by_secret(target, is_right, peer) {
                Ok(admitted) => {
                    let outcome = accept(&server, &admitted, &headers, received).await;
                    respond(Some(target), outcome)
                }
                Err(rejection) => rejection.response(),
            };
        }
    };
    let admitted = match admitted {
        Ok(admitted) => admitted,
        Err(rejection) => return rejection.response(),
    };
    let outcome = match read.await {
        Ok(received) => accept(&server, &admitted, &headers, received).await,
        Err(rejection) => Err(rejection),
    };
    respond(Some(admitted.target), outcome)
}

/// `GET /v1/in/<brand>/<kind>[/<source>]`: the validator of a Meraki source.
async fn validate(State(server): State<Arc<IngestServer>>, Path(place): Path<Place>) -> Response {
    let source = place.source.as_deref();
    let target = server.targets.named(&place.brand, &place.kind, source);
    match target.and_then(|target| target.source.mapping.validator.clone()) {
        Some(validator) => text(StatusCode::OK, TEXT, validator),
        None => {
            let message = "there is nothing to read here: records are sent by POST, and a `meraki` source with a `validator` answers GET";
            Rejection::new(StatusCode::NOT_FOUND, "not_found", message).response()
        }
    }
}

/// The media type of a body.
///
/// # Errors
/// 415 for any that is not read.
fn media(headers: &HeaderMap) -> Result<Media, Rejection> {
    let given = headers.get(CONTENT_TYPE);
    let media = given.and_then(|value| Media::of(value.to_str().ok()?));
    media.ok_or_else(|| {
        Rejection::unsupported(
            "the content type must be application/json, application/x-ndjson, text/csv, text/tab-separated-values, application/cloudevents+json or application/cloudevents-batch+json",
        )
    })
}

/// The idempotency key of a request.
///
/// # Errors
/// 400 for one that is empty, too long or not printable ASCII.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Rejection> {
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

/// Headers of a message: the attributes of a CloudEvent, and for load tests the
/// time of arrival, where the source permits it.
///
/// # Errors
/// 400 for headers that are too long or not ASCII.
fn message_headers(
    headers: &HeaderMap,
    media: Media,
    target: &Target,
) -> Result<Vec<(std::borrow::Cow<'static, str>, String)>, Rejection> {
    let mut out: Vec<(std::borrow::Cow<'static, str>, String)> = Vec::new();
    if let Some(content_type) = media.header() {
        out.push(("Content-Type".into(), content_type.to_owned()));
        return Ok(out);
    }
    for (name, value) in headers {
        let is_attribute = name.as_str().starts_with("ce-");
        let is_arrival =
            target.source.arrival_header && name.as_str().eq_ignore_ascii_case(AT_HEADER);
        if is_attribute || is_arrival {
            let value = value.to_str().map_err(|_| {
                Rejection::malformed("the attributes of a CloudEvent must be percent-encoded")
            })?;
            let name = match is_arrival {
                true => AT_HEADER.to_owned(),
                false => name.as_str().to_owned(),
            };
            out.push((name.into(), value.to_owned()));
        }
    }
    let length: usize = out.iter().map(|(n, v)| n.len() + v.len() + 4).sum();
    match length <= LONGEST_HEADERS {
        true => Ok(out),
        false => Err(Rejection::malformed(format!(
            "the attributes of the CloudEvent have more than {LONGEST_HEADERS} bytes"
        ))),
    }
}

/// The largest payload of a message with headers, bytes.
fn max_payload(writer: &StreamWriter) -> usize {
    // Beside the headers of CloudEvents: the id with its number, and the status line.
    let reserved = LONGEST_HEADERS + LONGEST_KEY + 128;
    writer.max_payload().saturating_sub(reserved)
}

/// Publishes the body of an admitted request: 202 with what was stored.
///
/// # Errors
/// Any rejection of the body, and those of [`IngestServer::store`].
async fn accept(
    server: &Arc<IngestServer>,
    admitted: &Admitted<'_>,
    headers: &HeaderMap,
    received: Received,
) -> Result<Response, Rejection> {
    let media = media(headers)?;
    let key = idempotency_key(headers)?;
    let attributes = message_headers(headers, media, admitted.target)?;
    let max = max_payload(server.writer()?);
    let bytes = received.data.len();
    let (data, target) = (received.data.clone(), admitted.target.clone());
    let worker = server.clone();
    let messages = parse(bytes, move || {
        let mut brands = worker.brands.iter();
        let brand = brands.find(|brand| brand.name == target.brand);
        let brand = brand.ok_or_else(Rejection::unauthorized)?;
        split(media, &data, (brand, &target.source), max)
    })
    .await?;
    let is_event = headers.contains_key("ce-specversion") || headers.contains_key("ce-id");
    if is_event && media.header().is_none() && messages.payloads.len() > 1 {
        // Its id names the records of one message.
        return Err(Rejection::too_large(
            "the data of a CloudEvent in binary mode must fit into one message of 512 KiB",
        ));
    }
    let (lines, count) = (messages.lines, messages.payloads.len());
    let begun = Instant::now();
    server.store(admitted, attributes, key, messages).await?;
    let Target { brand, source } = admitted.target;
    let metrics = &server.metrics;
    metrics.http_ingest_accepted(brand, &source.name, bytes, begun.elapsed());
    drop(received);
    let body = json!({"lines": lines, "messages": count});
    Ok(text(StatusCode::ACCEPTED, JSON, format!("{body}\n")))
}

/// Parses a body, a large one on a thread of its own.
async fn parse<T: Send + 'static>(
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

/// `POST /v1/<call>` of Segment's API.
async fn segment_call(
    State(server): State<Arc<IngestServer>>,
    Path(call): Path<String>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match segment::message_type(&call) {
        Some(of_type) => receive_segment(&server, of_type, None, peer, &headers, body).await,
        None => {
            let message = "Segment's API has no such call: there are track, page, screen, identify, alias, group, batch and import";
            Rejection::new(StatusCode::NOT_FOUND, "not_found", message).response()
        }
    }
}

/// `POST /beacon/v1/batch?writeKey=…` of RudderStack's SDK.
async fn segment_beacon(
    State(server): State<Arc<IngestServer>>,
    uri: Uri,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let mut keys = query.filter(|(name, _)| name.eq_ignore_ascii_case("writeKey"));
    let key = keys.next().map(|(_, key)| key.into_owned());
    receive_segment(&server, "", key, peer, &headers, body).await
}

/// Receives a call of Segment's API: 200 as its SDKs expect it.
async fn receive_segment(
    server: &Arc<IngestServer>,
    of_type: &'static str,
    in_address: Option<String>,
    peer: Option<Extension<Peer>>,
    headers: &HeaderMap,
    body: Body,
) -> Response {
    let peer = peer.map(|Extension(peer)| peer);
    // No key can be right, so that no body is read for it.
    if !server.targets.has_segment() {
        return Rejection::unauthorized().response();
    }
    let read = async {
        let max = max_payload(server.writer()?);
        let key = idempotency_key(headers)?;
        let received = server.limits.read(body).await?;
        let data = received.data.clone();
        let parsed = parse(data.len(), move || {
            let call = segment::Call::parse(&data)?;
            let write_key = call.write_key().map(|key| key.into_owned());
            Ok((write_key, call.messages(of_type, max)?))
        });
        let (write_key, messages) = parsed.await?;
        Ok((received, key, write_key, messages))
    };
    // A key in a header is checked before the body is read.
    let targets = &server.targets;
    let early = headers.contains_key(AUTHORIZATION) || in_address.is_some();
    let admitted = match early {
        true => match targets.by_write_key(headers, in_address.as_deref(), peer) {
            Ok(admitted) => Some(admitted),
            Err(rejection) => return rejection.response(),
        },
        false => None,
    };
    let (received, key, write_key, messages) = match read.await {
        Ok(read) => read,
        Err(rejection) => {
            let target = admitted.as_ref().map(|admitted| admitted.target);
            return respond(target, Err(rejection));
        }
    };
    let admitted = match admitted {
        Some(admitted) => admitted,
        None => match targets.by_write_key(headers, write_key.as_deref(), peer) {
            Ok(admitted) => admitted,
            Err(rejection) => return rejection.response(),
        },
    };
    let begun = Instant::now();
    let stored = server.store(&admitted, Vec::new(), key, messages).await;
    let Target { brand, source } = admitted.target;
    let outcome = stored.map(|()| {
        let bytes = received.data.len();
        let metrics = &server.metrics;
        metrics.http_ingest_accepted(brand, &source.name, bytes, begun.elapsed());
        text(StatusCode::OK, JSON, "{\"success\":true}\n")
    });
    respond(Some(admitted.target), outcome)
}
