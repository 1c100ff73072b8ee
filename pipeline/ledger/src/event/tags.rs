//! What both directions share: the tags of entries, and what the differences are taken to.

use tributary_operators::record::Day;

pub(super) const RESET: u8 = 0;
pub(super) const PUT: u8 = 1;
pub(super) const DROP: u8 = 2;
pub(super) const HEARD: u8 = 3;
pub(super) const WORD: u8 = 4;
pub(super) const EVIDENCE: u8 = 5;
pub(super) const SETTLED: u8 = 6;
pub(super) const KIND: u8 = 0x07;

/// On a put: a version follows. On a ping: the MAC is random.
pub(super) const VERSION: u8 = 0x08;
pub(super) const RANDOM: u8 = 0x08;
/// On what is settled: no sums, but up to where a brand's salt days are.
pub(super) const CLOSED: u8 = 0x08;
/// On what is settled: no sums, but the time by which a brand's links are judged.
pub(super) const LINK_TIME: u8 = 0x10;
/// On an identifier: it does not stand for itself.
pub(super) const OTHER: u8 = 0x80;

/// What the differences are taken to.
#[derive(Default)]
pub(super) struct Before {
    pub(super) message: u64,
    pub(super) line: u32,
    pub(super) ts: i64,
    pub(super) day: Day,
    pub(super) second: i64,
    pub(super) offset: i32,
}
