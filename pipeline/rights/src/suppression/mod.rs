//! The objection list: who objected is kept out, and nothing else is kept of them.
//!
//! A person who objects is erased, and later records of the same identifiers are refused at ingest. For that something
//! has to stay, and this is the least that does: for each identifier's pseudonym a keyed hash, under a key of its
//! own. Without the brand's secret it tells nothing; with it, it says yes or no to a pseudonym that one already has.
//!
//! **An exchange of the secret** cannot move an entry up as it moves what the ledger keeps: the pseudonym is gone. So an
//! entry stays what it was, one of its [`Level`], under a key of that level's secret, and it is the record that is
//! compared on every level: whoever reads it goes through the whole chain anyway, and has its pseudonyms under all
//! secrets for a moment. A level without entries costs nothing, and a brand that never exchanged its secret has one.
//!
//! [`SuppressionSet`] answers; it is cheap to ask while it is empty for a brand, and one keyed hash otherwise.
//! [`SuppressionFile`] is what lasts: one append-only file per process, of [`Record`]s of a fixed size. An objection that
//! is withdrawn is another record, not a removed one. The newest of an entry counts, of two of the same millisecond the
//! objection, so that neither the order in which records come nor how often they do matters, and a process that is
//! told of an objection may tell the others by the same 48 bytes.
//!
//! ```text
//! record, 48 bytes, integers little-endian
//! 0   16  entry: the first 16 bytes of BLAKE3 under the level's suppression key over the brand's name and the pseudonym
//! 16  8   at, Unix milliseconds
//! 24  8   brand: the first 8 bytes of BLAKE3 of its name
//! 32  4   kind: 1 objected, 2 withdrawn, 3 which key (the entry tells the keys of the brand up to this level from others),
//!         4 how far the ledger was (entry: its id, at: its manifest, brand: its commits)
//! 36  4   level: the pseudonym's, which is how often the secret had been exchanged when it was made; 0 for devices
//! 40  8   XXH3-64 of the 40 bytes before
//! file: "TRIBSUPP", version u32 = 3, the ledger's id, zeros to 40, XXH3-64 of these 40 bytes; then records
//! ```
//!
//! Under another secret no entry would match and everybody who objected would be let in again, silently. So the first
//! record of a brand and level says which key it is, which depends on those before, and opening under others, or
//! without one of them, is refused.
//!
//! **One thing with its ledger.** The list says which ledger it lies beside and, after every batch of requests, how far
//! that was ([`SuppressionFile::mark`]); others say how many records it had ([`SuppressionFile::head`]: BLAKE3 over the
//! hash before and the record). [`look`] reads both without changing anything. Whether the list is what it was is for
//! whoever knows the others to judge.
//!
//! A kill leaves whole records and at most a part of one, which is cut: whoever asked for it has not been told that it
//! is there. A record that is not as it was written is refused.

mod file;
mod record;

use rustc_hash::FxHashMap;

pub use file::{List, Opened, SuppressionFile, look, repair};
pub use record::{Change, Record};

use crate::keys::{BrandKeys, BrandTag, Level};

/// Who objected, by brand and level. A clone is a list of its own.
#[derive(Clone, Debug, Default)]
pub struct SuppressionSet {
    lists: FxHashMap<(BrandTag, Level), FxHashMap<[u8; 16], Newest>>,
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
            Change::Key | Change::Ledger => return false,
        };
        let at = record.at;
        let place = (record.brand, record.level);
        let entries = self.lists.entry(place).or_default();
        let newest = entries.entry(record.entry).or_insert(Newest {
            at: i64::MIN,
            objected: false,
        });
        let before = *newest;
        *newest = before.max(Newest { at, objected });
        before.objected != newest.objected
    }

    /// Whether the owner of a pseudonym of this brand and level objected.
    pub fn contains(&self, keys: &BrandKeys, level: Level, pseudonym: u128) -> bool {
        // Most deployments have few objections, most brands none, and most levels of a brand none either.
        if self.lists.is_empty() {
            return false;
        }
        let Some(entries) = self.lists.get(&(keys.tag(), level)) else {
            return false;
        };
        let entry = keys.suppression(level, pseudonym);
        entry
            .and_then(|entry| entries.get(&entry))
            .is_some_and(|newest| newest.objected)
    }

    /// How many entries keep somebody out, of all brands.
    pub fn total(&self) -> u64 {
        let entries = self.lists.values().flat_map(FxHashMap::values);
        entries.filter(|newest| newest.objected).count() as u64
    }

    /// How many entries of a brand keep somebody out, of all levels.
    pub fn count(&self, brand: &str) -> usize {
        let tag = BrandTag::of(brand);
        let lists = self.lists.iter().filter(|((of, _), _)| *of == tag);
        let entries = lists.flat_map(|(_, entries)| entries.values());
        entries.filter(|newest| newest.objected).count()
    }
}
