//! Events: what enters the dataflow, in any order and on any worker.
//!
//! A ping comes as [`Event::Ping`] from its connector and is salted before anything else sees it; what is
//! kept, in memory or on disk, is [`Event::TokenizedPing`], and once its salt day is closed only [`Event::SettledHour`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::label::Label;
use crate::record::{
    Arrival, BrandId, Day, DeviceDay, IdSet, Ping, Record, RecordKey, SettledHour, TokenizedPing,
};

/// One change of what is held, or a word for the dictionaries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Event {
    /// A record arrives. Of all that arrived under one key since the key was last dropped, the one
    /// with the highest `(version, arrival)` is held; when its content equals what is held, nothing changes.
    Put {
        /// What makes it one and the same.
        key: RecordKey,
        /// The optional `version`, 0 where absent.
        version: i64,
        /// Its place in the order of arrival.
        arrival: Arrival,
        /// The record.
        record: Record,
    },
    /// Whatever is held under the key is retracted: what arrived before `arrival` no longer counts. It enters no
    /// earlier than what arrived before it, and leaves no trace: what enters after it is new.
    Drop {
        /// The key.
        key: RecordKey,
        /// The place of the retraction in the order of arrival.
        arrival: Arrival,
    },
    /// A ping is heard. The same ping again changes nothing.
    Ping {
        /// The ping.
        ping: Ping,
    },
    /// The same, with the token of its day in the place of the device.
    TokenizedPing {
        /// The tokenized ping.
        ping: TokenizedPing,
    },
    /// Everything that was heard of a device on a salt day in a store before this epoch is retracted.
    DropDevice {
        /// The device and the day.
        device: DeviceDay,
    },
    /// What the pings of a salt day that was closed amount to in one hour of a store. They add up.
    SettledHour {
        /// The sums.
        settled: SettledHour,
    },
    /// The salt days of a brand before one are closed and settled: their pings, whether heard before or after this,
    /// no longer count, because their sums do.
    SaltDaysClosed {
        /// The tenant.
        brand: BrandId,
        /// The first salt day that is not closed.
        before: Day,
    },
    /// The time by which the links of a brand are judged from here on: a record that is older than the `link_ttl` of a
    /// kind no longer links identifiers of that kind. Of several that enter together the latest counts, else the last.
    LinkTime {
        /// The tenant.
        brand: BrandId,
        /// Unix milliseconds.
        at: i64,
    },
    /// What was shown to a person and answered, word for word. It is kept to be shown again; no number depends
    /// on it, and the dataflow passes it over.
    Evidence {
        /// What makes it one and the same: of what comes again under the key the newest is kept.
        key: RecordKey,
        /// The tenant.
        brand: BrandId,
        /// Whom it names.
        ids: IdSet,
        /// Unix milliseconds.
        ts: i64,
        /// The statement as JSON.
        text: Arc<str>,
    },
    /// The word of a label. Every worker is told.
    LabelName {
        /// The brand whose records use it.
        brand: BrandId,
        /// The label.
        label: Label,
        /// Its word.
        word: Arc<str>,
    },
}
