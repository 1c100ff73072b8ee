//! What is checked and counted around every request, before its body is read:
//! the origin of the page, the announced length, and the content encoding.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::reply::Rejection;
use super::server::{Counted, IDEMPOTENCY_KEY, IngestServer};

/// What pages of these origins may send (the Fetch standard). Credentials are
/// not among it: a write key is no cookie.
pub(super) fn cors(origins: &[String]) -> CorsLayer {
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
pub(super) async fn normalize_encoding(mut request: Request, next: Next) -> Response {
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

/// Counts a request by its response.
pub(super) async fn count(
    State(server): State<Arc<IngestServer>>,
    request: Request,
    next: Next,
) -> Response {
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
pub(super) async fn check(
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
