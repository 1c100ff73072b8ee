//! The objection list: who objected is kept out, and nothing else is kept of them.
//!
//! A person who objects is erased, and later records of the same identifiers are refused at ingest. For that something
//! has to stay, and this is the least that does: for each identifier's pseudonym a keyed hash, under a key of its
//! own. Without the brand's secret it tells nothing; with it, it says yes or no to a pseudonym that one already has.
//!
//! [`SuppressionSet`] answers; it is cheap to ask while it is empty for a brand, and one keyed hash otherwise.
//! [`SuppressionFile`] is what lasts: one append-only file per process, of [`Record`]s of a fixed size. An objection that
//! is withdrawn is another record, not a removed one. The newest of an entry counts, of two of the same millisecond the
//! objection, so that neither the order in which records come nor how often they do matters, and a process that is
//! told of an objection may tell the others by the same 48 bytes.
//!
//! ```text
//! record, 48 bytes, integers little-endian
//! 0   16  entry: the first 16 bytes of BLAKE3 under the brand's suppression key over the brand's name and the pseudonym
//! 16  8   at, Unix milliseconds
//! 24  8   brand: the first 8 bytes of BLAKE3 of its name
//! 32  8   kind: 1 objected, 2 withdrawn, 3 which key (the entry tells the key of the brand from another)
//! 40  8   XXH3-64 of the 40 bytes before
//! file: "TRIBSUPP", version u32 = 1, zeros to 40, XXH3-64 of these 40 bytes; then records
//! ```
//!
//! Under another secret no entry would match and everybody who objected would be let in again, silently. So the first
//! record of a brand says which key it is, and opening under another is refused.
//!
//! A kill leaves whole records and at most a part of one, which is cut: whoever asked for it has not been told that it
//! is there. A record that is not as it was written is refused.

mod file;
mod record;

use rustc_hash::FxHashMap;

pub use file::{Opened, SuppressionFile};
pub use record::{Change, Record};

use crate::keys::BrandKeys;
use record::BrandTag;

/// Who objected, by brand. A clone is a list of its own.
#[derive(Clone, Debug, Default)]
pub struct SuppressionSet {
    brands: FxHashMap<BrandTag, FxHashMap<[u8; 16], Newest>>,
}

/// The newest record of an entry; the order of two is by time, then objected after withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Newest {
    at: i64,
    objected: bool,
}

impl SuppressionSet {
    /// Applies a record; true where that changed who is kept out.
    pub fn apply(&mut self, record: &Record) -> bool {
        let objected = match record.change {
            Change::Objected => true,
            Change::Withdrawn => false,
            Change::Key => return false,
        };
        let at = record.at;
        let entries = self.brands.entry(record.brand).or_default();
        let newest = entries.entry(record.entry).or_insert(Newest {
            at: i64::MIN,
            objected: false,
        });
        let before = *newest;
        *newest = before.max(Newest { at, objected });
        before.objected != newest.objected
    }

    /// Whether the owner of a pseudonym of this brand objected.
    pub fn contains(&self, keys: &BrandKeys, pseudonym: u128) -> bool {
        // Most deployments have few objections, and most brands none.
        if self.brands.is_empty() {
            return false;
        }
        let entries = self.brands.get(&BrandTag::of(keys.name()));
        entries
            .and_then(|entries| entries.get(&keys.suppression(pseudonym)))
            .is_some_and(|newest| newest.objected)
    }

    /// How many entries of a brand keep somebody out.
    pub fn count(&self, brand: &str) -> usize {
        let entries = self.brands.get(&BrandTag::of(brand));
        let entries = entries.into_iter().flat_map(FxHashMap::values);
        entries.filter(|newest| newest.objected).count()
    }
}
