//! Cancellation of requests that have not started (OpenDSR, 9).
//!
//! A cancellation is a message beside the requests. The registrar reads them
//! between the receipt of requests and the start of the work on them, so that a
//! request ends either canceled or executed, and its status says which.
//!
//! In a cluster the other processes do what the registrar tells them
//! ([`starts`](super::starts)), and learn nothing of what is canceled.

use async_nats::HeaderMap;
use async_nats::jetstream::{self, context::PublishError};
use serde::{Deserialize, Serialize};
use tributary_connectors::nats::{Client, Reader, subject as subjects};
use tributary_rights::status::Status;
use tributary_rights::{Reason, RequestId};

use super::job::Job;
use super::task::{LOOK, Rights};

/// Time to live of a cancellation, in the notation of `Nats-TTL`: longer than a
/// request may wait.
const KEPT: &str = "1000h";

/// Content of a cancellation.
#[derive(Serialize, Deserialize)]
struct Cancellation {
    /// ID of the request.
    id: String,
}

/// Publishes a cancellation. Returns once the broker has stored it.
///
/// # Errors
///
/// A broker that does not confirm it.
pub async fn cancel(client: &Client, brand: &str, id: &RequestId) -> Result<(), PublishError> {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-TTL", KEPT);
    let content = Cancellation {
        id: id.expose().to_owned(),
    };
    // A text: nothing in it can fail.
    let text = serde_json::to_string(&content).unwrap_or_default();
    jetstream::new(client.clone())
        .publish_with_headers(subjects::rights_cancellations(brand), headers, text.into())
        .await?
        .await?;
    Ok(())
}

impl Rights {
    /// Marks the jobs as canceled that have not started and whose cancellation is
    /// in the stream.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub(super) async fn reject_cancelled(&self, jobs: &mut [Job]) -> anyhow::Result<()> {
        let is_pending = |job: &Job| {
            let brand_log = self.brand_logs.get(&job.brand);
            let standing = brand_log.and_then(|brand_log| brand_log.standing(job.key));
            standing.is_some_and(|standing| standing.status == Status::Pending)
        };
        if !jobs.iter().any(is_pending) {
            return Ok(());
        }
        let stream = &self.config.nats.rights_stream;
        let all = subjects::rights_cancellations("*");
        let mut reader = Reader::filtered(&self.client, stream, &all, 1).await?;
        while !reader.caught_up() {
            let messages = reader.next_batch(1_000, LOOK).await?;
            if messages.is_empty() {
                // The last ones have expired meanwhile.
                break;
            }
            for message in messages {
                let content: Option<Cancellation> = serde_json::from_slice(&message.payload).ok();
                let brand = message.subject.split('.').nth(2).unwrap_or_default();
                let is_named = |job: &&mut Job| {
                    job.request.brand == brand
                        && content
                            .as_ref()
                            .is_some_and(|content| content.id == job.request.id.expose())
                };
                let Some(job) = jobs.iter_mut().find(is_named) else {
                    continue;
                };
                if is_pending(job) {
                    job.rejected = Some(Reason::Cancelled);
                }
                job.parts.push(message.sequence);
            }
        }
        Ok(())
    }
}
