//! The command line: what it takes, and what it says when something goes wrong.

mod bar;
mod generate;
mod replay;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Make, play and check event traces.
///
/// A trace is NDJSON, one message a line, in order of arrival:
///
///   {"subject": "tributary.in.orchard.web", "at": 1759701784587, "data": {…}}
///
/// A first round, without a broker:
///
///   loadtest generate --events 100000 --out t.ndjson.zst --config-out t.toml
///   tributary replay --config t.toml t.ndjson.zst --cells cells.ndjson
///   loadtest verify --config t.toml --cells cells.ndjson t.ndjson.zst
///
/// And with one:
///
///   tributary run --config t.toml &
///   loadtest replay --config t.toml --rate 5000 t.ndjson.zst
#[derive(Parser)]
#[command(name = "loadtest", version, verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Generate(generate::Generate),
    Replay(replay::Replay),
    Verify(verify::Verify),
}

/// Runs the command. The status is 0 for success, 1 for a verification that found a difference, 2
/// for a command that could not be carried out.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Generate(command) => command.run().map(|()| true),
        Command::Replay(command) => command.run().map(|()| true),
        Command::Verify(command) => command.run(),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            // Whoever reads the output has gone, as `head` does: that is no failure.
            if let Some(io) = error.downcast_ref::<std::io::Error>()
                && io.kind() == std::io::ErrorKind::BrokenPipe
            {
                return ExitCode::SUCCESS;
            }
            eprintln!("loadtest: {}", told(&error));
            ExitCode::from(2)
        }
    }
}

/// An error with its causes; those that its own text tells already are not told twice.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| {
        let cause = cause.to_string();
        match text {
            text if text.is_empty() => cause,
            text if text.contains(&cause) => text,
            text => format!("{text}: {cause}"),
        }
    })
}

/// Reads a configuration and says what may surprise about it.
fn configuration(path: &std::path::Path) -> anyhow::Result<tributary_config::model::Config> {
    let loaded = tributary_config::load(path)?;
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(loaded.config)
}
