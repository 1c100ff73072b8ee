//! Single messages of a stream: the newest one, whether any exists, and the
//! deletion of one.

use async_nats::Client;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    DeleteMessageErrorKind, LastRawMessageError, LastRawMessageErrorKind, Stream,
};
use tributary_config::model::{Config, Workers};

use super::error::{NatsError, NatsErrorKind};
use super::share;

/// The sequence of the newest stored message that the process of a configuration
/// would read from the input stream, or from that of pings; 0 if there is none.
///
/// # Errors
/// As [`super::stream_state()`].
pub async fn newest_message(
    client: &Client,
    config: &Config,
    stream: &str,
) -> Result<u64, NatsError> {
    let what = format!("reading the end of the stream {stream}");
    let stream = open(client, stream, &what).await?;
    let Workers { process, hosts, .. } = &config.workers;
    let (brands, partitions) = (share::Brands::of(config), config.nats.partitions);
    let mut filters = share::Share::new(*process, hosts.len(), partitions, brands).filters();
    if filters.is_empty() {
        filters.push(">".to_owned());
    }
    let mut newest = None;
    for filter in filters {
        let found = stream.get_last_raw_message_by_subject(&filter).await;
        newest = newest.max(sequence_of(found).map_err(|error| failed(&what, error))?);
    }
    Ok(newest.unwrap_or_default())
}

/// Whether a stream stores a message whose subject matches a filter.
///
/// # Errors
/// As [`super::stream_state()`].
pub async fn has_messages(client: &Client, stream: &str, filter: &str) -> Result<bool, NatsError> {
    let last = last_message(client, stream, filter).await?;
    Ok(last.is_some())
}

/// The sequence number of the last stored message whose subject matches a filter; `None`
/// if there is none.
///
/// # Errors
/// As [`super::stream_state()`].
pub async fn last_message(
    client: &Client,
    stream: &str,
    filter: &str,
) -> Result<Option<u64>, NatsError> {
    let what = format!("reading the end of the stream {stream}");
    let stream = open(client, stream, &what).await?;
    let found = stream.get_last_raw_message_by_subject(filter).await;
    sequence_of(found).map_err(|error| failed(&what, error))
}

/// The sequence number of the first stored message with a subject; `None` if there is
/// none.
///
/// # Errors
/// As [`super::stream_state()`].
pub async fn first_message(
    client: &Client,
    stream: &str,
    subject: &str,
) -> Result<Option<u64>, NatsError> {
    let what = format!("reading the beginning of the stream {stream}");
    let stream = open(client, stream, &what).await?;
    let found = stream.get_first_raw_message_by_subject(subject, 1).await;
    sequence_of(found).map_err(|error| failed(&what, error))
}

/// Opens a stream to do `what` with it.
///
/// # Errors
/// A broker that does not answer.
async fn open(client: &Client, stream: &str, what: &str) -> Result<Stream<()>, NatsError> {
    let jetstream = async_nats::jetstream::new(client.clone());
    let opened = jetstream.get_stream_no_info(stream).await;
    opened.map_err(|error| failed(what, error))
}

/// What the broker did not do.
fn failed(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> NatsError {
    NatsError::caused(NatsErrorKind::Unreachable, what.to_owned(), error)
}

/// The sequence number of a message; `None` if there is no such message.
///
/// # Errors
/// A broker that does not say.
fn sequence_of(
    found: Result<StreamMessage, LastRawMessageError>,
) -> Result<Option<u64>, LastRawMessageError> {
    match found {
        Ok(message) => Ok(Some(message.sequence)),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(answer)
                if answer.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
            {
                Ok(None)
            }
            _ => Err(error),
        },
    }
}

/// Deletes one message of a stream securely: the server overwrites its bytes on
/// disk. Returns whether the message existed; deleting it twice is no error.
///
/// # Errors
/// As [`super::stream_state()`].
pub async fn delete_message(
    client: &Client,
    stream: &str,
    sequence: u64,
) -> Result<bool, NatsError> {
    let what = format!("deleting a message of the stream {stream}");
    let stream = open(client, stream, &what).await?;
    match stream.delete_message(sequence).await {
        Ok(was_there) => Ok(was_there),
        Err(error) => match error.kind() {
            // It was deleted before.
            DeleteMessageErrorKind::JetStream(answer)
                if [ErrorCode::SEQUENCE_NOT_FOUND, ErrorCode::NO_MESSAGE_FOUND]
                    .contains(&answer.error_code())
                    || answer.to_string().contains("not found") =>
            {
                Ok(false)
            }
            _ => Err(failed(&what, error)),
        },
    }
}
