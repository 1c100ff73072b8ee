//! The commands of the program, one module each, and their arguments.

pub mod args;
pub mod audit;
pub mod config;
pub mod consent;
pub mod data_protection;
pub mod dead_letters;
pub mod decode;
pub mod demo;
pub mod explain;
pub mod file_watch;
pub mod keys;
pub mod ledger;
pub mod log;
pub mod process_memory;
pub mod query;
pub mod receipt;
pub mod reload;
pub mod replay;
pub mod retention;
pub mod rights;
pub mod rules;
pub mod run;
pub mod serve;
pub mod shell;
pub mod signals;
pub mod upgrade;

use std::process::ExitCode;

use anyhow::Context;
use tributary_connectors::terminal;

pub use args::{Cli, Command};

/// Executes the command of a parsed command line.
///
/// # Errors
///
/// Errors of the command. A closed standard output is an error as well; see
/// [`terminal::is_closed`].
pub fn execute(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Demo(args) => demo::command(args)?,
        Command::Run(args) => run::command(args)?,
        Command::Serve(args) => serve::command(args)?,
        Command::Replay(args) => replay::command(args)?,
        Command::Decode(args) => decode::command(args)?,
        Command::DeadLetters(command) => block_on(dead_letters::command(command))?,
        Command::Query(args) => block_on(query::command(args))?,
        Command::Explain(args) => block_on(explain::command(args))?,
        Command::Consent(args) => consent::command(args)?,
        Command::Retention(args) => block_on(retention::command(args))?,
        Command::Rights(args) => block_on(rights::command(args))?,
        Command::Audit(command) => block_on(audit::command(command))?,
        Command::Receipt(command) => receipt::command(command)?,
        Command::Ledger(command) => block_on(ledger::command(command))?,
        Command::Keys(command) => block_on(keys::command(command))?,
        Command::Upgrade(command) => return block_on(upgrade::command(command)),
        Command::Config(command) => return config::command(command),
        Command::Rules(args) => rules::command(args)?,
        Command::Completions(args) => shell::completions(args)?,
        Command::Man(args) => shell::man(args)?,
        Command::Reference {
            data_protection,
            cells,
        } => terminal::print(match (data_protection, cells) {
            (true, _) => data_protection::reference()?,
            (_, true) => tributary_connectors::out::reference(),
            _ => crate::report::metrics::reference(),
        })?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command that queries a worker, on a runtime of its own.
fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(command)
}
