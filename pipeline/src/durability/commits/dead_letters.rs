//! Dead letters, and rights requests that vendors passed on, are stored by the
//! broker before the commit that acknowledges their messages.
//!
//! Otherwise a crash between the two could lose a rejected record or a
//! request without a trace. A broker that does not accept them therefore suspends acknowledgment,
//! and `/readyz` says so.

use anyhow::Context;
use tributary_connectors::address_mask::mask_addresses;
use tributary_connectors::dead_letter::{DeadLetter, MASKED_HEADER};
use tributary_connectors::nats::OutgoingMessage;

use super::{Commits, PAUSE};
use crate::report::telemetry::Telemetry;

/// Reason that `/readyz` gives while the broker has not stored a dead letter.
const UNTAKEN: &str =
    "the ledger waits for the broker to take dead letters; until then nothing more is acknowledged";

impl Commits {
    /// Sends dead letters, and rights requests that vendors passed on, to the
    /// broker without waiting for its confirmations. A failed send is repeated by
    /// `flush`.
    ///
    /// # Errors
    ///
    /// None; failures are reported in `/readyz` and resolved by `flush`.
    pub(super) async fn publish_beside(
        &mut self,
        dead: Vec<DeadLetter>,
        requests: Vec<OutgoingMessage>,
    ) -> anyhow::Result<()> {
        let max_payload = self.publisher.max_payload();
        let dead = dead.into_iter();
        let masks = self.masks_addresses;
        let dead = dead.map(|letter| message(letter, max_payload, masks));
        for message in dead.chain(requests) {
            let sent = with_notice(&self.telemetry, self.publisher.send(message)).await;
            if let Err(error) = sent {
                self.telemetry.metrics.published(0, 0, 1);
                self.telemetry
                    .health
                    .set_ledger(Some(format!("{UNTAKEN}: {error}")));
                tracing::warn!(%error, "retrying to publish a dead letter");
            }
        }
        Ok(())
    }

    /// Waits without a time limit until the broker has confirmed all dead letters.
    ///
    /// # Errors
    ///
    /// An error of the broker that a retry cannot resolve, such as a missing
    /// stream.
    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        while let Err(error) = with_notice(&self.telemetry, self.publisher.flush()).await {
            self.telemetry.metrics.published(0, 0, 1);
            if !error.is_transient() {
                return Err(error).context("the broker does not take dead letters");
            }
            self.telemetry
                .health
                .set_ledger(Some(format!("{UNTAKEN}: {error}")));
            tracing::warn!(%error, "retrying to publish dead letters");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}

/// The message of a dead letter, without the addresses of devices if `masks`.
fn message(mut letter: DeadLetter, max_payload: usize, masks: bool) -> OutgoingMessage {
    let may_have = matches!(letter.kind.as_deref(), None | Some("ping" | "partner"));
    let is_masked = masks && may_have && mask_addresses(&mut letter.payload);
    // A header of this length fits besides what is cut.
    let mut message = OutgoingMessage::dead_letter(
        letter,
        max_payload.saturating_sub(if is_masked { 64 } else { 0 }),
    );
    if is_masked {
        message.headers.push((MASKED_HEADER.into(), "1".to_owned()));
    }
    message
}

/// Awaits `work`, and reports in `/readyz` when it takes longer than `PAUSE`.
async fn with_notice<T>(telemetry: &Telemetry, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    if let Ok(done) = tokio::time::timeout(PAUSE, &mut work).await {
        return done;
    }
    telemetry.health.set_ledger(Some(UNTAKEN.to_owned()));
    work.await
}
