//! Messages of a stream, and their numbers in the order of arrival.

use async_nats::Subject;
use bytes::Bytes;
use tributary_operators::cells::Standing;
use tributary_operators::record::Arrival;

use super::error::{NatsError, NatsErrorKind};

/// The header with an arrival time in Unix milliseconds, by which a replayed
/// trace keeps its clock. Anyone who may publish can write it, so it counts
/// only for sources that permit it ([`crate::decode::Arrivals`]).
pub const AT_HEADER: &str = "Tributary-At";

/// The header of a cell with how it stands outside, which the next start reads.
pub const STANDING_HEADER: &str = "Tributary-Standing";

/// One message of a stream. The payload and the subject are shared with the
/// client's buffer and cost no copy.
#[derive(Clone, Debug)]
pub struct InMessage {
    /// Its subject.
    pub subject: Subject,
    /// The sequence in the stream, from 1.
    pub sequence: u64,
    /// The arrival, Unix milliseconds: the stream's time stamp, which no sender
    /// chooses.
    pub at_ms: i64,
    /// The headers, sorted by name; the values of one name in the order in
    /// which they were sent.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub payload: Bytes,
}

impl InMessage {
    /// How the cell of this message stands outside, if it says so.
    pub fn standing(&self) -> Option<Standing> {
        let mut headers = self.headers.iter();
        let (_, text) = headers.find(|(name, _)| name.eq_ignore_ascii_case(STANDING_HEADER))?;
        Standing::parse(text)
    }
}

/// The metadata of a delivery.
pub(super) struct Place {
    /// The message's sequence in the stream.
    pub(super) sequence: u64,
    /// The number of the delivery among those of its consumer, from 1.
    pub(super) delivery: u64,
    /// How often the message has been delivered, from 1.
    pub(super) times: i64,
    /// How many messages the consumer has yet to deliver.
    pub(super) pending: u64,
    /// The stream's time stamp, Unix milliseconds.
    at_ms: i64,
}

impl Place {
    /// Reads the metadata, which JetStream encodes in the reply subject.
    ///
    /// # Errors
    /// [`NatsErrorKind::Read`] if the reply subject has another form.
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

/// The message of a delivery.
pub(super) fn message(message: async_nats::Message, place: &Place) -> InMessage {
    InMessage {
        subject: message.subject,
        sequence: place.sequence,
        at_ms: place.at_ms,
        headers: sorted(message.headers.as_ref()),
        payload: message.payload,
    }
}

/// The headers in a deterministic order.
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

/// The low bits of a message's number, below the generation of its stream.
const SEQUENCE_BITS: u32 = 48;
/// Set in the numbers of messages of the pings stream.
const PINGS: u64 = Arrival::PINGS;

/// The number of a message in the order of arrival: its sequence in the low 47
/// bits, and above it the number of streams that preceded its own, so that what
/// comes from a recreated stream is later than everything before.
///
/// ```
/// use tributary_connectors::nats::{number_of, sequence_of};
///
/// assert!(number_of(1, 1) > number_of(0, 1_000_000));
/// assert_eq!(sequence_of(number_of(1, 7)), 7);
/// ```
pub fn number_of(generation: u16, sequence: u64) -> u64 {
    u64::from(generation) << SEQUENCE_BITS | sequence
}

/// The number of a message of the pings stream, which no message of the input
/// stream has. Pings have no version and no correction, so that their order
/// among other messages has no meaning. A sighting of the pings stream counts as
/// later than one of the input stream with the same id and version.
///
/// ```
/// use tributary_connectors::nats::{number_of, ping_number_of, sequence_of};
///
/// assert_ne!(ping_number_of(1, 7), number_of(1, 7));
/// assert_eq!(sequence_of(ping_number_of(1, 7)), 7);
/// ```
pub fn ping_number_of(generation: u16, sequence: u64) -> u64 {
    number_of(generation, sequence) | PINGS
}

/// Whether a number is that of a message of the pings stream.
///
/// ```
/// use tributary_connectors::nats::{is_ping_number, number_of, ping_number_of};
///
/// assert!(is_ping_number(ping_number_of(1, 7)) && !is_ping_number(number_of(1, 7)));
/// ```
pub fn is_ping_number(number: u64) -> bool {
    number & PINGS != 0
}

/// The sequence in a message's number.
pub fn sequence_of(number: u64) -> u64 {
    number & (PINGS - 1)
}
