//! Submission of a request, the same for every interface: it is checked, and
//! the broker has it before the interface answers.
//!
//! An interface never executes a request, and never decides whether it is a
//! duplicate: the registrar does both, and publishes the outcome on the status
//! subject. A request that is submitted twice, because an answer was lost, is
//! executed once.

use async_nats::jetstream::{self, context::PublishError};
use async_nats::{Client, HeaderMap};
use tributary_connectors::nats::subject as subjects;
use tributary_rights::{Refusal, Request};

use super::callbacks::HEADER;

/// Reason why a request was not submitted. Neither text repeats a value of the
/// request.
#[derive(Debug, thiserror::Error)]
pub enum NotSubmitted {
    /// The request is invalid.
    #[error("{} ({})", .0.detail, .0.reason.name())]
    Refused(Refusal),
    /// The broker has not confirmed the request. It may have stored it; repeating
    /// the request is safe.
    #[error("the broker does not take the request: send it again, it is done once")]
    Broker(#[from] PublishError),
}

/// Validates a request for `brand` and publishes it to the rights stream, with
/// the URLs to call when its status changes. Returns once the broker has stored
/// it.
///
/// # Errors
///
/// See [`NotSubmitted`].
pub async fn submit(
    client: &Client,
    brand: &str,
    request: Vec<u8>,
    callbacks: &[String],
) -> Result<Request, NotSubmitted> {
    let checked = Request::parse(&request, Some(brand), &|name| name == brand)
        .map_err(NotSubmitted::Refused)?;
    let mut headers = HeaderMap::new();
    for url in callbacks {
        headers.append(HEADER, url.as_str());
    }
    let subject = subjects::rights_requests(brand);
    let sent = jetstream::new(client.clone())
        .publish_with_headers(subject, headers, request.into())
        .await?;
    sent.await?;
    Ok(checked)
}
