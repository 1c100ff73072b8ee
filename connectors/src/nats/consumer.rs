//! The durable consumer of a process: `tributary_<name of the process>`, recreated at every
//! opening.
//!
//! The ledger knows the position; the consumer only shows it to the operator,
//! by its acknowledgments, and lets the server see that somebody reads. So an
//! old consumer is deleted and a new one begins at the position, and no memory
//! of the old one can count. The stream keeps messages by its limits, so
//! deleting a consumer deletes nothing else.
//!
//! Before that, another process may be reading under the same number, and both
//! would then publish the same part of the cells. A consumer that is not this
//! process's own and that has waiting pulls, or continues to deliver, for
//! longer than the pulls of a dead process can last, is such another reader. (A
//! reader that pauses for that long is not noticed; its consumer is deleted,
//! and when it reads again, *it* finds the number taken.)

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Config, Stream};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, Info, ReplayPolicy};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{ConsumerCreateStrictErrorKind, ConsumerErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{Client, Subject};
use futures::TryStreamExt;
use tokio::time::Instant;

use super::connect::connections;
use super::error::{NatsError, NatsErrorKind};
use super::input_request::InputRequest;
use super::loss::find_loss;
use super::mirrors;
use super::share::{self, Share};
use super::stream_state::{StreamState, existing};
use super::subject::overlap;

/// How many messages the client requests at once. With the server's default
/// payload limit of 1 MiB this bounds the waiting messages to a few hundred
/// MiB, and it suffices to keep small messages flowing.
const PULL: usize = 256;
/// How long a pull waits at the server; the last pull of a dead process waits
/// no longer.
const EXPIRES: Duration = Duration::from_secs(6);
/// How often the server reports that it has nothing. Silence for twice as long
/// is a failure.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// After what time without an acknowledgment the server redelivers: far longer
/// than any commit takes.
const ACK_WAIT: Duration = Duration::from_secs(300);
/// After what time the server deletes a consumer without readers, whose process
/// has left the cluster.
const INACTIVE: Duration = Duration::from_secs(7 * 86_400);
/// How long another reader is observed before it counts as alive.
const PATIENCE: Duration = Duration::from_secs(8);
/// The interval of these observations.
const WATCH: Duration = Duration::from_millis(250);

/// A consumer that has just been created, and its first pull.
pub(super) struct OpenConsumer {
    /// The deliveries.
    pub(super) messages: Stream,
    /// When the consumer was created, Unix nanoseconds, which identifies it
    /// among consumers of its name.
    pub(super) made: i128,
    /// How many messages it has to deliver.
    pub(super) pending: u64,
    /// How often the client had connected before.
    pub(super) connections: u64,
    /// The newest sequence of each batch and the subject on which it is
    /// acknowledged.
    pub(super) replies: VecDeque<(u64, Subject)>,
    /// The number of the newest delivery, from 1; 0 before the first.
    pub(super) delivery: u64,
}

/// The position to open a consumer at, and its preconditions.
pub(super) struct ConsumerStart {
    /// The next sequence to read.
    pub(super) next: u64,
    /// The first sequence that the stream must still store; `None` if reading
    /// begins with whatever it stores.
    pub(super) from: Option<u64>,
    /// When the stream was created, Unix nanoseconds.
    pub(super) created: i64,
    /// The creation time of this process's own consumer.
    pub(super) ours: Option<i128>,
}

/// Recreates the consumer at a position, after checking that the stream has
/// lost nothing behind it, is no mirror, and is partitioned as configured.
///
/// # Errors
/// `Lost` and `StreamReset` for a loss, `Taken` for another reader, `Stream`
/// for a stream or consumer with other settings, `Unreachable` without a
/// response.
pub(super) async fn open(
    client: Client,
    wanted: Arc<InputRequest>,
    position: ConsumerStart,
) -> Result<OpenConsumer, NatsError> {
    let connections = connections(&client);
    let info = existing(&client, &wanted.stream).await?;
    mirrors::refuse_mirror(&info)?;
    let state = StreamState::from(&info);
    if let Some(loss) = find_loss(&state, position.from, Some(position.created)) {
        return Err(loss.error(&wanted.stream));
    }
    share::judge(&info, wanted.partitions)?;
    let jetstream = jetstream::new(client);
    let stream = jetstream
        .get_stream_no_info(&wanted.stream)
        .await
        .map_err(|error| unanswered(&wanted, error))?;
    let share = wanted.share();
    if share.is_sorted() {
        sorted(&stream, &wanted, &share).await?;
    }
    // The server refuses a filter of which the stream has no subject.
    let is_captured = |filter: &String| {
        let mut subjects = info.config.subjects.iter();
        subjects.any(|subject| overlap(subject, filter))
    };
    let filters: Vec<String> = share.filters().into_iter().filter(is_captured).collect();
    let name = wanted.consumer();
    if is_free(&stream, &wanted, &name, position.ours).await? {
        match stream.delete_consumer(&name).await {
            Err(error) if !is_not_found(&error.kind()) => return Err(unanswered(&wanted, error)),
            _ => {}
        }
    }
    let config = Config {
        durable_name: Some(name.clone()),
        description: Some(
            "Tributary's input; the position that counts is in its ledger".to_owned(),
        ),
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: position.next,
        },
        ack_policy: AckPolicy::All,
        ack_wait: ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: -1,
        replay_policy: ReplayPolicy::Instant,
        filter_subjects: filters,
        inactive_threshold: INACTIVE,
        ..Config::default()
    };
    let consumer = stream
        .create_consumer_strict(config.clone())
        .await
        .map_err(|error| match error.kind() {
            ConsumerCreateStrictErrorKind::JetStream(answer) if answer.code() != 503 => {
                let what = format!(
                    "the server refuses the consumer {name} of {}",
                    wanted.stream
                );
                NatsError::caused(NatsErrorKind::Stream, what, answer)
            }
            _ => unanswered(&wanted, error),
        })?;
    echoed(&wanted, &config, consumer.cached_info())?;
    let messages = consumer
        .stream()
        .max_messages_per_batch(PULL)
        .expires(EXPIRES)
        .heartbeat(HEARTBEAT)
        .messages()
        .await
        .map_err(|error| unanswered(&wanted, error))?;
    let info = consumer.cached_info();
    Ok(OpenConsumer {
        messages,
        made: info.created.unix_timestamp_nanos(),
        pending: info.num_pending,
        connections,
        replies: VecDeque::new(),
        delivery: 0,
    })
}

/// The server's information on a consumer; `None` if it does not exist.
pub(super) async fn info(
    stream: &jetstream::stream::Stream<()>,
    wanted: &InputRequest,
    name: &str,
) -> Result<Option<Info>, NatsError> {
    match stream.consumer_info(name).await {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(unanswered(wanted, error)),
    }
}

/// Whether a consumer exists that may be deleted; false if none exists.
///
/// # Errors
/// `Taken` if another process reads from it.
async fn is_free(
    stream: &jetstream::stream::Stream<()>,
    wanted: &InputRequest,
    name: &str,
    ours: Option<i128>,
) -> Result<bool, NatsError> {
    let begin = Instant::now();
    let mut quiet_at = None;
    loop {
        let Some(info) = info(stream, wanted, name).await? else {
            return Ok(false);
        };
        let delivered = info.delivered.consumer_sequence;
        let quiet = info.num_waiting == 0;
        if ours == Some(info.created.unix_timestamp_nanos()) || quiet && quiet_at == Some(delivered)
        {
            return Ok(true);
        }
        if begin.elapsed() > PATIENCE {
            return Err(NatsError::new(
                NatsErrorKind::Taken,
                format!(
                    "another process reads the stream {} as process {}: the consumer {name} has a reader. Stop that \
                     process, or give each its own workers.process",
                    wanted.stream,
                    wanted.name()
                ),
            ));
        }
        quiet_at = quiet.then_some(delivered);
        tokio::time::sleep(WATCH).await;
    }
}

/// Checks that every message with six tokens belongs to a partition. One that
/// does not is from before the stream was partitioned, and no process would
/// read it.
async fn sorted(
    stream: &jetstream::stream::Stream<()>,
    wanted: &InputRequest,
    share: &Share,
) -> Result<(), NatsError> {
    let listed = stream.info_with_subjects("tributary.in.*.*.*.*").await;
    let mut subjects = listed.map_err(|error| unanswered(wanted, error))?;
    let mut strays = 0;
    while let Some((subject, messages)) = subjects
        .try_next()
        .await
        .map_err(|error| unanswered(wanted, error))?
    {
        if share.partition(&subject).is_none() {
            strays += messages;
        }
    }
    match strays {
        0 => Ok(()),
        _ => Err(NatsError::new(
            NatsErrorKind::Stream,
            format!(
                "stream {} holds {strays} messages whose sixth token is no partition, from before it sorted into {}: \
                 let one process without partitions read them first, or purge them",
                wanted.stream, wanted.partitions
            ),
        )),
    }
}

/// Checks that the created consumer has the requested settings.
fn echoed(wanted: &InputRequest, asked: &Config, info: &Info) -> Result<(), NatsError> {
    let config = &info.config;
    let facts = [
        ("ack_policy", config.ack_policy == asked.ack_policy),
        (
            "deliver_policy",
            config.deliver_policy == asked.deliver_policy,
        ),
        ("ack_wait", config.ack_wait == asked.ack_wait),
        ("max_deliver", config.max_deliver == asked.max_deliver),
        (
            "max_ack_pending",
            config.max_ack_pending == asked.max_ack_pending,
        ),
        (
            "filter_subjects",
            config.filter_subjects == asked.filter_subjects,
        ),
    ];
    match facts.iter().find(|(_, kept)| !kept) {
        None => Ok(()),
        Some((setting, _)) => Err(NatsError::new(
            NatsErrorKind::Stream,
            format!(
                "the server made the consumer {} of {} with another {setting} than was asked for: look at the \
                 stream's consumer limits",
                info.name, wanted.stream
            ),
        )),
    }
}

/// Whether the server reports that the consumer does not exist.
fn is_not_found(kind: &ConsumerErrorKind) -> bool {
    matches!(kind, ConsumerErrorKind::JetStream(answer) if answer.error_code() == ErrorCode::CONSUMER_NOT_FOUND)
}

/// The error of a request about the stream without a usable response.
pub(super) fn unanswered(
    wanted: &InputRequest,
    error: impl std::error::Error + Send + Sync + 'static,
) -> NatsError {
    let what = format!("no answer about the stream {}", wanted.stream);
    NatsError::caused(NatsErrorKind::Unreachable, what, error)
}
