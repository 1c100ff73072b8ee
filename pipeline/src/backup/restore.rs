//! Restoring a backup: puts the ledger of a process and what was beside it into an empty
//! data directory.
//!
//! Everything is opened into a draft directory beside and synced there; then the parts
//! are renamed, the ledger last. A kill at any point is followed by the same command:
//! without a ledger, nothing was restored. What is left of a restore that was never repeated
//! the next start removes, because no erasure reaches it. A rights directory or list of
//! moves that is there stays, because it is newer than the backup; one that belongs to
//! another ledger is refused.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tributary_config::model::Config;
use tributary_connectors::nats::Client;
use tributary_ledger::{FileKey, Ledger, OpenError};
use tributary_rights::{disk, suppression};

use super::directory::Directory;
use super::index::{self, LEDGER, MOVES, Part, RIGHTS};
use super::keys;
use crate::durability::location::ledger_options;
use crate::durability::moves;
use crate::durability::rights_copy::is_below;
use crate::privacy::objections::LIST;
use crate::privacy::rights::files;

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// The directory of the ledger.
    pub ledger: PathBuf,
    /// The number of files.
    pub files: usize,
    /// Their length, bytes.
    pub bytes: u64,
    /// Whether a rights directory was there and stays.
    pub keeps_rights: bool,
}

/// The directory into which a backup is opened.
fn draft_of(config: &Config) -> PathBuf {
    let name = format!("restoring-{}", config.workers.name());
    config.ledger.directory.join(name)
}

/// Overwrites and removes what a restore has left that was interrupted and not repeated.
/// The ledger of this process must be there: no restore is under way then.
///
/// # Errors
///
/// Any error of the disk.
pub fn remove_draft(config: &Config) -> anyhow::Result<()> {
    let draft = draft_of(config);
    if draft.exists() {
        tracing::warn!(
            directory = draft.display().to_string(),
            "removing what an interrupted `tributary ledger restore` has left"
        );
        disk::remove_directory(&draft)?;
    }
    Ok(())
}

/// Restores the backup of the process of a configuration from `backup`. `progress`
/// receives the number of bytes that are restored, and of all.
///
/// # Errors
///
/// A data directory with a ledger of that process, or with the rights directory of another
/// ledger; a backup that is not there, whose key
/// was destroyed, or of which files are missing; a broker that does not answer; any error
/// of the disk.
pub async fn restore(
    client: &Client,
    config: &Config,
    backup: &Path,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> anyhow::Result<Restored> {
    let ledger = ledger_options(config).directory;
    if Ledger::exists_in(&ledger) {
        bail!(
            "{} holds a ledger: move it away, if the backup is to take its place",
            ledger.display()
        );
    }
    let directory = Directory::of(backup, &config.workers.name());
    let (id, parts) = newest(client, config, &directory).await?;
    let rights = files::directory(config);
    refuse_other_rights(config, &rights, directory.path(), &id)?;
    let draft = draft_of(config);
    disk::remove_directory(&draft)?;
    let opened = open_all(&directory, &id, &parts, &draft, progress);
    opened.inspect_err(|_| drop(disk::remove_directory(&draft)))?;
    let keeps_rights = rights.exists();
    if !keeps_rights {
        put(&draft.join("rights"), &rights)?;
    }
    let moves = moves::path(&ledger);
    if !moves.exists() {
        put(&draft.join(MOVES), &moves)?;
    }
    clear(&ledger)?;
    // It says of which ledger a standby had a copy, and how far; this is another one.
    let mark = format!("standby-{}.json", config.workers.name());
    let mark = config.ledger.directory.join(mark);
    if mark.exists() {
        disk::remove(&mark)?;
    }
    put(&draft.join("ledger"), &ledger)?;
    disk::remove_directory(&draft)?;
    let paths: BTreeSet<&str> = parts.iter().map(|part| part.path.as_str()).collect();
    Ok(Restored {
        ledger,
        files: paths.len(),
        bytes: total(&parts),
        keeps_rights,
    })
}

/// Refuses a rights directory whose objection list belongs to another ledger than the
/// backup: the objections in the backup would be lost.
///
/// # Errors
///
/// Such a list. One that cannot be read the next start refuses.
fn refuse_other_rights(
    config: &Config,
    rights: &Path,
    backup: &Path,
    ledger: &[u8; 16],
) -> anyhow::Result<()> {
    let keys: Vec<_> = config.brands.iter().map(files::keys).collect();
    let list = suppression::read(&rights.join(LIST), &keys).ok().flatten();
    let of = list.and_then(|list| list.ledger).map(|mark| mark.id());
    match of {
        Some(id) if id != *ledger => bail!(
            "{} belongs to the ledger {}, and {} is the backup of the ledger {}: move {} away, if the backup is to take its place",
            rights.display(),
            data_encoding::HEXLOWER.encode(&id),
            backup.display(),
            data_encoding::HEXLOWER.encode(ledger),
            rights.display(),
        ),
        _ => Ok(()),
    }
}

/// The length of all parts, bytes.
fn total(parts: &[Part]) -> u64 {
    parts
        .iter()
        .fold(0, |sum, part| sum.saturating_add(part.bytes))
}

/// The parts of the newest index that a key at the broker opens, and the ID of the ledger.
///
/// # Errors
///
/// As [`restore`].
async fn newest(
    client: &Client,
    config: &Config,
    directory: &Directory,
) -> anyhow::Result<([u8; 16], Vec<Part>)> {
    let at = directory.path().display();
    let indexes = directory.indexes()?;
    if indexes.is_empty() {
        bail!("{at} holds no backup");
    }
    let keys = keys::read(client, config).await?;
    for (number, file) in &indexes {
        for key in keys.iter().filter_map(|stored| stored.key.as_ref()) {
            if let (Some(parts), Some(id)) =
                (index::open(file, *number, key)?, index::ledger_of(file))
            {
                return Ok((id, parts));
            }
        }
    }
    match keys.is_empty() {
        true => bail!(
            "the broker has no key for {at}: it was destroyed because the backup could not be renewed at an erasure, \
             or this is not the broker of the worker that has written it"
        ),
        false => bail!(
            "the key at the broker does not open {at}: this is an older copy of the backup, whose key was destroyed"
        ),
    }
}

/// Opens all parts below the draft directory, durably.
///
/// # Errors
///
/// The names of what is missing, or any error of the disk.
fn open_all(
    directory: &Directory,
    ledger: &[u8; 16],
    parts: &[Part],
    draft: &Path,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> anyhow::Result<()> {
    let (mut missing, mut done, total) = (BTreeSet::new(), 0, total(parts));
    let mut directories = BTreeSet::from([draft.to_owned()]);
    for part in parts {
        let is_known =
            part.path.starts_with(LEDGER) || part.path.starts_with(RIGHTS) || part.path == MOVES;
        if !is_known || !is_below(&part.path) || !is_below(&part.file) {
            bail!(
                "the index of the backup lists {}, which is no file of it",
                part.path
            );
        }
        let path = draft.join(&part.path);
        let parent = path.parent().unwrap_or(draft);
        create(parent)?;
        directories.insert(parent.to_owned());
        match open_part(directory, ledger, part, &path) {
            Ok(true) => {}
            Ok(false) => drop(missing.insert(part.path.as_str())),
            Err(error) => return Err(error.context(part.path.clone())),
        }
        done += part.bytes;
        progress(done, total);
    }
    if !missing.is_empty() {
        let missing: Vec<&str> = missing.into_iter().collect();
        bail!(
            "{} of {} does not have these files, or they were changed: {}; nothing was restored",
            directory.path().display(),
            data_encoding::HEXLOWER.encode(ledger),
            missing.join(", ")
        );
    }
    for directory in directories {
        File::open(&directory)?.sync_all()?;
    }
    Ok(())
}

/// Opens a part into its file. Returns whether it is there and whole.
///
/// # Errors
///
/// Any error of the disk.
fn open_part(
    directory: &Directory,
    ledger: &[u8; 16],
    part: &Part,
    path: &Path,
) -> anyhow::Result<bool> {
    let Some(key) = FileKey::from_hex(&part.key) else {
        return Ok(false);
    };
    let mut sealed = match File::open(directory.path().join(&part.file)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(path)?;
    file.seek(SeekFrom::Start(part.from))?;
    let place = index::file_place(ledger);
    let opened = match key.open(&place, &mut sealed, &mut file) {
        Err(OpenError::NotOpened) => return Ok(false),
        opened => opened?,
    };
    file.sync_all()?;
    Ok(opened == part.bytes)
}

/// Creates a directory that others cannot read, and its parents.
fn create(directory: &Path) -> anyhow::Result<()> {
    let mut builder = DirBuilder::new();
    let created = builder.recursive(true).mode(0o700).create(directory);
    created.with_context(|| directory.display().to_string())
}

/// Gives a file or directory of the draft its name, durably; nothing happens if the backup
/// has none.
fn put(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    let rename = || {
        std::fs::rename(from, to)?;
        File::open(to.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    rename().with_context(|| to.display().to_string())
}

/// Removes what a worker without a ledger leaves where its ledger would be.
///
/// # Errors
///
/// Anything else that is there.
fn clear(ledger: &Path) -> anyhow::Result<()> {
    if !ledger.exists() {
        return Ok(());
    }
    for name in ["LOCK", "segments"] {
        let path = ledger.join(name);
        let _ = match path.is_dir() {
            true => std::fs::remove_dir(&path),
            false => std::fs::remove_file(&path),
        };
    }
    std::fs::remove_dir(ledger).with_context(|| {
        format!(
            "{} holds files and no ledger: move it away, if the backup is to take its place",
            ledger.display()
        )
    })
}
