//! The position up to which the input stream is durable.

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
    /// Length of an encoded position in bytes.
    pub(crate) const BYTES: usize = 36;

    /// Appends the 36 bytes of a position (FORMAT.md, section *Commit*).
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mark = self.stream.unwrap_or(StreamPosition {
            created_ns: 0,
            generation: 0,
        });
        out.extend_from_slice(&u16::from(self.stream.is_some()).to_le_bytes());
        out.extend_from_slice(&mark.generation.to_le_bytes());
        out.extend_from_slice(&mark.created_ns.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.newest_at.to_le_bytes());
    }

    /// Reads an encoded position; `None` if the bytes are not one.
    pub(crate) fn read(input: &mut Input) -> Option<Position> {
        let some = match input.u16()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let generation = input.u16()?;
        let created_ns = input.i64()?;
        Some(Position {
            stream: some.then_some(StreamPosition {
                created_ns,
                generation,
            }),
            sequence: input.u64()?,
            epoch: input.u64()?,
            newest_at: input.i64()?,
        })
    }
}
