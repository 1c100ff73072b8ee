//! Durability: the task that owns the ledger, its commands, and the compaction
//! of the ledger.

pub mod command;
pub mod commits;
pub mod compaction;
pub mod location;
pub mod moves;
