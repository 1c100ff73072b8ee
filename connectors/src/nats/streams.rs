//! Creates missing streams and checks existing ones against the configuration that the server returns.
//!
//! An operator who creates a stream by hand keeps their choice of replicas, placement, limits and age as long as the
//! stream can do its work. Otherwise the error names the stream, its current setting and the required one. This module
//! never changes an existing stream.
//!
//! The input and the dead letters contain records in clear, so both are short-lived by default: three days and one
//! week. The ledger is the durable copy. The output holds aggregates, one message per cell, without expiry.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{
    CreateStreamErrorKind, GetStreamErrorKind, RequestError, RequestErrorKind,
};
use async_nats::jetstream::stream::{
    Config, DeleteMessageErrorKind, DiscardPolicy, Info, LastRawMessageErrorKind, RetentionPolicy,
    StorageType,
};
use tributary_config::model::Nats;

use super::error::{NatsError, NatsErrorKind};
use super::{mirrors, share, subject};

const DAY: Duration = Duration::from_secs(86_400);
/// How long the server remembers message ids, in the streams that are made here.
const DUPLICATES: Duration = Duration::from_secs(600);

/// What a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// The stream's name.
    pub name: String,
    /// When it was made, Unix nanoseconds: what tells a stream from another of its name.
    pub created_ns: i64,
    /// The sequence of the oldest message that is still there; one past `last_sequence` when it is
    /// empty.
    pub first_sequence: u64,
    /// The highest sequence ever given, 0 before the first message.
    pub last_sequence: u64,
    /// Messages.
    pub messages: u64,
    /// Bytes of all messages.
    pub bytes: u64,
    /// Subjects that messages stand under.
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

/// Makes or checks the stream that captures `tributary.in.>`. One that exists must cover
/// `tributary.in.<brand>.>` for every brand of `brands` (all of `tributary.in.>` where there are
/// none), be no copy of another stream (see `copies`) and keep messages by limits: a work queue or an
/// interest stream would delete what has not been read. It must sort into `nats.partitions`
/// partitions (see [`super::InputRequest`]).
///
/// # Errors
/// [`NatsErrorKind::NoJetStream`], [`NatsErrorKind::Stream`], or `Unreachable` when the server does
/// not answer.
pub async fn ensure_input_stream(
    client: &Client,
    nats: &Nats,
    brands: &[impl AsRef<str>],
) -> Result<StreamState, NatsError> {
    let info = made(
        client,
        Config {
            description: Some("What enters Tributary".to_owned()),
            max_age: 3 * DAY,
            subject_transform: share::transform(nats.partitions),
            ..plain(&nats.input_stream, subject::INPUT)
        },
    )
    .await?;
    mirrors::refuse_mirror(&info)?;
    captures(&info, subject::INPUT, "tributary.in.", ".>", brands)?;
    limits(&info)?;
    share::judge(&info, nats.partitions)?;
    Ok((&info).into())
}

/// Makes or checks the stream that keeps the last value of every cell: it must cover
/// `tributary.out.<brand>.>`, keep one message a subject, drop the old one for the new one and let
/// none grow old.
///
/// # Errors
/// As [`ensure_input_stream`].
pub async fn ensure_output_stream(
    client: &Client,
    nats: &Nats,
    brands: &[impl AsRef<str>],
) -> Result<StreamState, NatsError> {
    let info = made(
        client,
        Config {
            description: Some("The last value of every cell of Tributary".to_owned()),
            max_messages_per_subject: 1,
            allow_direct: true,
            ..plain(&nats.output_stream, subject::OUTPUT)
        },
    )
    .await?;
    captures(&info, subject::OUTPUT, "tributary.out.", ".>", brands)?;
    limits(&info)?;
    let config = &info.config;
    must(
        &info,
        config.max_messages_per_subject == 1,
        "keeps more or fewer than the last message of each subject; it needs max_msgs_per_subject 1",
    )?;
    must(
        &info,
        config.discard == DiscardPolicy::Old,
        "refuses new values for the old ones; it needs the discard policy `old`",
    )?;
    must(
        &info,
        config.max_age.is_zero(),
        "forgets cells that have not changed for a while; it needs no max_age",
    )?;
    Ok((&info).into())
}

/// Makes or checks the stream of dead letters: it must cover `tributary.deadletter.>`, brands that
/// are not known included.
///
/// # Errors
/// As [`ensure_input_stream`].
pub async fn ensure_dead_letter_stream(
    client: &Client,
    nats: &Nats,
) -> Result<StreamState, NatsError> {
    let info = made(
        client,
        Config {
            description: Some("What Tributary refused, with the reason".to_owned()),
            max_age: 7 * DAY,
            ..plain(&nats.dead_letter_stream, subject::DEAD_LETTER)
        },
    )
    .await?;
    mirrors::refuse_mirror(&info)?;
    captures(&info, subject::DEAD_LETTER, "", "", &[] as &[&str])?;
    limits(&info)?;
    Ok((&info).into())
}

/// Makes or checks the stream of rights requests: it must cover `tributary.rights.>` and let none grow old before
/// it is answered.
///
/// # Errors
/// As [`ensure_input_stream`].
pub async fn ensure_rights_stream(client: &Client, nats: &Nats) -> Result<StreamState, NatsError> {
    let info = made(
        client,
        Config {
            description: Some("Rights requests of Tributary, until they are answered".to_owned()),
            allow_message_ttl: true,
            ..plain(&nats.rights_stream, subject::RIGHTS)
        },
    )
    .await?;
    fits_rights(&info)?;
    Ok((&info).into())
}

/// Whether the stream of rights requests can still do its work.
///
/// # Errors
/// As [`ensure_input_stream`], with what it needs.
pub async fn check_rights_stream(client: &Client, nats: &Nats) -> Result<(), NatsError> {
    fits_rights(&existing(client, &nats.rights_stream).await?)
}

fn fits_rights(info: &Info) -> Result<(), NatsError> {
    mirrors::refuse_mirror(info)?;
    captures(info, subject::RIGHTS, "", "", &[] as &[&str])?;
    limits(info)?;
    must(
        info,
        info.config.max_age.is_zero(),
        "forgets requests that are not answered yet; it needs no max_age",
    )?;
    must(
        info,
        info.config.allow_message_ttl,
        "keeps sealed answers for ever; it needs allow_msg_ttl",
    )?;
    must(
        info,
        !info.config.deny_delete,
        "does not let requests be deleted that are answered; it needs deny_delete false",
    )
}

/// The sequence of the newest message that a process of the cluster would read from the input stream and that is
/// still there; 0 where there is none.
///
/// # Errors
/// As [`stream_state`].
pub async fn newest_message(
    client: &Client,
    nats: &Nats,
    process: usize,
    processes: usize,
) -> Result<u64, NatsError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        let what = format!("reading the end of the stream {}", nats.input_stream);
        NatsError::caused(NatsErrorKind::Unreachable, what, error)
    };
    let stream = async_nats::jetstream::new(client.clone())
        .get_stream_no_info(&nats.input_stream)
        .await
        .map_err(|error| failed(error.into()))?;
    let mut filters = share::Share::new(process, processes, nats.partitions).filters();
    if filters.is_empty() {
        filters.push(">".to_owned());
    }
    let mut newest = 0;
    for filter in filters {
        match stream.get_last_raw_message_by_subject(&filter).await {
            Ok(message) => newest = newest.max(message.sequence),
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => {}
                LastRawMessageErrorKind::JetStream(answer)
                    if answer.error_code() == ErrorCode::NO_MESSAGE_FOUND => {}
                _ => return Err(failed(error.into())),
            },
        }
    }
    Ok(newest)
}

/// Whether a stream holds anything on the subjects of a filter.
///
/// # Errors
/// As [`stream_state`].
pub async fn has_messages(client: &Client, stream: &str, filter: &str) -> Result<bool, NatsError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        let what = format!("reading the end of the stream {stream}");
        NatsError::caused(NatsErrorKind::Unreachable, what, error)
    };
    let found = async_nats::jetstream::new(client.clone())
        .get_stream_no_info(stream)
        .await
        .map_err(|error| failed(error.into()))?
        .get_last_raw_message_by_subject(filter)
        .await;
    match found {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(false),
            LastRawMessageErrorKind::JetStream(answer)
                if answer.error_code() == ErrorCode::NO_MESSAGE_FOUND =>
            {
                Ok(false)
            }
            _ => Err(failed(error.into())),
        },
    }
}

/// Deletes one message of a stream, and its bytes from the server's disk. Whether it was there.
///
/// # Errors
/// As [`stream_state`].
pub async fn delete_message(
    client: &Client,
    stream: &str,
    sequence: u64,
) -> Result<bool, NatsError> {
    let jetstream = async_nats::jetstream::new(client.clone());
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        let what = format!("deleting a message of the stream {stream}");
        NatsError::caused(NatsErrorKind::Unreachable, what, error)
    };
    let stream = jetstream
        .get_stream_no_info(stream)
        .await
        .map_err(|error| failed(error.into()))?;
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
            _ => Err(failed(error.into())),
        },
    }
}

/// What a stream holds now.
///
/// # Errors
/// [`NatsErrorKind::Stream`] where there is no such stream, else as [`ensure_input_stream`].
pub async fn stream_state(client: &Client, name: &str) -> Result<StreamState, NatsError> {
    existing(client, name).await.map(|info| (&info).into())
}

/// The same of the input stream, unless it has become a copy of another one since the start.
pub(super) async fn input_state(client: &Client, name: &str) -> Result<StreamState, NatsError> {
    let info = existing(client, name).await?;
    mirrors::refuse_mirror(&info)?;
    Ok((&info).into())
}

/// All that the server says about a stream.
pub(super) async fn existing(client: &Client, name: &str) -> Result<Info, NatsError> {
    let missing = || {
        let what = format!("stream {name} does not exist");
        NatsError::new(NatsErrorKind::Stream, what)
    };
    found(client, name).await?.ok_or_else(missing)
}

fn plain(name: &str, subject: &str) -> Config {
    Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        duplicate_window: DUPLICATES,
        ..Config::default()
    }
}

async fn found(client: &Client, name: &str) -> Result<Option<Info>, NatsError> {
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

async fn made(client: &Client, config: Config) -> Result<Info, NatsError> {
    let name = config.name.clone();
    if let Some(info) = found(client, &name).await? {
        return Ok(info);
    }
    let subjects = config.subjects.join(", ");
    let jetstream = async_nats::jetstream::new(client.clone());
    let error = match jetstream.create_stream(config).await {
        Ok(stream) => {
            tracing::info!(stream = %name, %subjects, "created the stream");
            return Ok(stream.cached_info().clone());
        }
        Err(error) => error,
    };
    match error.kind() {
        CreateStreamErrorKind::JetStream(answer) => match answer.error_code() {
            // Another process made it meanwhile, with other settings.
            ErrorCode::STREAM_NAME_EXIST => found(client, &name).await?.ok_or_else(|| {
                NatsError::new(
                    NatsErrorKind::Stream,
                    format!("stream {name} comes and goes"),
                )
            }),
            ErrorCode::STREAM_SUBJECT_OVERLAP => Err(NatsError::new(
                NatsErrorKind::Stream,
                format!(
                    "cannot make the stream {name} for {subjects}: another stream captures these subjects already. Name \
                     that one in the [nats] section of the configuration, or take the subjects from it"
                ),
            )),
            ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                Err(no_jetstream())
            }
            _ => Err(unusable(&name, answer)),
        },
        CreateStreamErrorKind::JetStreamUnavailable => Err(no_jetstream()),
        CreateStreamErrorKind::EmptyStreamName | CreateStreamErrorKind::InvalidStreamName => {
            Err(bad_name(&name))
        }
        _ => Err(unanswered(&name, error)),
    }
}

fn captures(
    info: &Info,
    all: &str,
    before: &str,
    after: &str,
    brands: &[impl AsRef<str>],
) -> Result<(), NatsError> {
    let covered = |wanted: &str| {
        info.config
            .subjects
            .iter()
            .any(|pattern| subject::covers(pattern, wanted))
    };
    if covered(all) {
        return Ok(());
    }
    let missing: Vec<String> = match brands {
        [] => vec![all.to_owned()],
        brands => brands
            .iter()
            .map(|brand| format!("{before}{}{after}", brand.as_ref()))
            .filter(|wanted| !covered(wanted))
            .collect(),
    };
    must(
        info,
        missing.is_empty(),
        &format!(
            "captures {} and so misses {}; add the latter to its subjects",
            info.config.subjects.join(", "),
            missing.join(", ")
        ),
    )
}

fn limits(info: &Info) -> Result<(), NatsError> {
    must(
        info,
        info.config.retention == RetentionPolicy::Limits,
        "deletes messages once they are read or nobody waits for them; it needs the retention `limits`",
    )?;
    must(info, !info.config.sealed, "is sealed")
}

fn must(info: &Info, kept: bool, otherwise: &str) -> Result<(), NatsError> {
    match kept {
        true => Ok(()),
        false => Err(NatsError::new(
            NatsErrorKind::Stream,
            format!("stream {} {otherwise}", info.config.name),
        )),
    }
}

fn no_jetstream() -> NatsError {
    NatsError::new(
        NatsErrorKind::NoJetStream,
        "JetStream is not enabled: start the NATS server with -js, or enable it for this account",
    )
}

fn bad_name(name: &str) -> NatsError {
    NatsError::new(
        NatsErrorKind::Config,
        format!("`{name}` cannot name a stream: no spaces, dots, `*`, `>` or path separators"),
    )
}

fn unusable(name: &str, answer: async_nats::jetstream::Error) -> NatsError {
    // A cluster that is electing a leader is unavailable, which passes.
    let kind = match answer.code() {
        503 => NatsErrorKind::Unreachable,
        _ => NatsErrorKind::Stream,
    };
    let what = format!("the server refuses the stream {name}");
    NatsError::caused(kind, what, answer)
}

/// A request without an answer. Without JetStream nobody listens to such requests at all.
fn unanswered(name: &str, error: impl std::error::Error + Send + Sync + 'static) -> NatsError {
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
