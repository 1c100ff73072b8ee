//! Durability: the task that owns the ledger, its commands, the compaction of
//! the ledger, what it consists of at one instant, and who has a copy of it.

pub mod backups;
pub mod codes;
pub mod command;
pub mod commits;
pub mod compaction;
pub mod location;
pub mod moves;
pub mod open;
pub mod rights_copy;
pub mod snapshot;
pub mod standbys;
