//! Claims: which ledger has the records of a brand, as the broker knows it.
//!
//! A brand is served by one shard. That two configurations disagree about which,
//! or that a brand was given to another shard and its ledger was not, shows at no
//! single process: the second one would compute from nothing and take back what
//! the first has published. So each brand has a key in the bucket of the leases,
//! which names the ledger that serves it and stays when the process ends. A process
//! of the same shard may continue with another ledger, as its lease permits. One of
//! another shard may only if the brand was moved into its ledger, which the ledger's
//! directory says, or if the operator accepts the loss.
//!
//! Who takes a brand over also sees to it that its former holder, if it was
//! suspended and not stopped, does not publish it any more: it ends the lease of that
//! process, as far as the brand is among those of the lease.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::context::Context;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::error::{NatsError, NatsErrorKind};
use super::holder::Holder;
use super::lease::TERM;
use super::lease_bucket::{bucket, last_message, stream};

/// The interval at which the lease of a former holder is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How long a former holder that renews its lease is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// Which ledger serves a brand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The brand.
    pub brand: String,
    /// The shard; `None` for a process without one.
    pub shard: Option<String>,
    /// The ID of the ledger, 32 hexadecimal digits; of a cluster, that of process 0.
    pub ledger: String,
    /// The name of the host.
    pub host: String,
    /// When it was claimed, RFC 3339, by the clock of the process.
    pub since: String,
}

/// The claims of brands, for a process that begins.
pub struct Claims {
    client: Client,
    jetstream: Context,
    output_stream: String,
}

impl Claim {
    /// Whether it may replace `last`: with the same ledger or one to which the brand was
    /// moved, or if the operator accepts the loss. A claim that names no ledger asks for
    /// the shard alone.
    fn may_follow(&self, last: &Claim, came_from: &[String], accept_loss: bool) -> bool {
        let is_same = self.ledger.is_empty() || last.ledger == self.ledger;
        last.shard == self.shard && is_same || came_from.contains(&last.ledger) || accept_loss
    }

    /// Whether `last` is that of another shard.
    fn is_of_another_shard(&self, last: &Claim) -> bool {
        last.shard != self.shard
    }
}

impl Claims {
    /// The claims beside the leases of an output stream, whose bucket must exist.
    pub fn new(client: &Client, output_stream: &str) -> Claims {
        Claims {
            client: client.clone(),
            jetstream: super::publish::context(client, 1),
            output_stream: output_stream.to_owned(),
        }
    }

    /// Claims a brand. `came_from` are the ledgers from which it was moved to the one
    /// that claims it; with `accept_loss` it may be taken from any. A brand of which nothing
    /// is published (`is_new`) may be taken from any ledger of the shard. Returns the claim that
    /// it was taken from in that way: its ledger has records that are lost here.
    ///
    /// # Errors
    /// [`NatsErrorKind::Taken`] if another shard or another ledger has the brand; `Unreachable` without
    /// an answer.
    pub async fn claim(
        &self,
        claim: &Claim,
        came_from: &[String],
        is_new: bool,
        accept_loss: bool,
    ) -> Result<Option<Claim>, NatsError> {
        let subject = self.subject(&claim.brand);
        loop {
            let (last, sequence) = self.last(&subject).await?;
            let last: Option<Claim> = last.and_then(|text| serde_json::from_slice(&text).ok());
            if let Some(last) = &last {
                if last.ledger == claim.ledger && last.shard == claim.shard {
                    return Ok(None);
                }
                let accepts = accept_loss || is_new && !claim.is_of_another_shard(last);
                if !claim.may_follow(last, came_from, accepts) {
                    return Err(is_of_another(claim, last));
                }
                if claim.is_of_another_shard(last) {
                    self.end_lease(claim, last).await?;
                }
            }
            let text = serde_json::to_vec(claim).unwrap_or_default();
            if self.swap(&subject, sequence, text).await? {
                let is_known = |last: &Claim| is_new && !claim.is_of_another_shard(last);
                let is_loss =
                    |last: &Claim| !is_known(last) && !claim.may_follow(last, came_from, false);
                return Ok(last.filter(is_loss));
            }
        }
    }

    /// Refuses a brand that another shard has, without claiming it: a start asks before
    /// it looks for what the ledger of a brand names, which is missing elsewhere. Brands
    /// that nobody has claimed yet are not refused, and neither are all if nothing was
    /// ever published.
    ///
    /// # Errors
    /// As [`Claims::claim`].
    pub async fn check(
        &self,
        claim: &Claim,
        came_from: &[String],
        accept_loss: bool,
    ) -> Result<(), NatsError> {
        let leases = stream(&self.output_stream);
        if super::stream_state::found(&self.client, &leases)
            .await?
            .is_none()
        {
            return Ok(());
        }
        let (last, _) = self.last(&self.subject(&claim.brand)).await?;
        match last.and_then(|text| serde_json::from_slice::<Claim>(&text).ok()) {
            Some(last) if !claim.may_follow(&last, came_from, accept_loss) => {
                Err(is_of_another(claim, &last))
            }
            _ => Ok(()),
        }
    }

    /// The subject of the key of a brand.
    fn subject(&self, brand: &str) -> String {
        format!("$KV.{}.brand-{brand}", bucket(&self.output_stream))
    }

    /// Waits until no process holds a lease for the brand with the ledger that had it,
    /// and ends one that is not renewed.
    async fn end_lease(&self, claim: &Claim, last: &Claim) -> Result<(), NatsError> {
        let name = match &last.shard {
            Some(shard) => format!("{shard}-0"),
            None => "0".to_owned(),
        };
        let subject = format!("$KV.{}.process-{name}", bucket(&self.output_stream));
        let begun = Instant::now();
        let mut seen = None;
        loop {
            let (found, sequence) = self.last(&subject).await?;
            let holder: Option<Holder> = found.and_then(|text| serde_json::from_slice(&text).ok());
            let Some(mut holder) = holder.filter(|holder| {
                !holder.released
                    && holder.ledger == last.ledger
                    && holder.brands.contains(&claim.brand)
            }) else {
                return Ok(());
            };
            let since = match seen {
                Some((before, since)) if before == sequence => since,
                _ => Instant::now(),
            };
            seen = Some((sequence, since));
            if since.elapsed() >= TERM {
                holder.released = true;
                let text = serde_json::to_vec(&holder).unwrap_or_default();
                if self.swap(&subject, sequence, text).await? {
                    return Ok(());
                }
                continue;
            }
            if begun.elapsed() > PATIENCE {
                let what = format!(
                    "process {name} on {} still serves the brand {}, which was moved from its ledger: stop it first",
                    holder.host, claim.brand
                );
                return Err(NatsError::new(NatsErrorKind::Taken, what));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Writes a key if its sequence is still `expected`. Returns whether it was.
    async fn swap(&self, subject: &str, expected: u64, text: Vec<u8>) -> Result<bool, NatsError> {
        let message = PublishMessage::build()
            .payload(text.into())
            .expected_last_subject_sequence(expected);
        let sent = self.jetstream.send_publish(subject.to_owned(), message);
        let stored = match sent.await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(_) => Ok(true),
            Err(error) if super::publish::is_wrong_sequence(&error) => Ok(false),
            Err(error) => {
                let what = format!("writing {subject}");
                Err(NatsError::caused(NatsErrorKind::Unreachable, what, error))
            }
        }
    }

    /// The last message of a key and its sequence, 0 without one.
    async fn last(&self, subject: &str) -> Result<(Option<Bytes>, u64), NatsError> {
        last_message(&self.client, &stream(&self.output_stream), subject).await
    }
}

/// The error of a brand that another shard has.
fn is_of_another(claim: &Claim, last: &Claim) -> NatsError {
    if !claim.is_of_another_shard(last) {
        return NatsError::new(
            NatsErrorKind::Taken,
            format!(
                "the brand {} was last served with the ledger {}, on {} since {}, and this is the ledger {}. Put that ledger in its \
                 place and start the worker again, or, to go on without the records that only it has, start it with: tributary run \
                 --accept-loss",
                claim.brand, last.ledger, last.host, last.since, claim.ledger
            ),
        );
    }
    let place = |shard: &Option<String>| match shard {
        Some(shard) => format!("the shard {shard}"),
        None => "the process without a shard".to_owned(),
    };
    NatsError::new(
        NatsErrorKind::Taken,
        format!(
            "the brand {} belongs to {}: its records are in the ledger {}, on {} since {}. This is {}. Give the brand the \
             shard that it had, or move its records here with `tributary ledger move --brand {}` while both are stopped",
            claim.brand,
            place(&last.shard),
            last.ledger,
            last.host,
            last.since,
            place(&claim.shard),
            claim.brand
        ),
    )
}
