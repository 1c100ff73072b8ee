//! `tributary ledger`: inspects or verifies a ledger, without changing it; moves a brand to
//! another one, changes the number of processes, and puts a backup back.

mod brand_move;
mod owner;
mod place;
mod progress;
mod reshard;
mod restore;

use std::path::Path;
use std::time::Instant;

use tributary_connectors::terminal;
use tributary_ledger::Keyring;

use crate::cli::args::LedgerCommand;
use progress::Bar;

/// Executes the command.
///
/// # Errors
///
/// The first damage that is found, or a change that the ledgers do not permit.
pub async fn command(command: &LedgerCommand) -> anyhow::Result<()> {
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
        LedgerCommand::Move(args) => {
            let moved = brand_move::move_brand(args).await?;
            report(&moved, &moved.text(), args.json)?;
        }
        LedgerCommand::Reshard(args) => {
            let resharded = reshard::reshard(args).await?;
            report(&resharded, &resharded.text(), args.json)?;
        }
        LedgerCommand::Restore(args) => {
            let restored = restore::restore(args).await?;
            report(&restored, &restored.text(), args.json)?;
        }
    }
    Ok(())
}

/// Prints a result as JSON or as text.
///
/// # Errors
///
/// An output that cannot be written.
fn report(result: &impl serde::Serialize, text: &str, json: bool) -> anyhow::Result<()> {
    match json {
        true => terminal::print_line(serde_json::to_string_pretty(result)?)?,
        false => terminal::print(text)?,
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
    let bar = Bar::new("reading")?;
    let begun = Instant::now();
    let verified =
        tributary_ledger::verify(directory, &Keyring::new(&config), &mut |read, total| {
            bar.at(read, total);
        });
    drop(bar);
    let verification = verified?;
    if json {
        terminal::print_line(serde_json::to_string_pretty(&verification)?)?;
    } else {
        let took = begun.elapsed().as_secs_f64();
        terminal::print_line(format_args!("{}read in {took:.2} s", verification.text()))?;
    }
    Ok(())
}
