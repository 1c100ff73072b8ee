//! Location of a process's ledger.
//!
//! Processes of several shards, or of a cluster, may share `ledger.directory`:
//! the name of each is part of its directories.

use tributary_config::model::Config;

/// Options of this process's ledger: its directory, `process-<name>` below
/// `ledger.directory`, and the number of processes.
pub fn ledger_options(config: &Config) -> tributary_ledger::Options {
    let process = config.workers.process;
    let name = config.workers.name();
    let directory = config.ledger.directory.join(format!("process-{name}"));
    tributary_ledger::Options {
        process,
        processes: config.workers.hosts.len().max(1),
        ..tributary_ledger::Options::new(directory)
    }
}
