//! Location of a process's ledger.

use tributary_config::model::Config;

/// Options of this process's ledger: its directory, `process-<n>` below
/// `ledger.directory`, and the number of processes.
pub fn ledger_options(config: &Config) -> tributary_ledger::Options {
    let process = config.workers.process;
    let directory = config.ledger.directory.join(format!("process-{process}"));
    tributary_ledger::Options {
        process,
        processes: config.workers.hosts.len().max(1),
        ..tributary_ledger::Options::new(directory)
    }
}
