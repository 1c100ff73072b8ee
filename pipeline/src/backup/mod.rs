//! The backup of a process: an encrypted copy of its part of the data directory,
//! which is useless for a person who was erased without being restored, and restores
//! everybody else (invariant I3).
//!
//! In `ledger.backup` each process keeps what its ledger and the files beside it
//! consist of. Each file there is sealed under a key of its own. The keys of all
//! files are in the index, which is sealed under the **key of the backup**; that key is
//! at the broker, in the rights stream, and nowhere else. With every renewal the
//! index is written anew under another key, and the key before is destroyed: it is
//! the only way to the keys of files that the new index no longer lists. So a copy of
//! the directory from before an erasure, whoever made it and wherever it is, has
//! become unreadable as a whole, while the directory itself always restores. The
//! order of the steps makes a kill harmless:
//!
//! 1. Files that the index lacks are sealed, each under a new key, and synced.
//! 2. The next index is sealed under a new key, and synced. The one before stays.
//! 3. The broker stores the new key, if nobody else has stored one since this process
//!    has read the last.
//! 4. The broker destroys the keys before it.
//! 5. Files that the index does not list are removed.
//!
//! The invariant: *at every instant, a key at the broker opens an index in the
//! directory all of whose files are there*, unless an erasure could not be followed by a
//! renewal and has destroyed the key.

mod copying;
mod directory;
pub mod index;
mod inspection;
pub mod keys;
mod known;
pub mod restore;
mod start;
mod writer;

pub use start::{BackupTask, start};
