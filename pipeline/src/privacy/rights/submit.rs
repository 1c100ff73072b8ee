//! Handing a request in, the same way through every door: checked, and with the broker before anything is answered.
//!
//! A door never does what is asked, and never judges whether it was asked before: the registrar does both, and tells
//! it on the status subject. So a request that was handed in twice, because an answer was lost, is done once.

use async_nats::Client;
use async_nats::jetstream::{self, context::PublishError};
use tributary_connectors::nats::subject as subjects;
use tributary_rights::{Refusal, Request};

/// Why a request was not handed in. Neither text repeats a value.
#[derive(Debug, thiserror::Error)]
pub enum NotSubmitted {
    /// No worker would do it.
    #[error("{} ({})", .0.detail, .0.reason.name())]
    Refused(Refusal),
    /// It is not known whether the broker has it.
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
