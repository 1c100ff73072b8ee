//! Plain responses of the HTTP server.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};

/// Content type of plain text.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
/// Content type of an Arrow IPC stream, registered with IANA.
pub(super) const ARROW: &str = "application/vnd.apache.arrow.stream";
/// Content type of JSON.
pub(super) const JSON: &str = "application/json";

/// A response that is not cached, and whose content type is not guessed.
pub(super) fn text(status: StatusCode, content: &'static str, body: impl Into<Body>) -> Response {
    let headers = [
        (CONTENT_TYPE, content),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let body: Body = body.into();
    (status, headers, body).into_response()
}
