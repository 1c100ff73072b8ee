//! The state of a stream, as the server reports it, and why a stream cannot be
//! used.
//!
//! Everything here asks the server; nothing is cached between calls.

use async_nats::Client;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{GetStreamErrorKind, RequestError, RequestErrorKind};
use async_nats::jetstream::stream::Info;

use super::error::{NatsError, NatsErrorKind};
use super::mirrors;

/// The state of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// The stream's name.
    pub name: String,
    /// When it was created, Unix nanoseconds, which identifies it among streams
    /// of its name.
    pub created_ns: i64,
    /// The sequence of the oldest stored message; one past `last_sequence` if
    /// the stream is empty.
    pub first_sequence: u64,
    /// The highest sequence ever assigned; 0 before the first message.
    pub last_sequence: u64,
    /// The number of stored messages.
    pub messages: u64,
    /// The size of all stored messages, bytes.
    pub bytes: u64,
    /// The number of subjects with a stored message.
    pub subjects: u64,
}

impl From<&Info> for StreamState {
    fn from(info: &Info) -> Self {
        StreamState {
            name: info.config.name.clone(),
            created_ns: info.created.unix_timestamp_nanos() as i64,
            first_sequence: info.state.first_sequence,
            last_sequence: info.state.last_sequence,
            messages: info.state.messages,
            bytes: info.state.bytes,
            subjects: info.state.subjects_count,
        }
    }
}

/// The present state of a stream.
///
/// # Errors
/// [`NatsErrorKind::Stream`] if the stream does not exist; otherwise those of
/// [`super::ensure_input_stream`].
pub async fn stream_state(client: &Client, name: &str) -> Result<StreamState, NatsError> {
    existing(client, name).await.map(|info| (&info).into())
}

/// The present state of the input stream.
///
/// # Errors
/// As [`stream_state`], and `Stream` if it has become a copy of another stream
/// since the start.
pub(super) async fn input_state(client: &Client, name: &str) -> Result<StreamState, NatsError> {
    let info = existing(client, name).await?;
    mirrors::refuse_mirror(&info)?;
    Ok((&info).into())
}

/// The server's information on a stream.
///
/// # Errors
/// As [`stream_state`].
pub(super) async fn existing(client: &Client, name: &str) -> Result<Info, NatsError> {
    let missing = || {
        let what = format!("stream {name} does not exist");
        NatsError::new(NatsErrorKind::Stream, what)
    };
    found(client, name).await?.ok_or_else(missing)
}

/// The server's information on a stream; `None` if it does not exist.
pub(super) async fn found(client: &Client, name: &str) -> Result<Option<Info>, NatsError> {
    let jetstream = async_nats::jetstream::new(client.clone());
    match jetstream.get_stream(name).await {
        Ok(stream) => Ok(Some(stream.cached_info().clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(answer) => match answer.error_code() {
                ErrorCode::STREAM_NOT_FOUND => Ok(None),
                ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                    Err(no_jetstream())
                }
                _ => Err(unusable(name, answer)),
            },
            GetStreamErrorKind::EmptyName | GetStreamErrorKind::InvalidStreamName => {
                Err(bad_name(name))
            }
            GetStreamErrorKind::Request => Err(unanswered(name, error)),
        },
    }
}

/// The error of an account without JetStream.
pub(super) fn no_jetstream() -> NatsError {
    NatsError::new(
        NatsErrorKind::NoJetStream,
        "JetStream is not enabled: start the NATS server with -js, or enable it for this account",
    )
}

/// The error of a name that NATS does not permit.
pub(super) fn bad_name(name: &str) -> NatsError {
    NatsError::new(
        NatsErrorKind::Config,
        format!("`{name}` cannot name a stream: no spaces, dots, `*`, `>` or path separators"),
    )
}

/// The error of a stream that the server refuses. Code 503, a cluster that is
/// electing a leader, is transient.
pub(super) fn unusable(name: &str, answer: async_nats::jetstream::Error) -> NatsError {
    // A cluster that is electing a leader is unavailable, which passes.
    let kind = match answer.code() {
        503 => NatsErrorKind::Unreachable,
        _ => NatsErrorKind::Stream,
    };
    let what = format!("the server refuses the stream {name}");
    NatsError::caused(kind, what, answer)
}

/// The error of a request without a response. Without JetStream nobody
/// subscribes to such requests, and the server says so at once
/// (`NoResponders`).
pub(super) fn unanswered(
    name: &str,
    error: impl std::error::Error + Send + Sync + 'static,
) -> NatsError {
    let nobody_listens = std::error::Error::source(&error)
        .and_then(|source| source.downcast_ref::<RequestError>())
        .is_some_and(|request| request.kind() == RequestErrorKind::NoResponders);
    match nobody_listens {
        true => no_jetstream(),
        false => NatsError::caused(
            NatsErrorKind::Unreachable,
            format!("no answer about the stream {name}"),
            error,
        ),
    }
}
