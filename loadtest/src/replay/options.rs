//! The options of a replay, and why one ends early.

use std::time::Duration;

use tokio::sync::watch;
use tributary_connectors::inputs::InputsError;
use tributary_connectors::nats::NatsError;

use super::pace::Pace;
use super::pack::Clock;
use super::progress::Progress;

/// The options of a replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The speed.
    pub pace: Pace,
    /// The maximum number of events per message.
    pub pack: usize,
    /// Which time of arrival the messages have.
    pub clock: Clock,
    /// The maximum number of messages of a client without a JetStream acknowledgment, or `None` to
    /// publish without acknowledgments and only flush the connection.
    pub window: Option<usize>,
    /// The time after which no more messages are sent.
    pub duration: Option<Duration>,
    /// Becomes true when no more messages are to be sent.
    pub stop: Option<watch::Receiver<bool>>,
    /// Where the replay records what it has sent. Its start is that of the schedule.
    pub progress: Progress,
}

impl Default for ReplayOptions {
    /// As fast as possible, unpacked, with the clock of the trace.
    fn default() -> ReplayOptions {
        ReplayOptions {
            pace: Pace::Free,
            pack: 1,
            clock: Clock::Exact,
            window: Some(256),
            duration: None,
            stop: None,
            progress: Progress::new(),
        }
    }
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An input cannot be read.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// The broker rejected a message.
    #[error("after {messages} messages: {error}")]
    Nats {
        /// Messages sent so far.
        messages: u64,
        /// What happened.
        error: NatsError,
    },
    /// The connection failed, when publishing without acknowledgments.
    #[error("after {messages} messages: {reason}")]
    Connection {
        /// Messages sent so far.
        messages: u64,
        /// What happened.
        reason: String,
    },
    /// A client has ended without an error.
    #[error("a client of the replay has ended")]
    Ended,
}

/// Waits until a run is to stop; for ever if nobody can say so any more.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
