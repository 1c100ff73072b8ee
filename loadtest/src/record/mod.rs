//! Recording the input stream into a trace: each message with its arrival, its headers and its bytes.
//!
//! A recording reads along and leaves nothing behind at the broker: it acknowledges nothing, and a
//! worker reads the same messages as without it. Whatever it has reported as recorded is on disk: a
//! recording that was killed resumes behind it, in the same files, with no message twice and none
//! missing ([`Rotation`]).

mod pseudonyms;
mod rotation;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tributary_config::model::Config;
use tributary_connectors::decode::Arrivals;
use tributary_connectors::nats::{AT_HEADER, Client, InMessage, NatsError, Reader, stream_state};
use tributary_connectors::trace::TraceLine;

pub use pseudonyms::{PseudonymError, Pseudonyms};
pub use rotation::{Rotation, RotationError, RotationOptions};

use crate::replay::stopped;

/// The largest number of messages that are read at once.
const BATCH: usize = 1_000;
/// How often what was recorded is made durable.
const EVERY: Duration = Duration::from_secs(1);
/// The pause after a connection was lost.
const PAUSE: Duration = Duration::from_millis(250);

/// Which messages are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The first sequence of the stream; `None` for what comes from now on.
    pub from: Option<u64>,
    /// The last one; `None` to go on.
    pub to: Option<u64>,
}

/// The options of a recording.
#[derive(Debug)]
pub struct RecordOptions {
    /// The name of the stream: the input stream, or that of pings.
    pub stream: String,
    /// The subjects, which may contain wildcards.
    pub subjects: String,
    /// The range of the stream.
    pub range: Range,
    /// Where messages are written.
    pub files: RotationOptions,
    /// Replaces identifiers, if it is to.
    pub pseudonyms: Option<Pseudonyms>,
    /// Becomes true when the recording is to end.
    pub stop: watch::Receiver<bool>,
}

/// The result of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recording {
    /// Messages that were recorded.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Messages that the stream had lost before they could be recorded, because the recording was resumed
    /// too late.
    pub missed: u64,
    /// Payloads, or lines of them, that could not be pseudonymised and were withheld.
    pub withheld: u64,
    /// The sequence behind which the next recording resumes.
    pub sequence: u64,
    /// The files that there are now, oldest first.
    pub files: Vec<PathBuf>,
    /// Files that were deleted so that the others fit into the disk space.
    pub deleted: u64,
}

/// Why a recording ended early.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The stream cannot be read.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// The files cannot be written.
    #[error(transparent)]
    Files(#[from] RotationError),
}

/// Records messages until the end of the range, or until it is stopped. `seen` is called after every
/// batch.
///
/// # Errors
///
/// A stream that does not exist, or files that cannot be written. A lost connection is waited for.
pub async fn record(
    client: &Client,
    config: &Config,
    mut options: RecordOptions,
    mut seen: impl FnMut(&Recording),
) -> Result<Recording, RecordError> {
    let stream = &options.stream.clone();
    let state = stream_state(client, stream).await?;
    let created = state.created_ns.to_string();
    let wanted = options.range.from.unwrap_or(state.last_sequence + 1);
    let (mut files, from) = Rotation::open(options.files, &created, wanted)?;
    let mut recording = Recording {
        sequence: from.saturating_sub(1),
        // Sequences begin with 1, and whoever asks for all means what there is.
        missed: match from {
            0 | 1 => 0,
            from => state.first_sequence.saturating_sub(from),
        },
        ..Recording::default()
    };
    let mut arrivals = Arrivals::new(config);
    let mut reader = Reader::filtered(client, stream, &options.subjects, from).await?;
    let mut durable = Instant::now();
    let is_over = |next: u64| options.range.to.is_some_and(|to| next > to);
    'reading: while !is_over(reader.next_sequence()) && !*options.stop.borrow() {
        let batch = tokio::select! {
            biased;
            () = stopped(&mut options.stop) => break,
            batch = reader.next_batch(BATCH, EVERY) => batch,
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) if error.is_transient() => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        // Behind the last message that matches there may be others, up to the end of the range.
        let is_idle = batch.is_empty() && reader.caught_up();
        for message in batch {
            if is_over(message.sequence) {
                recording.sequence = message.sequence - 1;
                break 'reading;
            }
            let sequence = message.sequence;
            let mut line = line(message, &mut arrivals);
            if let Some(pseudonyms) = &mut options.pseudonyms {
                pseudonyms.apply(&mut line);
                recording.withheld = pseudonyms.withheld();
            }
            recording.messages += 1;
            recording.bytes += line.data.len() as u64;
            recording.sequence = sequence;
            files.write(&line, sequence)?;
        }
        if durable.elapsed() >= EVERY {
            files.sync()?;
            durable = Instant::now();
        }
        seen(&recording);
        if is_idle && options.range.to.is_some_and(|to| state.last_sequence >= to) {
            break;
        }
    }
    files.sync()?;
    recording.deleted = files.deleted();
    recording.files = files.finish()?;
    seen(&recording);
    Ok(recording)
}

/// The message as a line of a trace. What a replay adds itself, and what only concerns the broker, is
/// left out of its headers.
fn line(message: InMessage, arrivals: &mut Arrivals) -> TraceLine {
    let at = arrivals
        .of(&message.subject, &message.headers, message.at_ms)
        .at;
    let is_kept = |name: &str| {
        !name.eq_ignore_ascii_case(AT_HEADER)
            && !name
                .get(..5)
                .is_some_and(|begin| begin.eq_ignore_ascii_case("nats-"))
    };
    let headers = message
        .headers
        .into_iter()
        .filter(|(name, _)| is_kept(name));
    TraceLine {
        subject: message.subject.to_string(),
        at,
        headers: headers.collect(),
        data: message.payload.into(),
    }
}
