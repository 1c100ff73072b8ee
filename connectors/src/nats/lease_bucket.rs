//! The bucket of leases at the broker: its names, and what it holds.
//!
//! Its stream is that of a NATS key-value bucket. It has a key `process-<name>` for the
//! lease of each process ([`super::Lease`]) and a key `brand-<name>` for the claim of
//! each brand ([`super::Claims`]). Nothing is written here.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::{Client, jetstream};
use bytes::Bytes;

use super::error::{NatsError, NatsErrorKind};
use super::holder::Holder;

/// The bucket in which the leases of an output stream are kept. Its stream is
/// that of a NATS key-value bucket, which `nats kv` reads.
pub fn bucket(output_stream: &str) -> String {
    format!("{output_stream}_LEASES")
}

/// The stream of [`bucket`].
pub(super) fn stream(output_stream: &str) -> String {
    format!("KV_{}", bucket(output_stream))
}

/// The subject of a process's lease.
pub(super) fn subject(output_stream: &str, process: &str) -> String {
    format!("$KV.{}.process-{process}", bucket(output_stream))
}

/// Who holds the leases of an output stream or has held them, each with the
/// sequence of its last renewal. None if nobody has taken one yet.
///
/// # Errors
/// A broker that does not answer.
pub async fn holders(
    client: &Client,
    output_stream: &str,
) -> Result<Vec<(Holder, u64)>, NatsError> {
    use async_nats::jetstream::context::GetStreamErrorKind;
    let stream = stream(output_stream);
    match jetstream::new(client.clone()).get_stream(&stream).await {
        Ok(_) => {}
        Err(error) => {
            let is_missing = matches!(
                error.kind(),
                GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND
            );
            if is_missing {
                return Ok(Vec::new());
            }
            let what = format!("reading the leases in {stream}");
            return Err(NatsError::caused(NatsErrorKind::Unreachable, what, error));
        }
    }
    // A wildcard stands for a whole token.
    let all = format!("$KV.{}.*", bucket(output_stream));
    let mut last = super::last_values(client, &stream, &all).await?;
    let mut holders = Vec::new();
    loop {
        let batch = last.next_batch(1_000).await?;
        if batch.is_empty() {
            break;
        }
        let read = batch.iter().filter_map(|message| {
            let holder = serde_json::from_slice(&message.payload).ok()?;
            Some((holder, message.sequence))
        });
        holders.extend(read);
    }
    holders.sort_by_key(|(holder, _): &(Holder, u64)| (holder.shard.clone(), holder.process));
    Ok(holders)
}

/// Who holds the lease of the process of this name or held it last, with the
/// sequence of the last renewal: 0 if nobody has taken it yet. The bucket must exist.
///
/// # Errors
/// A broker that does not answer.
pub async fn current(
    client: &Client,
    output_stream: &str,
    process: &str,
) -> Result<(Option<Holder>, u64), NatsError> {
    let subject = subject(output_stream, process);
    last(client, &stream(output_stream), &subject).await
}

/// The last holder of a lease and the sequence of its message, 0 without one.
///
/// # Errors
///
/// As [`last_message`].
pub(super) async fn last(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<(Option<Holder>, u64), NatsError> {
    let (message, sequence) = last_message(client, stream, subject).await?;
    let holder = message.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok((holder, sequence))
}

/// The last message of a key of the bucket and its sequence, 0 without one.
///
/// # Errors
///
/// [`NatsErrorKind::Stream`] if the bucket does not exist; a broker that does not
/// answer.
pub(super) async fn last_message(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<(Option<Bytes>, u64), NatsError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        let what = format!("reading {subject}");
        NatsError::caused(NatsErrorKind::Unreachable, what, error)
    };
    let found = jetstream::new(client.clone())
        .get_stream_no_info(stream)
        .await
        .map_err(|error| failed(error.into()))?
        .get_last_raw_message_by_subject(subject)
        .await;
    match found {
        Ok(message) => Ok((Some(message.payload), message.sequence)),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok((None, 0)),
            LastRawMessageErrorKind::JetStream(answer)
                if answer.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
            {
                Ok((None, 0))
            }
            LastRawMessageErrorKind::JetStream(answer)
                if answer.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                let what = format!("stream {stream} does not exist");
                Err(NatsError::new(NatsErrorKind::Stream, what))
            }
            _ => Err(failed(error.into())),
        },
    }
}
