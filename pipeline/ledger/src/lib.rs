//! The ledger: the durable set of current records of one worker process.
//!
//! Each process stores the events that it decoded itself in its own data
//! directory, together with the position in its input stream. One commit (one
//! write, one `fdatasync`) makes both durable. A message may therefore be
//! acknowledged as soon as [`Ledger::commit`] returns (I5), and a process that
//! is killed at any instant resumes exactly at its last commit (I4). Recovery
//! feeds everything into the dataflow again. A record carries its version and
//! its place in the order of arrival, and the dataflow keeps the highest, so
//! that the results are restored exactly, on any number of workers.
//!
//! All content is sealed: a block belongs to one brand and is encrypted under
//! that brand's own key (I7); no personal data is in clear text.
//! [`Ledger::rewrite`] leaves out superseded and erased entries; the old files
//! are then overwritten and removed (I3). The salts of sensor days are in a file
//! of their own, under a key that is replaced with each of them. A brand's secret may be rotated at
//! any time ([`Ledger::rotate`]).
//!
//! ```text
//! LOCK                     locked while the ledger is open
//! MANIFEST                 the valid segments, brands, file of salts; replaced as a whole
//! SALTS.12                 the salts of sensor days; replaced at each change
//! segments/0000000001.seg  blocks and commits, appended to, then sealed
//! ```
//!
//! `FORMAT.md` beside this crate describes every byte, and what a crash leaves
//! at each step. The design follows log-structured storage with an external
//! manifest, as in LevelDB and RocksDB; the order of write, `fsync`, rename and
//! directory `fsync` follows Pillai et al., *All File Systems Are Not Created
//! Equal*, OSDI 2014.
//!
//! # Example
//!
//! A worker opens its ledger, appends the events of an epoch and commits them.
//! After a restart, recovery returns what was committed, and nothing else.
//!
//! ```
//! use std::sync::Arc;
//! use tributary_ledger::{Keyring, Ledger, Options, Position, WriteBatch};
//! use tributary_operators::event::Event;
//! use tributary_operators::label::Label;
//! use tributary_operators::record::BrandId;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let text = "[nats]\nurl = \"nats://127.0.0.1:4222\"\n\
//! #     [[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET\"\n";
//! # let environment = |name: &str| (name == "SECRET").then(|| "224ff3c627f30dd0f8e3fdb63bf28aa6".to_owned());
//! # let config = tributary_config::parse_in(text, "tributary.toml".as_ref(), &environment)?.config;
//! let directory = tempfile::tempdir()?;
//! let keyring = Arc::new(Keyring::new(&config));
//! let (mut ledger, _) = Ledger::open(Options::new(directory.path()), keyring.clone())?;
//!
//! let brand = BrandId::of("acme");
//! let event = Event::LabelName { brand, label: Label::of("search"), word: "search".into() };
//! let mut batch = WriteBatch::default();
//! batch.push(brand, &event);
//! ledger.append(batch);
//! let commit = ledger.commit(Position { sequence: 7, ..Position::default() })?;
//! assert_eq!((commit.ordinal, commit.entries), (1, 1));
//! ledger.close()?;
//!
//! let (_ledger, mut recovery) = Ledger::open(Options::new(directory.path()), keyring.clone())?;
//! assert_eq!(recovery.position.map(|position| position.sequence), Some(7));
//! let mut restored = Vec::new();
//! while let Some(block) = recovery.next_block()? {
//!     let mut day = |_, ms: i64| ms.div_euclid(86_400_000) as i32;
//!     block.open(&keyring, 0, &mut day, &mut |event| restored.push(event))?;
//! }
//! assert_eq!(restored, [event]);
//! # Ok(())
//! # }
//! ```

// Every byte of a file may be damaged: reading must not panic.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod active;
mod block;
mod brands;
mod checksum;
mod commit;
mod compaction_filter;
mod copy;
mod counts;
mod disk;
mod erasure;
mod error;
mod event;
mod followed;
mod frames;
mod heads;
mod import;
mod inspect;
mod install;
mod keyring;
mod known_labels;
mod ledger;
mod manifest;
mod older_names;
mod open;
mod pending_segments;
mod position;
mod recover;
mod rewrite;
mod rotate;
mod salts;
mod scan;
mod seal;
mod sealed_file;
mod verify;
mod watermark;
mod wire;
mod write_batch;

#[cfg(test)]
extern crate self as tributary_ledger;

#[cfg(test)]
mod crash_tests;

pub use block::FORMAT;
pub use commit::Commit;
pub use copy::{CheckedFile, CopiedManifest, Extent, LedgerCopy, LedgerFile, is_ledger_file};
pub use counts::{EntryCounts, LedgerStats};
pub use disk::Removed;
pub use erasure::ErasureFilter;
pub use error::{Kind, LedgerError};
pub use event::{Malformed, decode, encode};
pub use followed::FollowedBlocks;
pub use heads::{FileHead, FileHeads};
pub use import::Import;
pub use inspect::{BrandEntries, Inspection, SaltDays, SegmentSummary, inspect};
pub use install::Removal;
pub use keyring::Keyring;
pub use ledger::{Ledger, Options};
pub use position::{PingsPosition, Position, StreamPosition};
pub use recover::{Recovery, SealedBlock};
pub use rewrite::{KeepFilter, Rewrite, RewriteResult};
pub use rotate::EarlierIds;
pub use sealed_file::{FileKey, OpenError};
pub use verify::{BrandVerification, Verification, verify};
pub use watermark::Watermark;
pub use write_batch::WriteBatch;
