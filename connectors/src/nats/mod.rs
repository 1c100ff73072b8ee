//! NATS: connecting, the streams, reading the input, publishing what leaves.
//!
//! The rule of this module is *ask the server, do not believe the request*: an old server takes a
//! request for a feature that it does not have and silently forgets it, so that the version is
//! checked when connecting ([`connect`]) and every stream is judged by what the server echoes
//! ([`ensure_input_stream`] and its sisters).
//!
//! Nothing is acknowledged here. The input is read by an ordered consumer without acknowledgements
//! from a sequence that the caller names ([`Input`]): the position is durable where the records
//! are, in the ledger, and a restart reads on from there. What leaves is acknowledged by the server
//! before [`Publisher::flush`] returns. Subjects carry the brand, the kind and hashes of
//! aggregates, never an identifier ([`subject`]).

mod addresses;
mod connect;
mod error;
mod input;
mod publish;
mod streams;
pub mod subject;

pub use async_nats::Client;

pub use connect::{MIN_VERSION, connect};
pub use error::{NatsError, NatsErrorKind};
pub use input::{AT_HEADER, InMessage, Input};
pub use publish::{Outgoing, Publisher, cell_payload};
pub use streams::{
    StreamState, ensure_dead_letter_stream, ensure_input_stream, ensure_output_stream, stream_state,
};
