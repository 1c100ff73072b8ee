//! Looking after the files of a backup: they may be cut, changed or lost on their disk, and
//! only a restore would notice.
//!
//! With each renewal the lengths of all files are compared, and one file is read and
//! opened, the next one with the next renewal. What fails is copied again. Everything is
//! looked at in one step, after the index that was written last: a directory that is away,
//! or is another one, is no damage.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use anyhow::Context;
use tributary_ledger::FileKey;

use super::directory::Directory;
use super::index::{self, Part};

/// Whether a directory holds what was written to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The directory or the index that was written last is not there, or one of another ledger is.
    Other,
    /// It is, and this is damaged.
    Damaged {
        /// The names of files that are missing, or are not what was written.
        files: BTreeSet<String>,
        /// The file that was opened.
        opened: Option<String>,
    },
}

/// Looks at the files of a backup whose last index has this number; 0 for none. The file
/// after `after` is opened.
///
/// # Errors
///
/// Any error of the disk, other than one of the file that is opened.
pub(super) fn inspect(
    directory: &Directory,
    ledger: &[u8; 16],
    number: u64,
    parts: &[Part],
    after: &str,
) -> anyhow::Result<Found> {
    if !directory.path().is_dir() {
        return Ok(Found::Other);
    }
    let ledgers = directory.ledgers()?;
    let is_last = ledgers.iter().any(|(other, _)| *other == number);
    let is_foreign = |of: &Option<[u8; 16]>| of.is_some_and(|id| id != *ledger);
    if (number > 0 && !is_last) || ledgers.iter().any(|(_, of)| is_foreign(of)) {
        return Ok(Found::Other);
    }
    let mut files = BTreeSet::new();
    for part in parts {
        let path = directory.path().join(&part.file);
        let length = match std::fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            metadata => {
                let metadata = metadata.with_context(|| path.display().to_string())?;
                Some(metadata.len())
            }
        };
        if length != Some(FileKey::sealed_length(part.bytes)) {
            files.insert(part.file.clone());
        }
    }
    let next = next(parts, after);
    if let Some(part) = next
        && !files.contains(&part.file)
        && !opens(directory.path(), ledger, part)
    {
        files.insert(part.file.clone());
    }
    let opened = next.map(|part| part.file.clone());
    Ok(Found::Damaged { files, opened })
}

/// The part whose file has the next name, in a circle.
fn next<'a>(parts: &'a [Part], after: &str) -> Option<&'a Part> {
    let by_name = |part: &&Part| part.file.clone();
    let later = parts.iter().filter(|part| *part.file > *after);
    later
        .min_by_key(by_name)
        .or_else(|| parts.iter().min_by_key(by_name))
}

/// Whether a file is what was written.
fn opens(directory: &Path, ledger: &[u8; 16], part: &Part) -> bool {
    let Some(key) = FileKey::from_hex(&part.key) else {
        return false;
    };
    let Ok(mut file) = File::open(directory.join(&part.file)) else {
        return false;
    };
    let opened = key.open(&index::file_place(ledger), &mut file, &mut io::sink());
    opened.is_ok_and(|bytes| bytes == part.bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    const LEDGER: [u8; 16] = [7; 16];

    /// A directory with so many files and an index of the ledger.
    fn backup(root: &Path, files: usize) -> (Directory, Vec<Part>) {
        let directory = Directory::of(root, "0");
        directory.create().unwrap();
        let part = |n: usize| {
            let content = vec![n as u8; 70_000 * n];
            let (file, key, bytes) = directory.write(&LEDGER, &mut &*content).unwrap();
            Part {
                path: format!("ledger/{n}"),
                from: 0,
                bytes,
                is: String::new(),
                file,
                key: key.to_hex().to_string(),
            }
        };
        let parts: Vec<Part> = (0..files).map(part).collect();
        let index = index::seal(&parts, &LEDGER, 1, &FileKey::draw()).unwrap();
        directory.write_index(1, &index).unwrap();
        (directory, parts)
    }

    #[test]
    fn what_is_cut_or_gone_is_found_at_once_and_what_is_changed_in_turn() {
        let root = tempfile::tempdir().unwrap();
        let (directory, parts) = backup(root.path(), 4);
        let path = |n: usize| directory.path().join(&parts[n].file);
        let mut after = String::new();
        let mut look = || {
            let found = inspect(&directory, &LEDGER, 1, &parts, &after).unwrap();
            let Found::Damaged { files, opened } = found else {
                panic!("{found:?}");
            };
            after = opened.unwrap();
            files
        };
        assert_eq!(look(), BTreeSet::new());
        let mut changed = std::fs::read(path(2)).unwrap();
        changed[70_000] ^= 1;
        std::fs::write(path(2), changed).unwrap();
        let turns: Vec<BTreeSet<String>> = (0..parts.len()).map(|_| look()).collect();
        let found: Vec<&String> = turns.iter().flatten().collect();
        assert_eq!(found, [&parts[2].file], "one turn finds it once");
        std::fs::remove_file(path(0)).unwrap();
        std::fs::write(path(3), b"").unwrap();
        let expected = [parts[0].file.clone(), parts[3].file.clone()];
        assert!(look().is_superset(&expected.into()));
    }

    #[test]
    fn another_directory_is_no_damage() {
        let root = tempfile::tempdir().unwrap();
        let (directory, parts) = backup(root.path(), 1);
        let look = |number| inspect(&directory, &LEDGER, number, &parts, "").unwrap();
        assert_eq!(look(2), Found::Other, "the last index is not there");
        let foreign = index::seal(&[], &[8; 16], 5, &FileKey::draw()).unwrap();
        directory.write_index(5, &foreign).unwrap();
        assert_eq!(look(1), Found::Other, "it is another one's");
    }
}
