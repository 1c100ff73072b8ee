//! The durable consumer of a process: `tributary_<process>`, made anew at every opening.
//!
//! The ledger knows the position; the consumer only shows it to the operator, as its
//! acknowledgements, and lets the server see that somebody reads. So an old one is deleted and a
//! new one begins at the position, and nothing that an old one remembered can count. The stream
//! keeps messages by its limits, so that deleting a consumer deletes nothing else.
//!
//! Before that, somebody may be reading under the same number, which would make two processes
//! publish one part of the cells. A consumer that is not ours and on which pulls wait, or which
//! goes on delivering, for longer than a dead process's pulls can last, is such a somebody. (One
//! who does not read for that long is not noticed; his consumer is deleted, and when he reads
//! again, *he* finds the new one taken.)

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
use super::streams::{StreamState, existing};

/// How many messages the client asks for at once. With the server's largest payload of 1 MiB this
/// bounds what waits in memory to a few hundred MiB, and it is enough to keep small messages
/// flowing.
const PULL: usize = 256;
/// How long a pull waits at the server. A dead process's last one waits no longer.
const EXPIRES: Duration = Duration::from_secs(6);
/// How often the server says that it has nothing. Twice as long without a word is a failure.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long after a delivery without acknowledgement the server delivers again: far longer than
/// any commit takes.
const ACK_WAIT: Duration = Duration::from_secs(300);
/// A consumer that nobody reads any more, its process having left the cluster, goes after this.
const INACTIVE: Duration = Duration::from_secs(7 * 86_400);
/// How long another reader is watched before he counts as alive.
const PATIENCE: Duration = Duration::from_secs(8);
const WATCH: Duration = Duration::from_millis(250);

/// A consumer that has just been made, and its first pull.
pub(super) struct OpenConsumer {
    pub(super) messages: Stream,
    /// When the consumer was made, which tells it from another of its name.
    pub(super) made: i128,
    /// How many messages it has to give.
    pub(super) pending: u64,
    /// How often the client had connected before.
    pub(super) connections: u64,
    /// Where the newest message of each batch is acknowledged.
    pub(super) replies: VecDeque<(u64, Subject)>,
    /// The number of the newest delivery.
    pub(super) delivery: u64,
}

/// What to open, and what must be so.
pub(super) struct ConsumerStart {
    /// The next sequence to read.
    pub(super) next: u64,
    /// The first sequence that must not have been lost; none where reading begins with whatever is
    /// there.
    pub(super) from: Option<u64>,
    /// When the stream was made, Unix nanoseconds.
    pub(super) created: i64,
    /// The consumer that is this process's own, by the time it was made.
    pub(super) ours: Option<i128>,
}

/// Makes the consumer anew at a position of a stream that has lost nothing behind it.
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
        sorted(&stream, &wanted, share).await?;
    }
    let name = wanted.consumer();
    if is_free(&stream, &wanted, &name, position.ours).await? {
        match stream.delete_consumer(&name).await {
            Err(error) if !is_gone(&error.kind()) => return Err(unanswered(&wanted, error)),
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
        filter_subjects: share.filters(),
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

/// The server's word on a consumer; none where there is none.
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

/// Whether there is a consumer that may be deleted. None is there otherwise.
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
                    wanted.stream, wanted.process
                ),
            ));
        }
        quiet_at = quiet.then_some(delivered);
        tokio::time::sleep(WATCH).await;
    }
}

/// Six tokens that are no partition would be nobody's: such messages are from before the stream
/// sorted.
async fn sorted(
    stream: &jetstream::stream::Stream<()>,
    wanted: &InputRequest,
    share: Share,
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

/// The consumer is what was asked for.
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

fn is_gone(kind: &ConsumerErrorKind) -> bool {
    matches!(kind, ConsumerErrorKind::JetStream(answer) if answer.error_code() == ErrorCode::CONSUMER_NOT_FOUND)
}

pub(super) fn unanswered(
    wanted: &InputRequest,
    error: impl std::error::Error + Send + Sync + 'static,
) -> NatsError {
    let what = format!("no answer about the stream {}", wanted.stream);
    NatsError::caused(NatsErrorKind::Unreachable, what, error)
}
