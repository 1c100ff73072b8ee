//! How far an erasure reaches: to everything about a person that arrived before it, and to nothing later, so that a person
//! who returns counts.
//!
//! Arrival decides, because times in records are those of their senders. What has no message of its own has been stored by a
//! rights request or by settling, at a time.

use serde::{Deserialize, Serialize};

use super::{Arrival, Body, Record};

/// The version of a record that a rectification has corrected, whose arrival is a time.
pub const RECTIFIED: i64 = i64::MAX;

/// How far an erasure reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reach {
    /// When it was done, Unix milliseconds.
    pub at: i64,
    /// The last arrival that it covers: a number of a message of the input stream.
    pub until: u64,
    /// The same of the stream of pings; 0 without one.
    pub until_ping: u64,
}

impl Reach {
    /// How far both together reach.
    pub fn join(&self, other: &Reach) -> Reach {
        Reach {
            at: self.at.max(other.at),
            until: self.until.max(other.until),
            until_ping: self.until_ping.max(other.until_ping),
        }
    }

    /// Whether a record is covered that has this version and arrived at this position.
    pub fn covers(&self, record: &Record, version: i64, arrival: Arrival) -> bool {
        let stored = self.covers_stored(record);
        stored.unwrap_or_else(|| self.covers_arrival(version, arrival))
    }

    /// Whether a record is covered that settling or a rights request has stored; `None` for all others.
    pub fn covers_stored(&self, record: &Record) -> Option<bool> {
        let is_stored = matches!(
            record.body,
            Body::SettledVisit { .. } | Body::PanelMember { .. } | Body::Right { .. }
        );
        is_stored.then_some(record.ts <= self.at)
    }

    /// Whether content is covered that came with a message, or that a rectification has corrected.
    pub fn covers_arrival(&self, version: i64, arrival: Arrival) -> bool {
        if version == RECTIFIED {
            return i64::try_from(arrival.message).is_ok_and(|at| at <= self.at);
        }
        arrival.message
            <= match arrival.is_of_pings() {
                true => self.until_ping,
                false => self.until,
            }
    }
}
