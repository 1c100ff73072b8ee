//! A set of vendor ids, as the bit field or the ranges of a vendor section
//! state it.
//!
//! It is stored as ascending runs that neither overlap nor touch, so that equal
//! sets are equal values, and a range costs what it costs in the string,
//! however many ids it spans.

use crate::bits::Bits;
use crate::error::{Kind, Malformed};

/// A set of vendor ids, from 1 to 65535.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VendorIds {
    /// First and last id of each run.
    runs: Vec<(u16, u16)>,
}

impl VendorIds {
    /// Reads `MaxVendorId`, `IsRangeEncoding`, and the bit field or the range
    /// section, whose entries must ascend.
    pub(crate) fn section(bits: &mut Bits<'_>) -> Result<Self, Malformed> {
        let max = bits.word(16)?;
        let mut ids = Self::default();
        if bits.flag()? {
            for _ in 0..bits.word(12)? {
                let start = bits.clone();
                let (first, last) = entry(bits, max)?;
                if first <= ids.max() {
                    return Err(start.error(Kind::RangeOrder));
                }
                ids.add(first, last);
            }
        } else {
            for id in 1..=max {
                if bits.flag()? {
                    ids.add(id, id);
                }
            }
        }
        Ok(ids)
    }

    /// Reads the range section of a publisher restriction, whose entries may
    /// come in any order.
    pub(crate) fn restricted(bits: &mut Bits<'_>) -> Result<Self, Malformed> {
        let count = bits.word(12)?;
        let entries = (0..count).map(|_| entry(bits, u16::MAX));
        let mut entries: Vec<_> = entries.collect::<Result<_, _>>()?;
        entries.sort_unstable();
        let mut ids = Self::default();
        for (first, last) in entries {
            ids.add(first, last);
        }
        Ok(ids)
    }

    /// Adds a run that does not begin before any other.
    fn add(&mut self, first: u16, last: u16) {
        match self.runs.last_mut() {
            Some(run) if first <= run.1.saturating_add(1) => run.1 = run.1.max(last),
            _ => self.runs.push((first, last)),
        }
    }

    /// Whether the vendor is in the set.
    pub fn contains(&self, vendor: u16) -> bool {
        let at = self.runs.partition_point(|run| run.1 < vendor);
        self.runs.get(at).is_some_and(|run| run.0 <= vendor)
    }

    /// The largest id in the set; 0 for the empty set. The section's
    /// `MaxVendorId` may be larger.
    pub fn max(&self) -> u16 {
        self.runs.last().map_or(0, |run| run.1)
    }

    /// Whether no vendor is in the set.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// First and last id of each run, ascending; runs neither overlap nor
    /// touch.
    pub fn runs(&self) -> &[(u16, u16)] {
        &self.runs
    }

    /// The ids, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.runs.iter().flat_map(|(first, last)| *first..=*last)
    }
}

/// Reads `IsARange`, `StartOrOnlyVendorId` and, of a range, `EndVendorId`.
fn entry(bits: &mut Bits<'_>, max: u16) -> Result<(u16, u16), Malformed> {
    let start = bits.clone();
    let is_range = bits.flag()?;
    let first = bits.word(16)?;
    let last = if is_range { bits.word(16)? } else { first };
    if first == 0 {
        return Err(start.error(Kind::VendorZero));
    }
    if last < first {
        return Err(start.error(Kind::RangeOrder));
    }
    if last > max {
        return Err(start.error(Kind::RangeBeyondMax));
    }
    Ok((first, last))
}
