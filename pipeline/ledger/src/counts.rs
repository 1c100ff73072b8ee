//! Entry counts by kind, as headers and the manifest store them.
//!
//! How many records, pings and statements a brand has is for its owner: blocks and
//! the manifest have the counts sealed, and only totals of blocks in clear text.

use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tributary_operators::event::Event;

/// Entries by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryCounts {
    /// Versions of records.
    pub put: u64,
    /// Drops of records.
    pub drop: u64,
    /// Tokenized sensor pings.
    #[serde(rename = "heard")]
    pub tokenized_pings: u64,
    /// Names of labels.
    #[serde(rename = "word")]
    pub label_names: u64,
    /// Evidence of consent: the texts of consent strings.
    pub evidence: u64,
    /// Totals of settled salt days, the marks up to which days are closed and their
    /// sightings settled, and the times by which links are judged.
    pub settled: u64,
}

impl EntryCounts {
    /// The number of all entries.
    pub fn total(&self) -> u64 {
        self.put
            + self.drop
            + self.tokenized_pings
            + self.label_names
            + self.evidence
            + self.settled
    }

    /// The counts in the order in which they are stored.
    pub(crate) fn to_array(self) -> [u64; 6] {
        let EntryCounts {
            put,
            drop,
            tokenized_pings,
            label_names,
            evidence,
            settled,
        } = self;
        [put, drop, tokenized_pings, label_names, evidence, settled]
    }

    /// The counts that are stored in this order.
    pub(crate) fn from_array(counts: [u64; 6]) -> EntryCounts {
        let [put, drop, tokenized_pings, label_names, evidence, settled] = counts;
        EntryCounts {
            put,
            drop,
            tokenized_pings,
            label_names,
            evidence,
            settled,
        }
    }

    /// Counts an event. [`Event::Ping`] and [`Event::DropDevice`] are never entries
    /// of a ledger.
    pub(crate) fn count(&mut self, event: &Event) {
        match event {
            Event::Put { .. } => self.put += 1,
            Event::Drop { .. } => self.drop += 1,
            Event::TokenizedPing { .. } => self.tokenized_pings += 1,
            Event::LabelName { .. } => self.label_names += 1,
            Event::Evidence { .. } => self.evidence += 1,
            Event::SettledHour { .. }
            | Event::SettledDevices { .. }
            | Event::ClosedVisits { .. }
            | Event::UnmatchedStays { .. }
            | Event::SightingsSettled { .. }
            | Event::SaltDaysClosed { .. }
            | Event::LinkTime { .. } => {
                self.settled += 1;
            }
            Event::Ping { .. } | Event::DropDevice { .. } => {}
        }
    }
}

impl Add for EntryCounts {
    type Output = EntryCounts;
    fn add(self, other: EntryCounts) -> EntryCounts {
        EntryCounts {
            put: self.put + other.put,
            drop: self.drop + other.drop,
            tokenized_pings: self.tokenized_pings + other.tokenized_pings,
            label_names: self.label_names + other.label_names,
            evidence: self.evidence + other.evidence,
            settled: self.settled + other.settled,
        }
    }
}

impl AddAssign for EntryCounts {
    fn add_assign(&mut self, other: EntryCounts) {
        *self = *self + other;
    }
}

impl std::iter::Sum for EntryCounts {
    fn sum<I: Iterator<Item = EntryCounts>>(all: I) -> EntryCounts {
        all.fold(EntryCounts::default(), Add::add)
    }
}

/// Entries by brand number.
pub(crate) type CountsByBrand = BTreeMap<u16, EntryCounts>;

/// Adds the counts of some blocks to a running total.
pub(crate) fn add(to: &mut CountsByBrand, from: &CountsByBrand) {
    for (brand, entries) in from {
        *to.entry(*brand).or_default() += *entries;
    }
}

/// Size of a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LedgerStats {
    /// Entries by kind; superseded ones count until a rewrite leaves them out.
    pub entries: EntryCounts,
    /// Bytes of all segments, up to the last commit.
    pub bytes: u64,
    /// Segments, the active one included.
    pub segments: usize,
    /// Commits since the ledger began.
    pub commits: u64,
}

/// Entries of a sealed segment by brand number. Of a manifest that was read, only
/// the brands are known until [`crate::seal::open_counts`] has opened the counts.
///
/// Written as the list of its brand numbers. Before format 6 it was written as an
/// object of counts, and is again, so that the seals of such a manifest still fit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SegmentEntries {
    /// Entries of each brand.
    counts: CountsByBrand,
    /// Whether the counts were read from clear text.
    is_clear: bool,
}

impl SegmentEntries {
    /// The entries of a segment: brands without any are left out.
    pub fn new(counts: &CountsByBrand) -> SegmentEntries {
        let counts = counts.iter().filter(|(_, entries)| entries.total() > 0);
        SegmentEntries {
            counts: counts.map(|(brand, entries)| (*brand, *entries)).collect(),
            is_clear: false,
        }
    }

    /// The counts by brand number.
    pub fn counts(&self) -> &CountsByBrand {
        &self.counts
    }

    /// Whether there are entries of a brand. Known without the counts.
    pub fn has(&self, brand: u16) -> bool {
        let entries = self.counts.get(&brand);
        entries.is_some_and(|entries| !self.is_clear || entries.total() > 0)
    }

    /// From here on, the counts are written sealed.
    pub fn conceal(&mut self) {
        if self.is_clear {
            *self = SegmentEntries::new(&self.counts);
        }
    }

    /// Sets the counts of a brand that were sealed.
    pub fn set(&mut self, brand: u16, entries: EntryCounts) {
        self.counts.insert(brand, entries);
    }
}

impl Serialize for SegmentEntries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.is_clear {
            true => self.counts.serialize(serializer),
            false => serializer.collect_seq(self.counts.keys()),
        }
    }
}

impl<'de> Deserialize<'de> for SegmentEntries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SegmentEntries, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = SegmentEntries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("brand numbers, or counts by brand number")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SegmentEntries, A::Error> {
                Ok(SegmentEntries {
                    counts: CountsByBrand::deserialize(MapAccessDeserializer::new(map))?,
                    is_clear: true,
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<SegmentEntries, A::Error> {
                let brands = Vec::<u16>::deserialize(SeqAccessDeserializer::new(list))?;
                let unknown = |brand| (brand, EntryCounts::default());
                Ok(SegmentEntries {
                    counts: brands.into_iter().map(unknown).collect(),
                    is_clear: false,
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}
