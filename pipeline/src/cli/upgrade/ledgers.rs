//! Whether this program opens the ledgers that are on this machine, what becomes
//! of them, and whether the disk has room for a rewrite.

use std::path::Path;

use tributary_config::model::Config;
use tributary_ledger::{FORMAT, Inspection, Keyring, LedgerError, inspect};

use super::finding::{Finding, Outcome, subject};
use crate::durability::moves::Moves;
use crate::privacy::rights::losses;
use crate::standby::mark;

/// Checks the ledger of each process of the cluster whose directory is here.
///
/// # Errors
///
/// A directory that cannot be looked at.
pub(super) fn check(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let processes = config.workers.hosts.len().max(1);
    let keyring = Keyring::new(config);
    let mut findings = Vec::new();
    let (mut bytes, mut is_any) = (0, false);
    for process in 0..processes {
        let directory = &config.ledger.directory;
        let directory = directory.join(format!("process-{}", config.workers.name_of(process)));
        if !tributary_ledger::Ledger::exists_in(&directory) {
            let note = Outcome::Note;
            let found = Finding::new(note, subject(&directory), "there is no ledger here");
            findings.push(match processes {
                1 => found,
                _ => found.fix("check it on the machine of this process"),
            });
            continue;
        }
        is_any = true;
        match inspect_settled(&directory, &keyring) {
            Ok((found, missing)) => {
                bytes += found.bytes;
                findings.push(of_share(&found, (process, processes), &directory));
                findings.push(of_format(&found, &directory));
                findings.extend(missing);
                if process == config.workers.process {
                    findings.extend(of_files(config, &directory));
                }
            }
            Err(error) => {
                let text = error.to_string();
                findings.push(Finding::new(Outcome::Refused, subject(&directory), text));
            }
        }
    }
    if !is_any {
        let text = "has no ledger, so that nothing is known of the upgrade";
        let found = Finding::new(Outcome::Refused, subject(&config.ledger.directory), text);
        findings.push(found.fix(
            "give the command the ledger.directory and the environment of the worker, and its user's rights; \
             a worker that never ran needs no upgrade",
        ));
    }
    if bytes > 0 {
        findings.push(room(&config.ledger.directory, bytes)?);
    }
    Ok(findings)
}

/// Whether a ledger belongs to the process that would open it.
fn of_share(found: &Inspection, asked: (usize, usize), directory: &Path) -> Finding {
    let owner = (found.process, found.processes);
    let named = |(process, processes): (usize, usize)| format!("process {process} of {processes}");
    match owner == asked {
        true => {
            let text = format!("is the ledger of {}, {} bytes", named(owner), found.bytes);
            Finding::new(Outcome::Ok, subject(directory), text)
        }
        false => {
            let text = format!(
                "is the ledger of {}, and would be opened by {}",
                named(owner),
                named(asked)
            );
            Finding::new(Outcome::Refused, subject(directory), text)
                .fix("give workers.hosts the processes that it had")
        }
    }
}

/// Inspects a ledger, and says what is wrong with its segments. A worker that runs may replace them meanwhile: only what the
/// manifest of afterwards lists is missing.
///
/// # Errors
///
/// Those of [`inspect`].
fn inspect_settled(
    directory: &Path,
    keyring: &Keyring,
) -> Result<(Inspection, Vec<Finding>), LedgerError> {
    let listed = |of: &Inspection| -> Vec<(u64, u64)> {
        let segments = of.segments.iter();
        segments.map(|of| (of.number, of.bytes)).collect()
    };
    let mut found = inspect(directory, Some(keyring))?;
    loop {
        let missing = of_segments(&found, directory);
        if missing.is_empty() {
            return Ok((found, missing));
        }
        let now = inspect(directory, Some(keyring))?;
        if listed(&now) == listed(&found) {
            return Ok((found, missing));
        }
        found = now;
    }
}

/// The segments that are not there, or shorter than the manifest says.
fn of_segments(found: &Inspection, directory: &Path) -> Vec<Finding> {
    let segments = found.segments.iter().filter_map(|segment| {
        let path = directory.join(format!("segments/{:010}.seg", segment.number));
        let text = match std::fs::metadata(&path) {
            Ok(file) if file.len() >= segment.bytes => return None,
            Ok(file) => format!("has {} of its {} bytes", file.len(), segment.bytes),
            Err(error) => format!("cannot be read: {error}"),
        };
        Some(refused(&path, text))
    });
    segments.collect()
}

/// What is beside a ledger of this process, and would be refused.
fn of_files(config: &Config, directory: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let moves = Moves::read(directory).and_then(|moves| moves.refuse_start(config, directory));
    if let Err(error) = moves {
        findings.push(refused(directory, format!("{error:#}")));
    }
    if let Err(error) = mark::check(config) {
        findings.push(refused(&config.ledger.directory, format!("{error:#}")));
    }
    match losses::compare_files(config) {
        Ok(losses) => {
            let losses = losses.into_iter();
            findings.extend(losses.map(|loss| refused(&config.ledger.directory, loss)));
        }
        Err(error) => findings.push(refused(directory, format!("{error:#}"))),
    }
    findings
}

/// A finding for which the start is refused, with this version as with another.
fn refused(file: &Path, text: String) -> Finding {
    let found = Finding::new(Outcome::Refused, subject(file), text);
    found.fix("the start refuses this as well: put it in order with the version that runs now")
}

/// What becomes of the format of a ledger.
fn of_format(found: &Inspection, directory: &Path) -> Finding {
    let format = found.format;
    match format == FORMAT {
        true => {
            let text = format!("has format {FORMAT}, and keeps it");
            Finding::new(Outcome::Ok, subject(directory), text)
        }
        false => {
            let text = format!(
                "has format {format}: the first start continues it in format {FORMAT}, and reads it once or twice more than other starts, \
                 and versions that know format {format} alone no longer open it"
            );
            Finding::new(Outcome::Irreversible, subject(directory), text).fix(
                "stop the worker and copy the data directory first, if you may want to go back",
            )
        }
    }
}

/// Whether the disk has room for a second copy of what is stored, which is how
/// entries are rewritten.
///
/// # Errors
///
/// A file system that does not say.
fn room(directory: &Path, bytes: u64) -> anyhow::Result<Finding> {
    let disk = rustix::fs::statvfs(directory)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let text = format!("has {free} bytes free for ledgers of {bytes} bytes");
    Ok(match free >= bytes {
        true => Finding::new(Outcome::Ok, subject(directory), text),
        false => Finding::new(Outcome::Warning, subject(directory), text).fix(
            "make room: an erasure or a rotation of secrets rewrites segments, and needs as much again while it does",
        ),
    })
}
