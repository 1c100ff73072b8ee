//! The position up to which the input stream, and that of pings, are durable.

use serde::{Deserialize, Serialize};

use crate::wire::Input;

/// Position of a commit: everything up to it is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Identity of the stream; `None` for a trace, which has no stream.
    pub stream: Option<StreamPosition>,
    /// The last sequence number whose effect is durable.
    pub sequence: u64,
    /// The last durable epoch.
    pub epoch: u64,
    /// The latest time of arrival of any message so far, Unix milliseconds.
    pub newest_at: i64,
    /// Position in the stream of pings; `None` if pings have none of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pings: Option<PingsPosition>,
}

/// Position in the stream of pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PingsPosition {
    /// Identity of the stream.
    pub stream: StreamPosition,
    /// The last sequence number whose effect is durable.
    pub sequence: u64,
}

/// Distinguishes a stream from another one of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamPosition {
    /// Creation time of the stream, Unix nanoseconds.
    pub created_ns: i64,
    /// Ordinal of the stream among those that this process has read, from 1.
    /// Arrivals of a later generation order after all earlier ones.
    pub generation: u16,
}

impl Position {
    /// Length of an encoded position in bytes, without that of pings.
    pub(crate) const BYTES: usize = 36;

    /// Length of an encoded position of pings in bytes.
    pub(crate) const OF_PINGS: usize = 20;

    /// Appends the 56 bytes of a position (FORMAT.md, section *Commit*), or 36
    /// without that of pings, which formats before 6 do not have.
    pub(crate) fn write(&self, with_pings: bool, out: &mut Vec<u8>) {
        write_stream(self.stream, out);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.newest_at.to_le_bytes());
        if with_pings {
            write_stream(self.pings.map(|pings| pings.stream), out);
            let sequence = self.pings.map_or(0, |pings| pings.sequence);
            out.extend_from_slice(&sequence.to_le_bytes());
        }
    }

    /// Reads an encoded position; `None` if the bytes are not one.
    pub(crate) fn read(with_pings: bool, input: &mut Input) -> Option<Position> {
        let stream = read_stream(input)?;
        let (sequence, epoch, newest_at) = (input.u64()?, input.u64()?, input.i64()?);
        let (pings, of_pings) = match with_pings {
            true => (read_stream(input)?, input.u64()?),
            false => (None, 0),
        };
        Some(Position {
            stream,
            sequence,
            epoch,
            newest_at,
            pings: pings.map(|stream| PingsPosition {
                stream,
                sequence: of_pings,
            }),
        })
    }
}

/// Appends the 12 bytes of a stream that may not exist.
fn write_stream(stream: Option<StreamPosition>, out: &mut Vec<u8>) {
    let mark = stream.unwrap_or(StreamPosition {
        created_ns: 0,
        generation: 0,
    });
    out.extend_from_slice(&u16::from(stream.is_some()).to_le_bytes());
    out.extend_from_slice(&mark.generation.to_le_bytes());
    out.extend_from_slice(&mark.created_ns.to_le_bytes());
}

/// Reads a stream that may not exist; `None` if the bytes are not one.
fn read_stream(input: &mut Input) -> Option<Option<StreamPosition>> {
    let some = match input.u16()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let generation = input.u16()?;
    let created_ns = input.i64()?;
    Some(some.then_some(StreamPosition {
        created_ns,
        generation,
    }))
}
