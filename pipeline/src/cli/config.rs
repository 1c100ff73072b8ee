//! `tributary config`: checks, prints or describes a configuration.

use std::path::Path;
use std::process::ExitCode;

use tributary_config::{ConfigError, Problem, example, load, print, reference, schema};
use tributary_connectors::terminal;

use crate::cli::args::ConfigCommand;

/// Executes the command. Problems of the file are not an error of the program:
/// the exit code reports them.
///
/// # Errors
///
/// A file that cannot be read, or an output that cannot be written.
pub fn command(command: &ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Check { file, json } => return check(file, *json),
        ConfigCommand::Print { file } => terminal::print(print(&crate::load(file)?))?,
        ConfigCommand::Schema { markdown: false } => {
            terminal::print_line(format_args!("{:#}", schema()))?
        }
        ConfigCommand::Schema { markdown: true } => terminal::print(reference())?,
        ConfigCommand::Example => terminal::print(example())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints every problem and warning of a file.
///
/// # Errors
///
/// A file that cannot be read. Problems in it are printed and reported by the
/// exit code.
fn check(file: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let (errors, warnings) = match load(file) {
        Ok(loaded) => (Vec::new(), loaded.warnings),
        Err(ConfigError::Invalid(problems)) => (problems.0, Vec::new()),
        Err(error) => return Err(error.into()),
    };
    if json {
        let list = |problems: &[Problem]| -> Vec<serde_json::Value> {
            problems
                .iter()
                .map(|p| {
                    serde_json::json!({
                        "line": p.line, "column": p.column, "path": p.path,
                        "message": p.message, "fix": p.fix,
                    })
                })
                .collect()
        };
        terminal::print_status_line(
            serde_json::json!({"errors": list(&errors), "warnings": list(&warnings)}),
        )?;
    } else {
        for problem in &errors {
            terminal::print_status_line(problem)?;
        }
        for warning in &warnings {
            terminal::print_status_line(format_args!("warning: {warning}"))?;
        }
        match errors.len() {
            0 => terminal::print_status_line(format_args!("{} is valid", file.display()))?,
            1 => terminal::print_status_line("1 problem")?,
            n => terminal::print_status_line(format_args!("{n} problems"))?,
        }
    }
    Ok(if errors.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
