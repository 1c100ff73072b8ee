//! Tags of entries and their flags, and the state that differences refer to.

use tributary_operators::record::Day;

/// Low three bits of the tag: a new run begins.
pub(super) const RESET: u8 = 0;
/// A version of a record.
pub(super) const PUT: u8 = 1;
/// A drop of a record.
pub(super) const DROP: u8 = 2;
/// A tokenized ping.
pub(super) const HEARD: u8 = 3;
/// The name of a label.
pub(super) const WORD: u8 = 4;
/// Evidence of consent.
pub(super) const EVIDENCE: u8 = 5;
/// A settled salt day.
pub(super) const SETTLED: u8 = 6;
/// Mask of the tag; the other bits are flags.
pub(super) const KIND: u8 = 0x07;

/// On a put: a version follows.
pub(super) const VERSION: u8 = 0x08;
/// On a ping: the device address is random.
pub(super) const RANDOM: u8 = 0x08;
/// On a ping: an offline cookie follows.
pub(super) const COOKIE: u8 = 0x10;
/// On a settled day: no totals, but the first day of the brand that is open.
pub(super) const CLOSED: u8 = 0x08;
/// On a settled day: no totals, but the time by which the brand's links are
/// judged.
pub(super) const LINK_TIME: u8 = 0x10;
/// Devices of a settled salt day.
pub(super) const DEVICES: u8 = 0x18;
/// Visits of a settled salt day.
pub(super) const VISITS: u8 = 0x20;
/// Stays of a settled salt day that were not matched.
pub(super) const UNMATCHED: u8 = 0x28;
/// On a settled day: no totals, but the first day of the brand whose sightings are
/// not settled.
pub(super) const SIGHTINGS: u8 = 0x30;
/// On an identifier: its value differs from its pseudonym and follows.
pub(super) const OTHER: u8 = 0x80;

/// Fields of the previous entry, which differences refer to. All start at 0.
#[derive(Default)]
pub(super) struct Before {
    /// Message of the last arrival.
    pub(super) message: u64,
    /// Line of the last arrival.
    pub(super) line: u32,
    /// Last time, Unix milliseconds.
    pub(super) ts: i64,
    /// Last day.
    pub(super) day: Day,
    /// Last time in Unix seconds.
    pub(super) second: i64,
    /// Last UTC offset in seconds.
    pub(super) offset: i32,
}
