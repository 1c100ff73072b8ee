//! What can go wrong with the broker, as one type with a kind.
//!
//! The kind is for programs: it tells what a caller can do about it (wait and retry, or stop and
//! tell the operator). The text is for people: it says what was attempted, what happened and, where
//! there is one, the way out. No text holds a password, a seed or the payload of a message.

use std::error::Error as StdError;

use crate::terminal::error_chain;

/// A failure at or on the way to the broker.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct NatsError {
    kind: NatsErrorKind,
    message: String,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatsErrorKind {
    /// The configuration names a file, an address or a seed that cannot be used. Retrying does not
    /// help.
    Config,
    /// No server can be reached. It may come back.
    Unreachable,
    /// The server refuses the credentials, or they do not allow what was attempted.
    Authorization,
    /// The TLS handshake fails.
    Tls,
    /// The server is older than [`crate::nats::MIN_VERSION`].
    OldServer,
    /// The account has no JetStream.
    NoJetStream,
    /// A stream exists, but is not what is needed; or it cannot be created.
    Stream,
    /// The stream is another one than was read before, or has lost its end. Nothing is read; the
    /// operator decides.
    StreamReset,
    /// The stream no longer holds what was to be read next. Nothing is read on; the operator decides.
    Lost,
    /// Another process reads the input under the same number.
    Taken,
    /// Reading failed. Reading again continues where it stopped.
    Read,
    /// Publishing failed. What was not acknowledged is kept and sent again by the next flush.
    Publish,
}

impl NatsError {
    pub(super) fn new(kind: NatsErrorKind, message: impl Into<String>) -> NatsError {
        NatsError {
            kind,
            message: message.into(),
        }
    }

    /// The text of the cause is put behind the message, because most callers print one line only; so there is no source
    /// besides, which would be said twice.
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

    /// Whether waiting and trying again can help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind,
            NatsErrorKind::Unreachable | NatsErrorKind::Read | NatsErrorKind::Publish
        )
    }

    /// Whether it may pass while a stream is read that was there before: a server that has just
    /// started has no JetStream for a moment.
    pub(super) fn is_passing(&self) -> bool {
        self.is_transient() || self.kind == NatsErrorKind::NoJetStream
    }
}
