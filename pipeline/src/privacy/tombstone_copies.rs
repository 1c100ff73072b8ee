//! Copies of the tombstones at the broker: whoever loses the file of a process, and
//! accepts that, brings back nobody who was erased.
//!
//! Each process publishes what it adds to its tombstones, sealed
//! ([`tributary_rights::tombstones::copies`]), on a subject of its own in the rights
//! stream. The broker deletes each copy when its tombstones expire. A start enters
//! what its file lacks, and publishes what the broker lacks.

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream;
use async_nats::jetstream::message::PublishMessage;
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, Reader, subject};
use tributary_rights::tombstones::copies::Copied;

use super::erased::Erased;
use crate::broker::retry::retry_transient;

/// Maximum time of one read from the stream.
const LOOK: Duration = Duration::from_millis(500);

/// The subject of the copies of this process.
fn subject_of(config: &Config) -> String {
    subject::cluster_topic("erased", &config.workers.name())
}

/// Brings the tombstones of this process and their copies to the same. `now` is Unix
/// milliseconds. The stream must exist.
///
/// # Errors
///
/// A broker that does not answer, or a file that cannot be written.
pub async fn complete(
    client: &Client,
    config: &Config,
    erased: &Erased,
    now: i64,
) -> anyhow::Result<()> {
    if erased.kept() == 0 {
        return Ok(());
    }
    let (stream, subject) = (&config.nats.rights_stream, subject_of(config));
    let mut copied = Copied::default();
    if retry_transient(|| nats::has_messages(client, stream, &subject)).await? {
        let mut reader = retry_transient(|| Reader::filtered(client, stream, &subject, 1)).await?;
        while !reader.caught_up() {
            for message in reader.next_batch(100, LOOK).await? {
                erased.read_copy(&message.payload, now, &mut copied);
            }
        }
    }
    let entered = erased.join(&copied)?;
    if entered > 0 {
        tracing::warn!(
            entered,
            "restored tombstones of erased people from the broker"
        );
    }
    publish(client, config, erased, now).await
}

/// Publishes the tombstones of which the broker has no copy; it has when this returns.
/// `now` is Unix milliseconds.
///
/// # Errors
///
/// A broker that does not store them.
pub async fn publish(
    client: &Client,
    config: &Config,
    erased: &Erased,
    now: i64,
) -> anyhow::Result<()> {
    let jetstream = jetstream::new(client.clone());
    for (last, copy) in erased.uncopied() {
        let seconds = (last + erased.kept() - now) / 1_000;
        // The next pass removes them from the file as well.
        let Some(left) = u64::try_from(seconds).ok().filter(|left| *left > 0) else {
            continue;
        };
        let message = PublishMessage::build().ttl(Duration::from_secs(left));
        let message = message.payload(copy.into());
        let sent = jetstream.send_publish(subject_of(config), message).await;
        let stored = sent.context("publishing tombstones of erased people")?;
        stored
            .await
            .context("publishing tombstones of erased people")?;
    }
    erased.set_copied();
    Ok(())
}
