//! The ledger: the durable set of current records of one worker process.
//!
//! Each process keeps the events that it decoded itself, in its own data directory, together with the position in its
//! input stream. One commit (one write, one `fdatasync`) makes both durable. A message may therefore be acknowledged as
//! soon as [`Ledger::commit`] returns (I5), and a process killed at any instant resumes exactly at its last commit
//! (I4). Recovery feeds everything into the dataflow again. A record carries its version and its place in the order of
//! arrival, and the dataflow keeps the highest, so the results are restored exactly, on any number of workers.
//!
//! All content is sealed: a block belongs to one brand and is encrypted under that brand's own key (I7); nothing
//! personal is stored in clear. [`Ledger::rewrite`] leaves out superseded and erased entries; the old files are then
//! overwritten and removed (I3). The salts of sensor days are sealed in the manifest and destroyed with it. A brand's
//! secret may be rotated at any time ([`Ledger::rotate`]).
//!
//! ```text
//! LOCK                     held while the ledger is open
//! MANIFEST                 which segments count, brands, salts; replaced as a whole
//! segments/0000000001.seg  blocks and commits, appended to, then sealed
//! ```
//!
//! `FORMAT.md` beside this crate describes every byte, and what a crash leaves at each step.

mod active;
mod block;
mod brands;
mod commit;
mod compaction_filter;
mod counts;
mod disk;
mod erasure;
mod error;
mod event;
mod frames;
mod heads;
mod inspect;
mod install;
mod keyring;
mod known_labels;
mod ledger;
mod manifest;
mod open;
mod pending_segments;
mod position;
mod recover;
mod rewrite;
mod rotate;
mod scan;
mod verify;
mod watermark;
mod wire;
mod write_batch;

#[cfg(test)]
extern crate self as tributary_ledger;

#[cfg(test)]
mod crash_tests;

pub use commit::Commit;
pub use counts::{EntryCounts, LedgerStats};
pub use erasure::ErasureFilter;
pub use error::{Kind, LedgerError};
pub use event::{Malformed, decode, encode};
pub use heads::{FileHead, FileHeads};
pub use inspect::{BrandEntries, Inspection, SaltDays, SegmentSummary, inspect};
pub use install::Removal;
pub use keyring::Keyring;
pub use ledger::{Ledger, Options};
pub use position::{Position, StreamPosition};
pub use recover::{Recovery, SealedBlock};
pub use rewrite::{KeepFilter, Rewrite, RewriteResult};
pub use verify::{BrandVerification, Verification, verify};
pub use watermark::Watermark;
pub use write_batch::WriteBatch;
