//! Records: accepted input, in the few plain types of the dataflow.
//!
//! Connectors have already validated and canonicalized all fields: amounts are integer minor units, days are days of the
//! brand's time zone, identifiers are pseudonyms. A record in these types is valid; it can only be stored, corrected or
//! retracted.

mod body;
mod brand;
mod identifier;
mod notice;
mod partner;
mod ping;
mod sale;
mod touch;
mod wallet;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::calendar;
use crate::engine::text_bytes;
use crate::label::Label;

pub use body::{Body, ConsentString, Right};
pub use brand::{BrandId, Day};
pub(crate) use identifier::PackedIds;
pub use identifier::{IdKind, IdSet, Identifier, Pseudonym};
pub use notice::{BoxAnswer, NoticeBox};
pub use partner::{SightingCookie, UnmatchedStays};
pub use ping::{
    ClosedVisit, ClosedVisits, DeviceDay, Ping, SettledDevices, SettledHour, Token, TokenizedPing,
};
pub use sale::{Currency, RefundAmount, SaleKind, SaleName};
pub use touch::TouchKind;
pub use wallet::{WalletPlatform, WalletType};

/// One accepted input record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Record {
    /// The brand.
    pub brand: BrandId,
    /// The label of the configured source.
    pub source: Label,
    /// The id of the record within brand and source; empty for spend.
    pub id: RecordId,
    /// Unix milliseconds; for spend the start of its day.
    pub ts: i64,
    /// The day of `ts` in the brand's time zone; for spend its `date`.
    pub day: Day,
    /// The identifiers.
    pub ids: IdSet,
    /// The content.
    pub body: Body,
}

impl Record {
    /// The bytes of its id and its identifiers on the heap, divided among those that share them.
    pub fn heap_bytes(&self) -> usize {
        text_bytes(&self.id) + self.ids.heap_bytes()
    }

    /// Whether this is a statement without an id of its own: one that a web record carries, or that a rights request made. It
    /// is not a record of the input, so it does not count as one and corrects none.
    pub fn is_attached(&self) -> bool {
        self.id.is_empty() && matches!(self.body, Body::Consent { .. } | Body::Right { .. })
    }
}

/// The id of a record. Up to 23 bytes need no allocation.
pub type RecordId = smol_str::SmolStr;

/// The key of a record: 128 bits of the BLAKE3 of `(brand, source, id)`, or for spend of `(brand, platform, source, medium,
/// campaign, date)`. Records with equal keys are versions of one record, so that the hash must be one for which nobody finds an id
/// whose record would replace a given record of another source.
///
/// What has no id of its own has the XXH3 of its parts. Those of a statement that came with another record contain pseudonyms,
/// which nobody outside knows, and those of what settling leaves no text that anybody could choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey(pub u128);

impl RecordKey {
    /// The key of a record of a source.
    pub fn of_record(brand: &str, source: &str, id: &str) -> RecordKey {
        RecordKey::of_parts(brand, &[source.as_bytes(), id.as_bytes()])
    }

    /// The key of spend: platform, source, medium and campaign, and the day.
    pub fn of_spend(brand: &str, words: [&str; 4], day: Day) -> RecordKey {
        let (year, month, of_month) = calendar::civil(day);
        let date = format!("{year:04}-{month:02}-{of_month:02}");
        let [platform, source, medium, campaign] = words.map(str::as_bytes);
        RecordKey::of_parts(
            brand,
            &[platform, source, medium, campaign, date.as_bytes()],
        )
    }

    /// The key of a brand's name and some parts, by BLAKE3. Each is prefixed with its length, so that no two lists of parts hash the
    /// same bytes. The name of the brand is part of it, because keys outlive a configuration.
    fn of_parts(brand: &str, parts: &[&[u8]]) -> RecordKey {
        let parts = || std::iter::once(brand.as_bytes()).chain(parts.iter().copied());
        let length: usize = parts().map(|part| part.len() + size_of::<u64>()).sum();
        let mut all = SmallVec::<[u8; 256]>::from_elem(0, length);
        let mut rest = &mut *all;
        for part in parts() {
            let length = (part.len() as u64).to_le_bytes();
            for bytes in [&length[..], part] {
                let (head, tail) = rest.split_at_mut(bytes.len());
                head.copy_from_slice(bytes);
                rest = tail;
            }
        }
        let hash = blake3::hash(&all);
        let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
        RecordKey(u128::from_le_bytes(first))
    }

    /// The key of what has no id, of a brand's name and parts that nobody outside knows all of or can choose; by XXH3.
    pub fn of(brand: &str, parts: &[&[u8]]) -> RecordKey {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for part in std::iter::once(&brand.as_bytes()).chain(parts) {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        RecordKey(hash.digest128())
    }
}

/// The position of a record in the order of arrival: the message, then the line within it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Arrival {
    /// The number of the message: a stream sequence, or a line of a trace.
    pub message: u64,
    /// The line within the message.
    pub line: u32,
}

impl Arrival {
    /// Set in the numbers of messages of the stream of pings.
    pub const PINGS: u64 = 1 << 47;

    /// Whether the message is one of the stream of pings.
    pub fn is_of_pings(&self) -> bool {
        self.message & Arrival::PINGS != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_that_of_its_parts() {
        // 128 bits of `b3sum` over each part behind its length in eight bytes.
        let key = RecordKey::of_record("acme", "till", "t1");
        let bytes = b"\x04\0\0\0\0\0\0\0acme\x04\0\0\0\0\0\0\0till\x02\0\0\0\0\0\0\0t1";
        let hash = blake3::hash(bytes);
        assert_eq!(key.0.to_le_bytes(), hash.as_bytes()[..16]);
        // The same text, divided in another way, is another record.
        assert_ne!(key, RecordKey::of_record("acme", "til", "lt1"));
        assert_ne!(key, RecordKey::of_record("acmet", "ill", "t1"));
        let spend = RecordKey::of_spend("acme", ["ads", "google", "cpc", ""], 20_000);
        let parts: [&[u8]; 5] = [b"ads", b"google", b"cpc", b"", b"2024-10-04"];
        assert_eq!(spend, RecordKey::of_parts("acme", &parts));
        // Long parts are hashed like short ones.
        let id = "t".repeat(700);
        let bytes = [
            b"\x04\0\0\0\0\0\0\0acme\x04\0\0\0\0\0\0\0till\xbc\x02\0\0\0\0\0\0",
            id.as_bytes(),
        ];
        let hash = blake3::hash(&bytes.concat());
        let key = RecordKey::of_record("acme", "till", &id);
        assert_eq!(key.0.to_le_bytes(), hash.as_bytes()[..16]);
    }

    #[test]
    fn the_key_of_a_set_is_that_of_its_bytes() {
        for count in 1..=20_u128 {
            let ids = (0..count).rev().map(|n| Identifier {
                pseudonym: n << 60 | 7,
                value: n << 59,
                kind: IdKind::Cookie,
            });
            let mut ids: Vec<Identifier> = ids.collect();
            ids.push(ids[0]);
            let mut hash = xxhash_rust::xxh3::Xxh3::new();
            for n in 0..count {
                hash.update(&(n << 60 | 7).to_le_bytes());
                hash.update(&(n << 59).to_le_bytes());
            }
            let set = IdSet::drain(&mut ids);
            assert_eq!(set.key(), hash.digest128());
            assert_eq!((set.ids().len() as u128, ids.len()), (count, 0));
        }
        assert_eq!(IdSet::empty().key(), 0);
    }
}
