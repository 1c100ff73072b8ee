//! NATS: connecting, the streams, reading the input, publishing what leaves.
//!
//! The rule of this module is *ask the server, do not believe the request*: an old server takes a
//! request for a feature that it does not have and silently forgets it, so that the version is
//! checked when connecting ([`connect()`]) and every stream is judged by what the server echoes
//! ([`ensure_input_stream`] and its sisters).
//!
//! The input is read from a position that the caller names ([`Input`]): it is durable where the
//! records are, in the ledger, and a restart reads on from there. The server is told how far that is
//! only afterwards. Cells leave as the newest value of each ([`Latest`]), dead letters one by one
//! ([`Publisher`]); both are acknowledged by the server before a flush returns. Subjects carry the
//! brand, the kind and hashes of aggregates, never an identifier ([`subject`]).

mod addresses;
mod clock;
mod connect;
mod consumer;
mod credentials;
mod error;
mod input;
mod input_request;
mod latest;
mod loss;
mod message;
mod mirrors;
mod outgoing;
mod publish;
mod reader;
mod share;
mod streams;
pub mod subject;
mod subject_set;

pub use async_nats::Client;

pub use clock::{BrokerTime, broker_time};
pub use connect::{MIN_VERSION, connect, connect_with};
pub use error::{NatsError, NatsErrorKind};
pub use input::{Input, InputCounts};
pub use input_request::InputRequest;
pub use latest::LatestPublisher;
pub use loss::{Loss, LossKind};
pub use message::{AT_HEADER, InMessage, number_of, sequence_of};
pub use mirrors::refuse_copies;
pub use outgoing::{OutgoingMessage, cell_payload};
pub use publish::Publisher;
pub use reader::{LastValues, Reader, last_values};
pub use streams::{
    StreamState, check_rights_stream, delete_message, ensure_dead_letter_stream,
    ensure_input_stream, ensure_output_stream, ensure_rights_stream, has_messages, newest_message,
    stream_state,
};
pub use subject_set::SubjectSet;
