//! The key of a backup, at the broker.
//!
//! It is a message in the rights stream, which has no copies, keeps messages until they
//! are deleted, and overwrites them then. There is one, and between two steps of a
//! renewal the one before it. A key is stored only if the last one is that which the
//! process has read, so that of two processes that take each other for gone one writes.
//! The message is in clear text: the key alone opens nothing, and what the backup holds
//! is sealed under the secrets of the brands as well.

use std::time::Duration;

use anyhow::{Context, bail};
use async_nats::jetstream;
use async_nats::jetstream::message::PublishMessage;
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, Reader, subject};
use tributary_ledger::FileKey;

use crate::broker::retry::retry_transient;

/// Maximum time of one read from the stream.
const LOOK: Duration = Duration::from_millis(500);

/// A message with a key.
#[derive(Debug)]
pub struct StoredKey {
    /// Its sequence number.
    pub sequence: u64,
    /// The key; `None` for what is none.
    pub key: Option<FileKey>,
}

/// Maximum number of reads: there are few messages.
const LOOKS: usize = 20;

/// The subject of the key of this process.
fn subject_of(config: &Config) -> String {
    subject::cluster_topic("backup", &config.workers.name())
}

/// The keys of this process that the broker has, oldest first.
///
/// # Errors
///
/// A broker that does not answer, or has no rights stream.
pub async fn read(client: &Client, config: &Config) -> anyhow::Result<Vec<StoredKey>> {
    let (stream, subject) = (&config.nats.rights_stream, subject_of(config));
    let mut keys = Vec::new();
    if !retry_transient(|| nats::has_messages(client, stream, &subject)).await? {
        return Ok(keys);
    }
    let mut reader = retry_transient(|| Reader::filtered(client, stream, &subject, 1)).await?;
    // What is deleted meanwhile does not arrive.
    for _ in 0..LOOKS {
        if reader.caught_up() {
            break;
        }
        for message in reader.next_batch(100, LOOK).await? {
            let text = std::str::from_utf8(&message.payload).unwrap_or_default();
            keys.push(StoredKey {
                sequence: message.sequence,
                key: FileKey::from_hex(text),
            });
        }
    }
    Ok(keys)
}

/// Stores a key, if the message with the sequence number `last` is the last one, or if
/// `last` is 0 and there is none. Returns its sequence number.
///
/// # Errors
///
/// Another process that has stored one, or a broker that does not answer; it may have the
/// key nevertheless.
pub async fn publish(
    client: &Client,
    config: &Config,
    key: &FileKey,
    last: u64,
) -> anyhow::Result<u64> {
    let message = PublishMessage::build()
        .expected_last_subject_sequence(last)
        .payload(key.to_hex().to_string().into());
    let stored = async {
        let jetstream = jetstream::new(client.clone());
        let sent = jetstream.send_publish(subject_of(config), message).await?;
        Ok::<_, jetstream::context::PublishError>(sent.await?.sequence)
    };
    stored.await.context("storing the key of the backup")
}

/// Verifies that the broker has no other key of this process than that in the message
/// `last`: an older one, which a slow broker did not hand out, opens what the backup held
/// then.
///
/// # Errors
///
/// Another key, or a broker that does not answer.
pub async fn check_alone(client: &Client, config: &Config, last: u64) -> anyhow::Result<()> {
    let (stream, subject) = (&config.nats.rights_stream, subject_of(config));
    match retry_transient(|| nats::first_message(client, stream, &subject)).await? {
        Some(first) if first != last => bail!("the broker has another key of the backup"),
        _ => Ok(()),
    }
}

/// Destroys the keys in messages with these sequence numbers.
///
/// # Errors
///
/// A broker that does not answer.
pub async fn destroy(client: &Client, config: &Config, sequences: &[u64]) -> anyhow::Result<()> {
    for sequence in sequences {
        let stream = &config.nats.rights_stream;
        retry_transient(|| nats::delete_message(client, stream, *sequence)).await?;
    }
    Ok(())
}

/// Destroys all keys of this process: what its backup held is unreadable from then on, in
/// the directory and in every copy of it. Returns their number.
///
/// # Errors
///
/// A broker that does not answer.
pub async fn destroy_all(client: &Client, config: &Config) -> anyhow::Result<usize> {
    let keys = read(client, config).await?;
    let sequences: Vec<u64> = keys.iter().map(|key| key.sequence).collect();
    destroy(client, config, &sequences).await?;
    let (stream, subject) = (&config.nats.rights_stream, subject_of(config));
    if retry_transient(|| nats::has_messages(client, stream, &subject)).await? {
        bail!("the broker did not hand out all keys of the backup");
    }
    Ok(sequences.len())
}
