//! The command line of `loadtest`: its commands, and how it reports errors.

mod bar;
mod configuration;
mod connection;
mod find_max;
mod generate;
mod interrupt;
mod matching;
mod outcome;
mod record;
mod replay;
mod report;
mod shell;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tributary_connectors::terminal;

use outcome::Outcome;

/// Generate, record, replay and verify event traces, and measure a worker under load.
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
///   loadtest replay --config t.toml --rate 5000 --markers 20 --report run.json t.ndjson.zst
///   loadtest report run.json --html run.html --fail-if 'p99>250ms'
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
    FindMax(find_max::FindMax),
    Generate(generate::Generate),
    Matching(matching::Matching),
    Record(record::Record),
    Replay(replay::Replay),
    Report(report::ReportCommand),
    Verify(verify::Verify),
    Completions(shell::Completions),
    Man(shell::Man),
}

/// Runs the command. The exit status is 0 for success, 1 if a comparison found a difference, 2 if the
/// command failed, and 3 if a run could not do what was asked for and its figures are not valid.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::FindMax(command) => command.run(),
        Command::Generate(command) => command.run().map(|()| Outcome::Success),
        Command::Matching(command) => command.run().map(|()| Outcome::Success),
        Command::Record(command) => command.run().map(|()| Outcome::Success),
        Command::Replay(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Verify(command) => command.run().map(|same| match same {
            true => Outcome::Success,
            false => Outcome::Difference,
        }),
        Command::Completions(command) => command.run(Cli::command()).map(|()| Outcome::Success),
        Command::Man(command) => command.run(Cli::command()).map(|()| Outcome::Success),
    };
    match result {
        Ok(Outcome::Success) => ExitCode::SUCCESS,
        Ok(Outcome::Difference) => ExitCode::from(1),
        Ok(Outcome::Invalid) => ExitCode::from(3),
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
