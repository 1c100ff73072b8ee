//! The objection list: rejects later records of people who objected, and stores
//! nothing else about them.
//!
//! A person who objects is erased, and later records of the same identifiers
//! are refused at ingest. For that something has to stay, and this is the least
//! that does: for each identifier's pseudonym a keyed hash, under a key of its
//! own. Without the brand's secret it tells nothing; with it, it says yes or no
//! to a pseudonym that one already has.
//!
//! **Key rotation** cannot rekey a pseudonym here the way it does in the ledger,
//! because it no longer exists. An entry therefore keeps the [`KeyLevel`] of its
//! pseudonym, and a record is compared on every level: its reader passes the
//! whole key chain anyway and holds its pseudonyms under all secrets for a
//! moment. The entry itself begins under the key of that level, and passes a
//! link for each later secret there is when it is entered: the keyed hash of the
//! entry before. So an objection of before a rotation still stops the person,
//! whose entry is met on the way, and an older secret alone does not tell who
//! was entered after it, devices included. A level without entries costs
//! nothing, and a brand that never rotated its secret has one level.
//!
//! [`SuppressionSet`] answers; it is cheap to ask while it is empty for a
//! brand, and one keyed hash otherwise. [`SuppressionFile`] is what lasts: one
//! append-only file per process, of [`Record`]s of a fixed size. An objection
//! that is withdrawn is another record, not a removed one. The newest of an
//! entry counts, of two of the same millisecond the objection, so neither the
//! order nor the number of deliveries matters, and a process that receives an
//! objection can forward the same 48 bytes to the others.
//!
//! ```text
//! record, 48 bytes, integers little-endian
//! 0   16  entry: the first 16 bytes of BLAKE3 under the level's suppression key over the brand's name and the pseudonym; for each
//!         link, those of BLAKE3 under the next level's key over the brand's name, "\0link" and the 16 bytes
//! 16  8   at, Unix milliseconds
//! 24  8   brand: the first 8 bytes of BLAKE3 of its name
//! 32  4   kind: 1 objected, 2 withdrawn, 3 which key (the entry tells the keys of the brand up to this level from others),
//!         4 how far the ledger was (entry: its id, at: its manifest, brand: its commits),
//!         5 seal (entry: the first 16 bytes of BLAKE3 under the level's seal key over the hash of all records before, 32 bytes, and
//!         their number, u64; at: their number)
//! 36  2   level: the pseudonym's, which is how often the secret had been exchanged when it was made; 0 for devices
//! 38  2   links: how many of the later secrets the entry depends on as well
//! 40  8   XXH3-64 of the 40 bytes before
//! file: "TRIBSUPP", version u32 = 4, the ledger's id, zeros to 40, XXH3-64 of these 40 bytes; then records
//! ```
//!
//! Under another secret no entry would match and everybody who objected would
//! be let in again, silently. So the first record of a brand and level says
//! which key it is, which depends on those before, and opening under others, or
//! without one of them, is refused.
//!
//! **One thing with its ledger.** The list says which ledger it lies beside
//! and, after every batch of requests, how far that was
//! ([`SuppressionFile::record_watermark`]); the others record its length
//! ([`SuppressionFile::head`]: BLAKE3 over the previous hash and the record).
//! [`read()`] reads both without changing anything. The caller, who knows the
//! other files, decides whether the list is intact.
//!
//! **Sealed.** Every append ends with a seal under the key of its brand, every
//! watermark with those of all brands. Whoever lacks the keys can neither add a
//! record nor change, move or remove one that a seal follows; and levels of seals
//! never decrease, so that an older secret does not help. Records may only be
//! missing from the end, which the heads in the other files show.
//!
//! A crash leaves what no seal follows, which is truncated: its append was never
//! confirmed. A record that differs from what was written is an error.

mod file;
mod record;
mod set;

pub use file::{ObjectionListContents, OpenedList, SuppressionFile, read, repair};
pub use record::{Change, Record};
pub use set::SuppressionSet;
