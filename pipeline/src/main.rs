//! `tributary`: the binary. It parses the command line, starts the log and hands over.

use std::process::ExitCode;

use clap::Parser;
use tributary::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tributary::log::start(cli.log_format);
    match tributary::run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tributary: {error:#}");
            ExitCode::FAILURE
        }
    }
}
