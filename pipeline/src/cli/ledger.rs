//! `tributary ledger`: inspects or verifies a ledger, without changing it.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use tributary_connectors::terminal;
use tributary_ledger::Keyring;

use crate::cli::args::LedgerCommand;

/// Executes the command.
///
/// # Errors
///
/// The first damage that is found.
pub fn command(command: &LedgerCommand) -> anyhow::Result<()> {
    match command {
        LedgerCommand::Inspect {
            directory,
            config,
            json,
        } => {
            let config = config.as_deref().map(crate::load).transpose()?;
            let keyring = config.as_ref().map(Keyring::new);
            let inspection = tributary_ledger::inspect(directory, keyring.as_ref())?;
            match json {
                true => terminal::print_line(serde_json::to_string_pretty(&inspection)?)?,
                false => terminal::print(inspection.text())?,
            }
        }
        LedgerCommand::Verify {
            directory,
            config,
            json,
        } => verify(directory, config, *json)?,
    }
    Ok(())
}

/// Verifies a ledger, with a progress bar.
///
/// # Errors
///
/// The first damage that is found.
fn verify(directory: &Path, config: &Path, json: bool) -> anyhow::Result<()> {
    let config = crate::load(config)?;
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta} left")
        .context("the progress bar")?;
    bar.set_style(style);
    let begun = Instant::now();
    let verified =
        tributary_ledger::verify(directory, &Keyring::new(&config), &mut |read, total| {
            bar.set_length(total);
            bar.set_position(read);
        });
    bar.finish_and_clear();
    let verification = verified?;
    if json {
        terminal::print_line(serde_json::to_string_pretty(&verification)?)?;
    } else {
        let took = begun.elapsed().as_secs_f64();
        terminal::print_line(format_args!("{}read in {took:.2} s", verification.text()))?;
    }
    Ok(())
}
