//! Responses of the HTTP ingest server: JSON, never cached, with one sentence
//! that says what is wrong and what would be right.
//!
//! A sentence repeats nothing of the request, so that neither a token nor an
//! identifier shows up in the log of a proxy.

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde_json::json;

use crate::serve::response::{JSON, text};

/// Seconds after which a request that was refused for want of room, or of a
/// broker, may be repeated.
const RETRY_S: u64 = 1;

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(super) struct Rejection {
    /// The status code.
    pub(super) status: StatusCode,
    /// A name of the reason for programs.
    pub(super) reason: &'static str,
    /// What is wrong, and what would be right.
    pub(super) message: String,
    /// Seconds after which the same request may be repeated.
    pub(super) retry_after: Option<u64>,
}

impl Rejection {
    /// A rejection of a request that would be rejected again.
    pub(super) fn new(
        status: StatusCode,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Rejection {
        Rejection {
            status,
            reason,
            message: message.into(),
            retry_after: None,
        }
    }

    /// 400: the body or a header cannot be read.
    pub(super) fn malformed(message: impl Into<String>) -> Rejection {
        Rejection::new(StatusCode::BAD_REQUEST, "malformed", message)
    }

    /// 401, with the same sentence for a wrong token as for a brand or a source
    /// that does not exist, so that neither can be found out by trying.
    pub(super) fn unauthorized() -> Rejection {
        Rejection::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "no source accepts this request: the path names none of the configuration, or the token is missing or not of that source",
        )
    }

    /// 413.
    pub(super) fn too_large(message: impl Into<String>) -> Rejection {
        Rejection::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// 415.
    pub(super) fn unsupported(message: impl Into<String>) -> Rejection {
        Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported", message)
    }

    /// 429: there is no room now.
    pub(super) fn busy(message: impl Into<String>) -> Rejection {
        Rejection {
            retry_after: Some(RETRY_S),
            ..Rejection::new(StatusCode::TOO_MANY_REQUESTS, "busy", message)
        }
    }

    /// 503: the broker is away.
    pub(super) fn unavailable(message: impl Into<String>) -> Rejection {
        Rejection {
            retry_after: Some(RETRY_S),
            ..Rejection::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
        }
    }

    /// The response.
    pub(super) fn response(&self) -> Response {
        let body = json!({"error": {"reason": self.reason, "message": self.message}});
        let mut response = text(self.status, JSON, format!("{body}\n"));
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"tributary\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
