//! Bodies of responses: each type is one body, with the names of the
//! specification. Section numbers refer to OpenDSR 2.0.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use zeroize::Zeroizing;

use super::vocabulary::{API_VERSION, IDENTITIES, TYPES};
use crate::refusal::Refusal;
use crate::request::RequestId;
use crate::status::Status;
use crate::time;

/// Capabilities of this processor (6.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Discovery {
    api_version: &'static str,
    supported_identities: Vec<SupportedIdentity>,
    supported_subject_request_types: Vec<&'static str>,
    processor_certificate: String,
}

/// A type of identity and the form in which it is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct SupportedIdentity {
    identity_type: &'static str,
    identity_format: &'static str,
}

impl Discovery {
    /// The document. `certificate` is the URL of the certificate that signs
    /// responses, on the domain that responds.
    pub fn new(certificate: &str) -> Discovery {
        let identity = |identity_type, identity_format| SupportedIdentity {
            identity_type,
            identity_format,
        };
        let identities = IDENTITIES.iter().flat_map(|(name, _, hashed)| {
            let hashed = hashed.then(|| identity(*name, "sha256"));
            std::iter::once(identity(*name, "raw")).chain(hashed)
        });
        Discovery {
            api_version: API_VERSION,
            supported_identities: identities.collect(),
            supported_subject_request_types: TYPES.iter().map(|(name, _)| *name).collect(),
            processor_certificate: certificate.to_owned(),
        }
    }
}

/// Time within which a request is stated to be complete, in milliseconds. GDPR,
/// Article 12(3), permits a month; this is the shortest except February.
pub const COMPLETION_MS: i64 = 30 * 86_400_000;

/// Confirmation of a submission (7.3). It repeats the whole submission,
/// including its identifiers, as the specification requires; it must not be
/// stored. Debug output shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Created<'a> {
    controller_id: &'a str,
    expected_completion_time: String,
    received_time: String,
    #[serde(serialize_with = "text")]
    encoded_request: Zeroizing<String>,
    subject_request_id: &'a RequestId,
}

/// Serializes a text that is overwritten when it is dropped.
fn text<S: serde::Serializer>(text: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

impl std::fmt::Debug for Created<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Created").finish_non_exhaustive()
    }
}

impl<'a> Created<'a> {
    /// The body for a submission with the bytes `body`. Times are Unix
    /// milliseconds.
    pub fn new(
        controller_id: &'a str,
        id: &'a RequestId,
        body: &[u8],
        received_at: i64,
        expected_at: i64,
    ) -> Created<'a> {
        Created {
            controller_id,
            expected_completion_time: time::write(expected_at),
            received_time: time::write(received_at),
            encoded_request: Zeroizing::new(STANDARD.encode(body)),
            subject_request_id: id,
        }
    }
}

/// State of a request (8.3), and, with a URL, the callback that reports it
/// (8.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusBody<'a> {
    controller_id: &'a str,
    expected_completion_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_callback_url: Option<&'a str>,
    subject_request_id: &'a RequestId,
    request_status: &'static str,
    api_version: &'static str,
    /// Always null: an answer is sealed, not fetched.
    results_url: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: BTreeMap<&'a str, Extension>,
}

/// Content of the extension of a status: why a request was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Extension {
    reason: &'static str,
}

/// The OpenDSR name of a status (8). A rejection, which OpenDSR does not have,
/// is `cancelled`.
pub fn request_status(status: Status) -> &'static str {
    match status {
        Status::Pending | Status::InProgress | Status::Completed(_) => status.name(),
        Status::Rejected(_) => "cancelled",
    }
}

impl<'a> StatusBody<'a> {
    /// The body. `domain` is that of the processor; `expected_at` is Unix
    /// milliseconds.
    pub fn new(
        controller_id: &'a str,
        id: &'a RequestId,
        domain: &'a str,
        status: Status,
        expected_at: i64,
    ) -> StatusBody<'a> {
        let mut extensions = BTreeMap::new();
        if let Status::Rejected(reason) = status {
            let reason = reason.name();
            extensions.insert(domain, Extension { reason });
        }
        StatusBody {
            controller_id,
            expected_completion_time: time::write(expected_at),
            status_callback_url: None,
            subject_request_id: id,
            request_status: request_status(status),
            api_version: API_VERSION,
            results_url: None,
            extensions,
        }
    }

    /// The body as it is posted to one of the callback URLs.
    pub fn callback(self, url: &'a str) -> StatusBody<'a> {
        StatusBody {
            status_callback_url: Some(url),
            ..self
        }
    }
}

/// Confirmation that a pending request was withdrawn (9.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cancellation<'a> {
    controller_id: &'a str,
    subject_request_id: &'a RequestId,
    received_time: String,
    api_version: &'static str,
}

impl<'a> Cancellation<'a> {
    /// The body. `received_at` is the time of the withdrawal, Unix milliseconds.
    pub fn new(controller_id: &'a str, id: &'a RequestId, received_at: i64) -> Cancellation<'a> {
        Cancellation {
            controller_id,
            subject_request_id: id,
            received_time: time::write(received_at),
            api_version: API_VERSION,
        }
    }
}

/// A refusal (7.6). "Error responses MUST NOT contain sensitive information
/// related to user identity": a [`Refusal`] never does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    error: ErrorObject,
}

/// The `error` member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ErrorObject {
    code: u16,
    message: String,
    errors: [ErrorDetail; 1],
}

/// The only element of `errors`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ErrorDetail {
    domain: &'static str,
    reason: &'static str,
    message: String,
}

impl ErrorBody {
    /// The body. `code` is the HTTP status of the response, 400 according to the
    /// specification.
    pub fn new(code: u16, refusal: &Refusal) -> ErrorBody {
        ErrorBody {
            error: ErrorObject {
                code,
                message: refusal.detail.clone(),
                errors: [ErrorDetail {
                    domain: "Validation",
                    reason: refusal.reason.name(),
                    message: refusal.detail.clone(),
                }],
            },
        }
    }
}
