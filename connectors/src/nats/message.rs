//! A delivery of the server turned into a message of a stream.

use async_nats::Subject;
use bytes::Bytes;

use super::error::{NatsError, NatsErrorKind};

/// A header with an arrival time in Unix milliseconds, by which a replayed trace keeps its clock. Anybody who may publish
/// can write it, so that it counts only where a source says so ([`crate::decode::Arrivals`]).
pub const AT_HEADER: &str = "Tributary-At";

/// One message of a stream.
#[derive(Clone, Debug)]
pub struct InMessage {
    /// Its subject.
    pub subject: Subject,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// When it arrived, Unix milliseconds: the stream's time stamp, which no sender chooses.
    pub at_ms: i64,
    /// Its headers, sorted by name, the values of one name in their order.
    pub headers: Vec<(String, String)>,
    /// Its bytes.
    pub payload: Bytes,
}

/// What a delivery says about itself.
pub(super) struct Place {
    /// The message's sequence in the stream.
    pub(super) sequence: u64,
    /// The delivery's number among those of its consumer, from 1.
    pub(super) delivery: u64,
    /// How often the message has been delivered.
    pub(super) times: i64,
    /// How many messages the consumer has still to come.
    pub(super) pending: u64,
    /// The stream's time stamp, Unix milliseconds.
    at_ms: i64,
}

impl Place {
    pub(super) fn of(message: &async_nats::jetstream::Message) -> Result<Place, NatsError> {
        let info = message.info().map_err(|error| {
            NatsError::caused(NatsErrorKind::Read, "a delivery without its place", error)
        })?;
        Ok(Place {
            sequence: info.stream_sequence,
            delivery: info.consumer_sequence,
            times: info.delivered,
            pending: info.pending,
            at_ms: (info.published.unix_timestamp_nanos() / 1_000_000) as i64,
        })
    }
}

/// The message that a delivery carries.
pub(super) fn message(message: async_nats::Message, place: &Place) -> InMessage {
    InMessage {
        subject: message.subject,
        sequence: place.sequence,
        at_ms: place.at_ms,
        headers: sorted(message.headers.as_ref()),
        payload: message.payload,
    }
}

fn sorted(headers: Option<&async_nats::HeaderMap>) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = headers
        .into_iter()
        .flat_map(|headers| headers.iter())
        .flat_map(|(name, values)| {
            values
                .iter()
                .map(|value| (name.to_string(), value.to_string()))
        })
        .collect();
    // A stable sort by name alone keeps the values of one name in the order they were sent in.
    pairs.sort_by(|left, right| left.0.cmp(&right.0));
    pairs
}

/// The bits of a message's number that hold its sequence.
const SEQUENCE_BITS: u32 = 48;

/// The number of a message in the order of arrival: its sequence, and above it how many streams there
/// were before its own, so that what comes from a stream that was made anew is later than all before.
pub fn number_of(generation: u16, sequence: u64) -> u64 {
    u64::from(generation) << SEQUENCE_BITS | sequence
}

/// The sequence in a message's number.
pub fn sequence_of(number: u64) -> u64 {
    number & ((1 << SEQUENCE_BITS) - 1)
}
