//! Submission of a request, the same for every interface: it is checked, and the broker has it before the interface answers.
//!
//! An interface never executes a request, and never decides whether it is a duplicate: the registrar does both, and
//! publishes the outcome on the status subject. A request that is submitted twice, because an answer was lost, is executed
//! once.

use async_nats::Client;
use async_nats::jetstream::{self, context::PublishError};
use tributary_connectors::nats::subject as subjects;
use tributary_rights::{Refusal, Request};

/// The reason why a request was not submitted. Neither text repeats a value of the request.
#[derive(Debug, thiserror::Error)]
pub enum NotSubmitted {
    /// It is no valid request.
    #[error("{} ({})", .0.detail, .0.reason.name())]
    Refused(Refusal),
    /// The broker has not confirmed it, and may or may not have it.
    #[error("the broker does not take the request: send it again, it is done once")]
    Broker(#[from] PublishError),
}

/// Checks a request about a person of a brand and gives it to the broker, which keeps it until it is answered.
///
/// # Errors
/// See [`NotSubmitted`].
pub async fn submit(
    client: &Client,
    brand: &str,
    request: Vec<u8>,
) -> Result<Request, NotSubmitted> {
    let checked = Request::parse(&request, Some(brand), &|name| name == brand)
        .map_err(NotSubmitted::Refused)?;
    let sent = jetstream::new(client.clone())
        .publish(subjects::rights_requests(brand), request.into())
        .await?;
    sent.await?;
    Ok(checked)
}
