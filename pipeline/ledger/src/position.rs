//! The position up to which the input stream is durable.

use serde::{Deserialize, Serialize};

use crate::wire::Input;

/// Where the input stands with a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Which stream it was, where there is one.
    pub stream: Option<StreamPosition>,
    /// The last sequence number whose effect is durable.
    pub sequence: u64,
    /// The last epoch that is durable.
    pub epoch: u64,
    /// The newest time of arrival so far, Unix milliseconds.
    pub newest_at: i64,
}

/// What tells a stream from another one of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamPosition {
    /// When it was created, Unix nanoseconds.
    pub created_ns: i64,
    /// How many streams this process has met before it.
    pub generation: u16,
}

impl Position {
    /// The bytes of a written position.
    pub(crate) const BYTES: usize = 36;

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
