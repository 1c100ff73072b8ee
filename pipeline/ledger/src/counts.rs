//! Entry counts by kind, as headers and the manifest store them.

use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};
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
