//! `tributary upgrade check`: what this program would do with the configuration,
//! the ledgers and the cluster of the one that runs now, before anything is done.
//!
//! It changes nothing and asks nothing of the running processes: it reads what
//! they have on the disk and at the broker. Each finding says how the upgrade
//! would go, and the worst of them is the exit code:
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | the upgrade is possible, and the version of before can be started again |
//! | 1 | this program would refuse to start, or something could not be looked at |
//! | 3 | the upgrade is possible, and the version of before cannot open the ledger afterwards |

mod finding;
mod ledgers;
mod peers;
mod settings;

use std::process::ExitCode;

use serde::Serialize;
use tributary_config::ConfigError;
use tributary_connectors::terminal;

use crate::cli::args as cli;
use crate::cli::run::hosts_in;
use crate::cli::upgrade::finding::{Finding, Outcome, subject};
use crate::version::{COMMIT, TEXT, VERSION};

/// The exit code of an upgrade that cannot be undone.
const IRREVERSIBLE: u8 = 3;

/// All findings.
#[derive(Serialize)]
struct Report {
    /// Version of this program.
    version: &'static str,
    /// The commit it was built from.
    commit: &'static str,
    /// The worst outcome.
    outcome: Outcome,
    findings: Vec<Finding>,
}

/// Executes the command. What would stop the upgrade is not an error: the exit
/// code reports it.
///
/// # Errors
///
/// A file that cannot be read, or an output that cannot be written.
pub async fn command(command: &cli::UpgradeCommand) -> anyhow::Result<ExitCode> {
    let cli::UpgradeCommand::Check(args) = command;
    let mut findings = Vec::new();
    if let Some(before) = &args.before {
        findings.extend(settings::compare(before)?);
    }
    match tributary_config::load(&args.config) {
        Ok(loaded) => {
            let name = args.config.display().to_string();
            findings.push(Finding::new(Outcome::Ok, name, "is valid"));
            for warning in &loaded.warnings {
                findings.push(of_problem(Outcome::Note, warning));
            }
            let mut config = loaded.config.of_its_shard()?;
            if let Some(file) = &args.hostfile {
                config.workers.hosts = hosts_in(file)?;
            }
            findings.extend(ledgers::check(&config)?);
            if !args.offline {
                findings.extend(peers::check(&config).await);
            }
        }
        Err(ConfigError::Invalid(problems)) => {
            let problems = problems.0.iter();
            findings.extend(problems.map(|problem| of_problem(Outcome::Refused, problem)));
            let text = "nothing else can be checked before the configuration is valid";
            findings.push(Finding::new(Outcome::Note, subject(&args.config), text));
        }
        Err(error) => return Err(error.into()),
    }
    let worst = findings.iter().map(|finding| finding.outcome).max();
    let report = Report {
        version: VERSION,
        commit: COMMIT,
        outcome: worst.unwrap_or(Outcome::Ok),
        findings,
    };
    match args.json {
        true => terminal::print_status_line(serde_json::to_string_pretty(&report)?)?,
        false => print(&report)?,
    }
    Ok(match report.outcome {
        Outcome::Refused => ExitCode::FAILURE,
        Outcome::Irreversible => ExitCode::from(IRREVERSIBLE),
        Outcome::Ok | Outcome::Note | Outcome::Warning => ExitCode::SUCCESS,
    })
}

/// A problem or a warning of the configuration.
fn of_problem(outcome: Outcome, problem: &tributary_config::Problem) -> Finding {
    let subject = match problem.line {
        0 => problem.file.clone(),
        line => format!("{}:{line}", problem.file),
    };
    let text = match problem.path.as_str() {
        "" => problem.message.clone(),
        path => format!("{path} {}", problem.message),
    };
    Finding::new(outcome, subject, text).fix(&problem.fix)
}

/// Prints the findings for people.
///
/// # Errors
///
/// An output that cannot be written.
fn print(report: &Report) -> anyhow::Result<()> {
    for finding in &report.findings {
        let Finding {
            outcome,
            subject,
            text,
            fix,
        } = finding;
        let name = outcome.name();
        terminal::print_status_line(format_args!("{name:<13} {subject} {text}"))?;
        if !fix.is_empty() {
            terminal::print_status_line(format_args!("{:<13} {fix}", ""))?;
        }
    }
    terminal::print_status_line(match report.outcome {
        Outcome::Refused => {
            format!("tributary {TEXT} would refuse to start, or something could not be checked")
        }
        Outcome::Irreversible => format!(
            "the upgrade to tributary {TEXT} is possible, and cannot be undone without a copy of the ledger"
        ),
        Outcome::Ok | Outcome::Note | Outcome::Warning => {
            format!("the upgrade to tributary {TEXT} is possible, and can be undone")
        }
    })?;
    Ok(())
}
