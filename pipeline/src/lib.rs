//! Tributary's process: commands, epochs, workers, and the doors to the outside.

// What is printed may find its reader gone: `tributary_connectors::terminal` prints.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod agreement;
pub mod asks;
pub mod audit_command;
pub mod board;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod commits;
pub mod compaction;
pub mod config_command;
pub mod consent_command;
pub mod data_protection;
pub mod demo;
pub mod exchange;
pub mod explain;
pub mod feed;
pub mod hand;
pub mod health;
pub mod http;
pub mod keys_command;
pub mod ledger_command;
pub mod log;
pub mod metrics;
pub mod opendsr;
pub mod outgoing;
pub mod page;
pub mod query;
pub mod replay;
pub mod replay_command;
pub mod restore;
pub mod retention;
pub mod retention_command;
pub mod rights;
pub mod rights_command;
pub mod rules_command;
pub mod run;
pub mod services;
pub mod signals;
pub mod standing;
pub mod start;
pub mod summary;
pub mod suppressed;
pub mod table;
pub mod tally;
pub mod tick;
pub mod version;
pub mod workers;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use tributary_config::model::Config;
use tributary_connectors::terminal;

use cli::{Cli, Command};

/// Does what the command line says.
pub fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Demo(args) => demo::command(args)?,
        Command::Run(args) => run::command(args)?,
        Command::Replay(args) => replay_command::command(args)?,
        Command::Query(args) => asking(query::command(args))?,
        Command::Explain(args) => asking(explain::command(args))?,
        Command::Consent(args) => consent_command::command(args)?,
        Command::Retention(args) => asking(retention_command::command(args))?,
        Command::Rights(args) => asking(rights_command::command(args))?,
        Command::Audit(command) => audit_command::command(command)?,
        Command::Ledger(command) => ledger_command::command(command)?,
        Command::Keys(command) => asking(keys_command::command(command))?,
        Command::Config(command) => return config_command::command(command),
        Command::Rules(args) => rules_command::command(args)?,
        Command::Reference { data_protection } => match data_protection {
            true => terminal::print(data_protection::reference()?)?,
            false => terminal::print(metrics::reference())?,
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a configuration, and says on standard error what it warns of.
pub fn load(path: &Path) -> anyhow::Result<Config> {
    let loaded = tributary_config::load(path)
        .with_context(|| format!("the configuration {} does not hold", path.display()))?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(loaded.config)
}

/// Runs a command that asks a worker.
fn asking(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(command)
}
