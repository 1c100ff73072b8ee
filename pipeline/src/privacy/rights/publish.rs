//! What the registrar publishes about a request: its status, and its receipt.
//! Other processes publish neither.

use anyhow::Context;
use async_nats::jetstream;
use bytes::Bytes;
use tributary_connectors::nats::{self, subject as subjects};
use tributary_operators::record::BrandId;
use tributary_rights::opendsr::{COMPLETION_MS, StatusBody};
use tributary_rights::receipt::Receipt;
use tributary_rights::status::{Status, StatusMessage};
use tributary_rights::{RequestId, Right};

use super::job::Job;
use super::task::Rights;

/// What accompanies a status: whom to inform of it beside the status subject, and
/// why a request is rejected.
#[derive(Clone, Copy)]
pub(super) struct StatusContext<'a> {
    /// The URLs of the controller.
    pub urls: &'a [String],
    /// When the request arrived, Unix milliseconds.
    pub received: i64,
    /// Of a rejection, the sentence that names the field and the remedy; never a
    /// value.
    pub detail: Option<&'a str>,
}

impl<'a> From<&'a Job> for StatusContext<'a> {
    fn from(job: &'a Job) -> StatusContext<'a> {
        StatusContext {
            urls: &job.callbacks,
            received: job.received,
            detail: job.detail.as_deref(),
        }
    }
}

impl Rights {
    /// Publishes the status of a request, effective at `at` (Unix milliseconds),
    /// and what is to be posted to the URLs of its controller. `right` is unknown
    /// for content that is not a valid request.
    ///
    /// # Errors
    ///
    /// Those of `publish`.
    pub(super) async fn publish_status(
        &self,
        brand: &str,
        id: &RequestId,
        right: Option<Right>,
        status: Status,
        at: i64,
        context: StatusContext<'_>,
    ) -> anyhow::Result<()> {
        if !self.is_registrar() {
            return Ok(());
        }
        let message = StatusMessage {
            brand,
            id,
            right,
            status,
            at,
            detail: context.detail,
        };
        self.publish(subjects::rights_status(brand), message.to_json())
            .await?;
        let Some(domain) = &self.config.http.opendsr_domain else {
            return Ok(());
        };
        let expected = context.received + COMPLETION_MS;
        for url in context.urls {
            let body = StatusBody::new(brand, id, domain, status, expected).callback(url);
            // Texts and numbers: nothing in it can fail.
            let body = serde_json::to_string(&body).unwrap_or_default();
            self.publish(subjects::rights_callbacks(brand), body)
                .await?;
        }
        Ok(())
    }

    /// Publishes a receipt, and notes that the broker has it.
    ///
    /// # Errors
    ///
    /// Those of `publish`. The receipt is then published with the next repetition
    /// of the request.
    pub(super) async fn publish_receipt(
        &mut self,
        brand: BrandId,
        receipt: &Receipt,
    ) -> anyhow::Result<()> {
        let Some(brand_log) = self.brand_logs.get(&brand) else {
            return Ok(());
        };
        let text = receipt.to_jws(&brand_log.keys);
        let subject = subjects::rights_receipt(&brand_log.name);
        self.publish(subject, text).await?;
        if let Some(brand_log) = self.brand_logs.get_mut(&brand) {
            brand_log.receipted(receipt.audit);
        }
        Ok(())
    }

    /// Publishes a message, waits until the broker has stored it, and returns its
    /// sequence number.
    ///
    /// # Errors
    ///
    /// Any error of the broker, including a missing confirmation.
    pub(super) async fn publish(
        &self,
        subject: String,
        content: impl Into<Bytes>,
    ) -> anyhow::Result<u64> {
        let jetstream = jetstream::new(self.client.clone());
        let sent = jetstream.publish(subject, content.into()).await;
        let stored = sent
            .context("publishing the status of a request")?
            .await
            .context("publishing the status of a request")?;
        Ok(stored.sequence)
    }

    /// Deletes a message of the rights stream; the broker overwrites its bytes.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    pub(super) async fn delete(&self, sequence: u64) -> anyhow::Result<()> {
        if self.is_registrar() {
            let stream = &self.config.nats.rights_stream;
            nats::delete_message(&self.client, stream, sequence).await?;
        }
        Ok(())
    }
}
