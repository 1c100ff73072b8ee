//! Durability: what the worker accepts becomes durable in the ledger before it is acknowledged.

pub mod command;
pub mod commits;
pub mod compaction;
pub mod location;
