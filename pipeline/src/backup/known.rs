//! What is known of the backup of this process, and whose backup a directory holds.
//!
//! A directory that is not mounted, or another one in its place, looks like one without a
//! backup. So the key at the broker decides: as long as there is one, its backup is
//! somewhere, and is begun anew in an empty directory `process-N` alone, which somebody has
//! made. The invariant: *nothing is written beside the index of another ledger, unless a key
//! at the broker opens one of this ledger there*.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use tributary_config::model::Config;
use tributary_connectors::nats::Client;
use tributary_ledger::FileKey;

use super::directory::Directory;
use super::index::{self, Part};
use super::keys;

/// What a backup consists of.
#[derive(Debug)]
pub(super) struct Known {
    /// The number of the next index.
    pub(super) number: u64,
    /// That of the index that counts; 0 for none.
    pub(super) index: u64,
    /// The sequence number of the last key at the broker; 0 for none.
    pub(super) last: u64,
    /// Those of all keys there.
    pub(super) keys: Vec<u64>,
    /// The parts.
    pub(super) parts: Vec<Part>,
    /// The files that the index lists which a key opens, and that index.
    pub(super) listed: BTreeSet<String>,
    /// The numbers of the indexes of other ledgers that are beside it.
    pub(super) foreign: Vec<u64>,
    /// Files that no key opens.
    pub(super) unreadable: Vec<String>,
}

/// The directory does not hold the backup of this ledger.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotOurs {
    /// The backup of another ledger, and the key of this process opens it: that ledger was
    /// lost.
    #[error(
        "{0} holds the backup of another ledger, and the broker has its key: restore it, or, if it is no longer needed, move it away \
         and make an empty directory in its place"
    )]
    Lost(String),
    /// The backup of another deployment.
    #[error(
        "{0} holds the backup of another ledger, of which the broker has no key: mount the right disk, or move it away and make an \
         empty directory in its place; each deployment needs a directory of its own"
    )]
    Another(String),
    /// No backup, although the broker has a key.
    #[error(
        "{0} holds no backup, and the broker has the key of one: mount it, or make an empty directory {1} to begin anew, \
         with which the backup that this key opens becomes unreadable"
    )]
    Absent(String, String),
}

/// What is in a directory.
struct Seen {
    names: Vec<String>,
    indexes: Vec<(u64, Vec<u8>)>,
}

/// Reads what the backup of a ledger consists of; it may be nothing that opens.
///
/// # Errors
///
/// [`NotOurs`], a directory that cannot be read, or a broker that does not answer.
pub(super) async fn read(
    client: &Client,
    config: &Config,
    directory: &Directory,
    ledger: [u8; 16],
) -> anyhow::Result<Known> {
    let keys = keys::read(client, config).await?;
    let has_key = !keys.is_empty();
    let see = move |directory: &Directory| see(directory, &ledger, has_key);
    let Seen { names, indexes } = directory.step(see).await?;
    let sequences: Vec<u64> = keys.iter().map(|key| key.sequence).collect();
    let mut known = Known {
        number: 1,
        index: 0,
        last: sequences.last().copied().unwrap_or(0),
        keys: sequences,
        parts: Vec::new(),
        listed: BTreeSet::new(),
        foreign: Vec::new(),
        unreadable: Vec::new(),
    };
    let (mut is_own, mut is_lost) = (false, false);
    for (number, file) in &indexes {
        let of = index::ledger_of(file);
        if of.is_some_and(|id| id != ledger) {
            known.foreign.push(*number);
        }
        for key in keys.iter().filter_map(|stored| stored.key.as_ref()) {
            let Some(parts) = index::open(file, *number, key)? else {
                continue;
            };
            if of != Some(ledger) {
                is_lost = true;
            } else if !is_own {
                is_own = true;
                known.list(parts, *number);
            }
        }
    }
    known.number = free_after(known.index, &indexes)?;
    if is_own {
        return Ok(known);
    }
    if !known.foreign.is_empty() {
        let path = directory.path().display().to_string();
        match is_lost {
            true => bail!(NotOurs::Lost(path)),
            false => bail!(NotOurs::Another(path)),
        }
    }
    // Another process that has written the backup meanwhile has the key of what was seen.
    let now = keys::read(client, config).await?;
    if !now
        .iter()
        .map(|key| key.sequence)
        .eq(known.keys.iter().copied())
    {
        bail!("another process writes the backup");
    }
    known.unreadable = names;
    Ok(known)
}

impl Known {
    /// Takes over what an index lists that counts.
    pub(super) fn list(&mut self, parts: Vec<Part>, number: u64) {
        let files = parts.iter().map(|part| part.file.clone());
        self.listed = files.collect();
        self.listed.insert(super::directory::index_name(number));
        self.index = number;
        self.parts = parts;
    }
}

/// Checks that a directory holds these files, and no index of another ledger but those with
/// the numbers `foreign`. Returns the names of all files.
///
/// # Errors
///
/// [`NotOurs::Another`], a file that is missing, or any error of the disk.
pub(super) fn check(
    directory: &Directory,
    ledger: &[u8; 16],
    files: &BTreeSet<String>,
    foreign: &[u64],
) -> anyhow::Result<Vec<String>> {
    let is_new = |number: u64, of: Option<[u8; 16]>| {
        of.is_some_and(|id| id != *ledger) && !foreign.contains(&number)
    };
    let mut ledgers = directory.ledgers()?.into_iter();
    if ledgers.any(|(number, of)| is_new(number, of)) {
        bail!(NotOurs::Another(directory.path().display().to_string()));
    }
    let names = directory.names()?;
    let is_there = |file: &&String| names.binary_search(file).is_ok();
    match files.iter().find(|file| !is_there(file)) {
        Some(lost) => bail!("{lost} is no longer in the directory of the backup"),
        None => Ok(names),
    }
}

/// What is in the directory of a ledger, which is created if no backup can be elsewhere.
///
/// # Errors
///
/// [`NotOurs::Absent`], or any error of the disk.
fn see(directory: &Directory, ledger: &[u8; 16], has_key: bool) -> anyhow::Result<Seen> {
    let path = directory.path();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let absent = || NotOurs::Absent(path.display().to_string(), name.into_owned());
    if !has_key {
        directory.create()?;
    } else if !path.is_dir() {
        bail!(absent());
    }
    if directory.is_open_to_others() {
        let directory = path.display().to_string();
        tracing::warn!(directory, "others may enter the directory of the backup");
    }
    let mut indexes = directory.indexes()?;
    let names = directory.names()?;
    if has_key && indexes.is_empty() {
        if !names.is_empty() {
            bail!(absent());
        }
        // Says from now on whose directory it is; what it lists nobody opens.
        let none = index::seal(&[], ledger, 0, &FileKey::draw())?;
        directory.write_index(0, &none)?;
        let directory = path.display().to_string();
        tracing::warn!(directory, "begins the backup anew in an empty directory");
        indexes.push((0, none));
    }
    let is_file = |name: &String| !name.contains('.');
    Ok(Seen {
        names: names.into_iter().filter(is_file).collect(),
        indexes,
    })
}

/// The lowest number behind `after` that no index has. One that no key opens counts for
/// nothing else: whoever may write to the directory could put the highest number there.
///
/// # Errors
///
/// None in practice: the numbers do not end before the indexes do.
fn free_after(after: u64, indexes: &[(u64, Vec<u8>)]) -> anyhow::Result<u64> {
    let taken: BTreeSet<u64> = indexes.iter().map(|(number, _)| *number).collect();
    let mut numbers = (after..=u64::MAX).skip(1);
    numbers
        .find(|number| !taken.contains(number))
        .context("no number is left for an index")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn an_index_that_nobody_opens_takes_no_number_but_its_own() {
        let indexes = |numbers: &[u64]| -> Vec<_> {
            numbers.iter().map(|number| (*number, Vec::new())).collect()
        };
        for (after, taken, expected) in [
            (0, &[][..], 1),
            (3, &[3], 4),
            // A kill has left the next one, or somebody has put one there.
            (3, &[4, 3], 5),
            (3, &[u64::MAX, 3], 4),
        ] {
            assert_eq!(free_after(after, &indexes(taken)).unwrap(), expected);
        }
        assert!(free_after(u64::MAX, &indexes(&[])).is_err());
    }
}
