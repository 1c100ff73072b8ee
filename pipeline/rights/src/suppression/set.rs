//! The objection list in memory, by brand and key level.

use rustc_hash::FxHashMap;

use super::record::{Change, Record};
use crate::keys::{BrandKeys, BrandTag, KeyLevel};

/// The pseudonyms whose owners have objected, as keyed hashes. A clone is
/// independent.
#[derive(Clone, Debug, Default)]
pub struct SuppressionSet {
    /// The newest change of each entry, by brand, level of the pseudonyms, and the
    /// level that the entries are linked up to.
    lists: FxHashMap<(BrandTag, KeyLevel, KeyLevel), FxHashMap<[u8; 16], LatestChange>>,
}

/// The newest change of an entry. Changes are ordered by time; of two at the
/// same time, the objection prevails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LatestChange {
    at: i64,
    objected: bool,
}

impl SuppressionSet {
    /// Applies a record. Returns whether it changed the objections in effect.
    pub fn apply(&mut self, record: &Record) -> bool {
        let objected = match record.change {
            Change::Objected => true,
            Change::Withdrawn => false,
            Change::Key | Change::Ledger | Change::Seal => return false,
        };
        let at = record.at;
        let place = (record.brand, record.level, record.under());
        let entries = self.lists.entry(place).or_default();
        let newest = entries.entry(record.entry).or_insert(LatestChange {
            at: i64::MIN,
            objected: false,
        });
        let before = *newest;
        *newest = before.max(LatestChange { at, objected });
        before.objected != newest.objected
    }

    /// Whether the owner of a pseudonym of this brand and level has objected, now or
    /// under an older secret. Costs nothing without objections on that level,
    /// otherwise a keyed hash for each secret from that level on.
    pub fn contains(&self, keys: &BrandKeys, level: KeyLevel, pseudonym: u128) -> bool {
        // Most deployments have few objections, most brands none, and most levels of a brand none either.
        if self.lists.is_empty() {
            return false;
        }
        let list = |under| self.lists.get(&(keys.tag(), level, under));
        let levels = level.0..=keys.newest().0;
        if !levels
            .into_iter()
            .any(|under| list(KeyLevel(under)).is_some())
        {
            return false;
        }
        let entries = keys.suppressions(level, pseudonym);
        let changes = entries.filter_map(|(under, entry)| list(under)?.get(&entry));
        changes.max().is_some_and(|newest| newest.objected)
    }

    /// The newest changes of a brand that another set does not have, as records, sorted.
    pub fn newer_than(&self, other: &SuppressionSet, keys: &BrandKeys) -> Vec<Record> {
        let lists = self
            .lists
            .iter()
            .filter(|((tag, ..), _)| *tag == keys.tag());
        let records = lists.flat_map(|(place, entries)| {
            let (brand, level, under) = *place;
            let known = other.lists.get(place);
            entries.iter().filter_map(move |(entry, newest)| {
                let before = known.and_then(|known| known.get(entry));
                Some(Record {
                    entry: *entry,
                    at: newest.at,
                    brand,
                    change: match newest.objected {
                        true => Change::Objected,
                        false => Change::Withdrawn,
                    },
                    level,
                    links: u16::try_from(under.0.checked_sub(level.0)?).ok()?,
                })
                .filter(|_| before.is_none_or(|before| before < newest))
            })
        });
        let mut records: Vec<Record> = records.collect();
        records.sort_unstable_by_key(|record| (record.at, record.level, record.entry));
        records
    }

    /// Number of objections in effect, for all brands.
    pub fn total(&self) -> u64 {
        let entries = self.lists.values().flat_map(FxHashMap::values);
        entries.filter(|newest| newest.objected).count() as u64
    }

    /// Number of objections in effect for a brand, on all levels.
    pub fn count(&self, brand: &str) -> usize {
        let tag = BrandTag::of(brand);
        let lists = self.lists.iter().filter(|((of, ..), _)| *of == tag);
        let entries = lists.flat_map(|(_, entries)| entries.values());
        entries.filter(|newest| newest.objected).count()
    }
}
