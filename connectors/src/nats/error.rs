//! Failures of the broker: one error type with a kind.
//!
//! The kind is for programs: it determines whether to wait and retry, or to
//! stop and inform the operator. The message is for people: it states what was
//! attempted, what happened and, if possible, the remedy. No message contains a
//! password, a seed or the payload of a message.

use std::error::Error as StdError;

use crate::terminal::error_chain;

/// A failure at the broker, or on the way to it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct NatsError {
    kind: NatsErrorKind,
    message: String,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatsErrorKind {
    /// The configuration names a file, an address or a seed that cannot be
    /// used. Retrying does not help.
    Config,
    /// No server can be reached, or none responds. Retrying may help.
    Unreachable,
    /// The server refuses the credentials, or they do not permit the request.
    Authorization,
    /// The TLS handshake fails.
    Tls,
    /// The server is older than [`crate::nats::MIN_VERSION`].
    OldServer,
    /// JetStream is not enabled for the account.
    NoJetStream,
    /// A stream or consumer has other settings than required, does not exist,
    /// or cannot be created.
    Stream,
    /// The stream is another one than the one read before, or has lost its end.
    /// Reading stops until the operator decides.
    StreamReset,
    /// The stream no longer stores the messages to be read next. Reading stops
    /// until the operator decides.
    Lost,
    /// Another process reads the input under the same number.
    Taken,
    /// Reading failed. Reading again resumes where it stopped.
    Read,
    /// Publishing failed. Unacknowledged messages are kept, and the next flush
    /// resends them.
    Publish,
}

impl NatsError {
    /// An error without a cause.
    pub(super) fn new(kind: NatsErrorKind, message: impl Into<String>) -> NatsError {
        NatsError {
            kind,
            message: message.into(),
        }
    }

    /// An error whose message ends with its cause and the causes of that. It
    /// has no `source()` besides, because most callers print one line, and the
    /// cause would appear twice.
    pub(super) fn caused(
        kind: NatsErrorKind,
        message: impl Into<String>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> NatsError {
        let message = format!("{}: {}", message.into(), error_chain(cause.into().as_ref()));
        NatsError { kind, message }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> NatsErrorKind {
        self.kind
    }

    /// Whether waiting and retrying can help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            NatsErrorKind::Unreachable | NatsErrorKind::Read | NatsErrorKind::Publish
        )
    }

    /// Whether the failure may pass while a stream is read that existed before:
    /// a server that has just started has no JetStream for a moment.
    pub(super) fn is_passing(&self) -> bool {
        self.is_transient() || self.kind == NatsErrorKind::NoJetStream
    }
}
