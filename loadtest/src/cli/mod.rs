//! The command line of `loadtest`: its commands, and how it reports errors.

mod bar;
mod configuration;
mod generate;
mod replay;
mod shell;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tributary_connectors::terminal;

/// Generate, replay and verify event traces.
///
/// A trace is NDJSON with one message per line, in order of arrival:
///
///   {"subject": "tributary.in.orchard.web", "at": 1759701784587, "data": {…}}
///
/// To get started without a broker:
///
///   loadtest generate --events 100000 --out t.ndjson.zst --config-out t.toml
///   tributary replay --config t.toml t.ndjson.zst --cells cells.ndjson
///   loadtest verify --config t.toml --cells cells.ndjson t.ndjson.zst
///
/// With a broker:
///
///   tributary run --config t.toml &
///   loadtest replay --config t.toml --rate 5000 t.ndjson.zst
#[derive(Parser)]
#[command(
    name = "loadtest",
    version = concat!(env!("CARGO_PKG_VERSION"), " (", env!("TRIBUTARY_BUILD_COMMIT"), ")"),
    verbatim_doc_comment
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Generate(generate::Generate),
    Replay(replay::Replay),
    Verify(verify::Verify),
    Completions(shell::Completions),
    Man(shell::Man),
}

/// Runs the command. The exit status is 0 for success, 1 if a verification found a difference, and
/// 2 if the command failed.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Generate(command) => command.run().map(|()| true),
        Command::Replay(command) => command.run().map(|()| true),
        Command::Verify(command) => command.run(),
        Command::Completions(command) => command.run(Cli::command()).map(|()| true),
        Command::Man(command) => command.run(Cli::command()).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            // The reader closed the output, as `head` does. This is not a failure.
            if terminal::is_closed(error.as_ref()) {
                return ExitCode::SUCCESS;
            }
            terminal::note(format_args!(
                "loadtest: {}",
                terminal::error_chain(error.as_ref())
            ));
            ExitCode::from(2)
        }
    }
}
