//! Durability: the task that owns the ledger, its commands, the compaction of
//! the ledger, and which standbys have a copy of it.

pub mod codes;
pub mod command;
pub mod commits;
pub mod compaction;
pub mod location;
pub mod moves;
pub mod open;
pub mod standbys;
