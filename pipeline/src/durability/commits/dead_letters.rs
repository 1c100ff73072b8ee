//! Dead letters, and rights requests that vendors passed on, are stored by the
//! broker before the commit that acknowledges their messages.
//!
//! Otherwise a crash between the two could lose a rejected record or a
//! request without a trace. A broker that does not accept them therefore suspends acknowledgment,
//! and `/readyz` says so.
//!
//! With a stream of pings, no MAC address in clear is kept longer than that stream
//! keeps it. A record with one that was sent elsewhere is rejected, its dead letter
//! masked, and its message deleted from the input stream, once everything else in
//! it is durable.

use anyhow::Context;
use tributary_connectors::address_mask::mask_line;
use tributary_connectors::dead_letter::{DeadLetter, MASKED_HEADER, Reason};
use tributary_connectors::nats::{self, OutgoingMessage};

use super::{Commits, PAUSE};
use crate::broker::retry::retry_transient;
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
        let mut messages = Vec::with_capacity(dead.len() + requests.len());
        for mut letter in dead {
            let is_masked = self.without_addresses.is_some()
                && mask_line(letter.kind.as_deref(), &mut letter.payload);
            let number = letter.arrival.message;
            let has_address = is_masked || letter.reason == Reason::MacInClear;
            if self.without_addresses.is_some() && has_address && !nats::is_ping_number(number) {
                self.with_addresses.push(nats::sequence_of(number));
            }
            messages.push(message(letter, max_payload, is_masked));
        }
        messages.extend(requests);
        for message in messages {
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

    /// Deletes the messages of the input stream that had addresses in clear, and are
    /// durable. Does not wait for the broker before the end of this task. A process that
    /// is killed meanwhile leaves them to the age of the stream.
    pub(super) fn delete_addresses(&mut self) {
        let mut sequences = std::mem::take(&mut self.with_addresses);
        let Some((client, stream)) = self.without_addresses.clone() else {
            return;
        };
        sequences.dedup();
        if sequences.is_empty() {
            return;
        }
        let standbys = self.standbys.clone();
        self.deletions.spawn(async move {
            // One that takes over would read these messages again for their other records.
            standbys.secure().await;
            for sequence in sequences {
                let deleted = retry_transient(|| nats::delete_message(&client, &stream, sequence));
                if let Err(error) = deleted.await {
                    tracing::error!(stream, sequence, %error, "cannot delete a message with MAC addresses in clear");
                }
            }
        });
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

/// The message of a dead letter, in which addresses of devices are masked or not.
fn message(letter: DeadLetter, max_payload: usize, is_masked: bool) -> OutgoingMessage {
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
