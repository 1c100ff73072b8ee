//! Tributary's process: the commands, the worker, and what it serves.
//!
//! The rooms, from the top down; a module depends on others of its room and of
//! those below it:
//!
//! - [`cli`]: the commands and their arguments.
//! - [`start`]: puts a worker process together.
//! - [`serve`]: HTTP, the live page, OpenDSR, and the NATS services.
//! - [`worker`]: the threads that run the dataflow, what feeds them, and where
//!   their output goes.
//! - [`standby`]: the copy of a worker's ledger, and the takeover.
//! - [`backup`]: the encrypted backup of a process, and how it is put back.
//! - [`privacy`]: rights of data subjects, objections, retention.
//! - [`durability`]: commits, compaction and key rotation of the ledger.
//! - [`epochs`]: batches and reports, queries, clocks, and numbers.
//! - [`live_config`]: the configuration, of which a reload may change a part.
//! - [`broker`]: the first connection, and retries.
//! - [`report`]: metrics, health and released cells, and tables for the
//!   terminal.
//! - [`otlp`]: the export of traces and log lines to a collector.

// A reader of the output may close it, as `head` does: `tributary_connectors::terminal` prints.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod backup;
pub mod broker;
pub mod cli;
mod client_tls;
mod config_file;
pub mod durability;
pub mod epochs;
pub mod live_config;
pub mod otlp;
pub mod privacy;
pub mod report;
pub mod serve;
mod shared_settings;
pub mod standby;
pub mod start;
pub mod version;
pub mod worker;

pub use config_file::load;
