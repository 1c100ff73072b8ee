//! NATS: connections, streams, the input, and publishing.
//!
//! The rule of this module is *ask the server, do not trust the request*. An
//! old server silently ignores a request for a feature that it does not have,
//! so [`connect()`] checks the version, and every stream is checked against the
//! configuration that the server returns ([`ensure_input_stream`] and its
//! siblings).
//!
//! [`Input`] reads from a position that the caller supplies. The position is
//! durable together with the records, in the ledger, and a restart resumes from
//! it; the server's acknowledgment follows afterwards. [`LatestPublisher`]
//! publishes the newest value of each cell, [`Publisher`] every dead letter;
//! both await the server's acknowledgment before a flush returns. Subjects
//! carry the brand, the kind and hashes of aggregates, never an identifier
//! ([`subject`]).

mod addresses;
mod claims;
mod clock;
mod connect;
mod consumer;
mod credentials;
mod error;
mod holder;
mod input;
mod input_request;
mod latest;
mod lease;
mod lease_bucket;
mod loss;
mod message;
mod mirrors;
mod outgoing;
mod overwrite;
mod publish;
mod reader;
mod share;
mod stream_messages;
mod stream_state;
mod stream_writer;
mod streams;
pub mod subject;
mod subject_set;

pub use async_nats::Client;

pub use claims::{Claim, Claims};
pub use clock::{BrokerTime, broker_time};
pub use connect::{MIN_VERSION, connect, connect_with};
pub use error::{NatsError, NatsErrorKind};
pub use holder::Holder;
pub use input::{Input, InputCounts};
pub use input_request::InputRequest;
pub use latest::LatestPublisher;
pub use lease::{Fence, Lease, RENEWAL, TERM, claim, hold_off};
pub use lease_bucket::{bucket as leases_bucket, current, holders};
pub use loss::{Loss, LossKind};
pub use message::{AT_HEADER, InMessage, is_ping_number, number_of, ping_number_of, sequence_of};
pub use mirrors::refuse_copies;
pub use outgoing::{OutgoingMessage, SUBJECT_HEADER, cell_payload};
pub use overwrite::overwrite_buffers;
pub use publish::Publisher;
pub use reader::{LastValues, Reader, last_values};
pub use share::Brands;
pub use stream_messages::{
    delete_message, first_message, has_messages, last_message, newest_message,
};
pub use stream_state::{StreamState, stream_state};
pub use stream_writer::{StoreError, StreamWriter};
pub use streams::{
    check_rights_stream, ensure_dead_letter_stream, ensure_input_stream, ensure_leases,
    ensure_output_stream, ensure_rights_stream,
};
pub use subject_set::SubjectSet;
