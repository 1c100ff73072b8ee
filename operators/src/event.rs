//! Events: the input of the dataflow, in any order and on any worker.
//!
//! A connector emits a sensor ping as [`Event::Ping`]. It is tokenized before any operator sees it: memory and ledger hold
//! only [`Event::TokenizedPing`], and once its salt day is closed only the totals in [`Event::SettledHour`] and, for a brand with
//! partners, visits without tokens in [`Event::ClosedVisits`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::label::Label;
use crate::record::{
    Arrival, BrandId, ClosedVisits, Day, DeviceDay, IdSet, Ping, Record, RecordKey, SettledDevices,
    SettledHour, TokenizedPing, UnmatchedStays,
};

/// A change of the input: of a record, of pings, or of the label registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Event {
    /// An upsert. Among all records under one key since the last [`Event::Drop`] of that key, the one with the
    /// highest `(version, arrival)` is current. A record with the content of the current one changes nothing.
    Put {
        /// The key that identifies the record.
        key: RecordKey,
        /// The record's `version`, 0 if absent.
        version: i64,
        /// Its position in the order of arrival.
        arrival: Arrival,
        /// The record.
        record: Record,
    },
    /// Retracts the current record of the key. Records of the key that arrived before `arrival` no longer count. The
    /// event must not enter before the records that it retracts, and leaves no tombstone: a later [`Event::Put`]
    /// starts anew.
    Drop {
        /// The key.
        key: RecordKey,
        /// The position of the retraction in the order of arrival.
        arrival: Arrival,
    },
    /// A sensor ping. Idempotent: the same ping again changes nothing.
    Ping {
        /// The ping.
        ping: Ping,
    },
    /// A ping with the device replaced by its token of the salt day.
    TokenizedPing {
        /// The tokenized ping.
        ping: TokenizedPing,
    },
    /// Retracts all pings of a device in one store on one salt day that entered before this epoch.
    DropDevice {
        /// The device and the day.
        device: DeviceDay,
    },
    /// The totals of one hour of a store on a closed salt day. Totals of the same hour add up.
    SettledHour {
        /// The totals.
        settled: SettledHour,
    },
    /// The devices of a store on a closed salt day that came in exactly some hours. Numbers of the same hours add up.
    SettledDevices {
        /// The number of devices.
        settled: SettledDevices,
    },
    /// Visits of a store on a closed salt day, for a brand with partners. Parts of the same day add up.
    ClosedVisits {
        /// The visits.
        visits: ClosedVisits,
    },
    /// The salt days of a brand before `before` are closed and settled: their pings, whether they enter before or
    /// after this event, no longer count, because their [`Event::SettledHour`] totals do.
    SaltDaysClosed {
        /// The brand.
        brand: BrandId,
        /// The first salt day that is still open.
        before: Day,
    },
    /// Stays of a settled salt day that were not matched. Numbers of the same store and day add up.
    UnmatchedStays {
        /// The stays.
        unmatched: UnmatchedStays,
    },
    /// The sightings of a brand on salt days before `before` are settled: they and the visits of these days, whether they enter
    /// before or after this event, no longer count, because the records and numbers that entered with it do.
    SightingsSettled {
        /// The brand.
        brand: BrandId,
        /// The first salt day that is not settled.
        before: Day,
    },
    /// Sets the reference time for the links of a brand: a record that is older than the `link_ttl` of an identifier
    /// kind no longer links identifiers of that kind. Within one epoch the latest time wins, otherwise the last one.
    LinkTime {
        /// The brand.
        brand: BrandId,
        /// Unix milliseconds.
        at: i64,
    },
    /// Consent evidence: the dialog and the answer, verbatim. It is stored as proof; the dataflow ignores it.
    Evidence {
        /// The key that identifies the evidence. The newest event of a key replaces the others.
        key: RecordKey,
        /// The brand.
        brand: BrandId,
        /// The identifiers of the data subject.
        ids: IdSet,
        /// Unix milliseconds.
        ts: i64,
        /// The statement as JSON.
        text: Arc<str>,
    },
    /// The name behind a label, broadcast to every worker.
    LabelName {
        /// The brand whose records use the label.
        brand: BrandId,
        /// The label.
        label: Label,
        /// Its name.
        word: Arc<str>,
    },
}
