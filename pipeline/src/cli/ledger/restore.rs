//! `tributary ledger restore`: puts the backup of a process back ([`backup::restore`]).

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use serde::Serialize;

use super::owner::refuse_others;
use super::place::broker;
use super::progress::Bar;
use crate::backup;
use crate::cli::args::LedgerRestore;

/// What was restored.
#[derive(Debug, Serialize)]
pub(super) struct Restored {
    from: PathBuf,
    ledger: PathBuf,
    files: usize,
    bytes: u64,
    /// Whether the files of rights requests were there and stay.
    keeps_rights: bool,
    /// Whether nobody has set `ledger.directory`, or set it to its default.
    is_default_directory: bool,
    /// The command that starts the worker.
    next: String,
    #[serde(skip)]
    is_standby: bool,
    seconds: f64,
}

impl Restored {
    /// The text for people.
    pub(super) fn text(&self) -> String {
        let rights = match self.keeps_rights {
            true => "; the files of rights requests were there and stay",
            false => "",
        };
        let hint = match self.is_standby {
            false => {
                "(with --accept-loss, if the start misses what came in after the last renewal)"
            }
            true => {
                "(unless another process leads or can lead: without --accept-loss this one waits for it, and copies its ledger)"
            }
        };
        let default = match self.is_default_directory {
            false => "",
            true => {
                "note: this is the default of ledger.directory; a worker whose unit or container sets TRIBUTARY_LEDGER_DIRECTORY \
                 has its ledger elsewhere\n"
            }
        };
        format!(
            "restored {} from {} in {:.1} s: {} files, {} bytes{rights}\n\
             {default}next: {} {hint}\n",
            self.ledger.display(),
            self.from.display(),
            self.seconds,
            self.files,
            self.bytes,
            self.next,
        )
    }
}

/// Restores a backup.
///
/// # Errors
///
/// Those of [`backup::restore::restore`], and a configuration that does not permit it.
pub(super) async fn restore(args: &LedgerRestore) -> anyhow::Result<Restored> {
    let mut config = crate::load(&args.config)?.of_its_shard()?;
    if let Some(process) = args.process {
        config.workers.process = process;
    }
    let from = match args.from.as_ref().or(config.ledger.backup.as_ref()) {
        Some(from) => absolute(from)?,
        None => bail!("ledger.backup is not set: --from names the directory of the backup"),
    };
    refuse_others(&config)?;
    let begun = Instant::now();
    let client = broker(&config, "cannot ask the broker for the key of the backup").await?;
    let bar = Bar::new("restoring")?;
    let restored = backup::restore::restore(&client, &config, &from, &mut |done, total| {
        bar.at(done, total);
    })
    .await?;
    Ok(Restored {
        from,
        ledger: restored.ledger,
        files: restored.files,
        bytes: restored.bytes,
        keeps_rights: restored.keeps_rights,
        is_default_directory: is_default(&config.ledger.directory, &args.config)?,
        next: next(args, config.workers.standby),
        is_standby: config.workers.standby,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Whether a directory is that of ledgers beside a configuration file that names none.
///
/// # Errors
///
/// A path that cannot be resolved.
fn is_default(directory: &Path, config: &Path) -> anyhow::Result<bool> {
    let beside = absolute(config)?.with_file_name("tributary-data");
    Ok(absolute(directory)? == beside)
}

/// The command that starts the worker. A process with `workers.standby` does not lead by
/// itself with a ledger of which it does not know that it is the newest one.
fn next(args: &LedgerRestore, is_standby: bool) -> String {
    let mut run = format!("tributary run --config {}", args.config.display());
    if let Some(process) = args.process {
        run.push_str(&format!(" --process {process}"));
    }
    if is_standby {
        run.push_str(" --accept-loss");
    }
    run
}

/// A path from the root.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| path.display().to_string())
}
