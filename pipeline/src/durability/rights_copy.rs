//! The files of the rights directory in a copy: the objection list, the audit
//! logs, and tombstones.
//!
//! They are few and small, and either grow at their end or are replaced by
//! another file under the same name. Length, time and number of the file on its
//! disk tell whether it is still what a state lists.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use tributary_rights::disk;

/// Maximum depth of directories below the rights directory.
const DEPTH: usize = 4;

/// A file of the rights directory at one instant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RightsFile {
    /// Its path below the rights directory.
    pub path: String,
    /// Its length, bytes.
    pub bytes: u64,
    /// When it was changed, Unix nanoseconds.
    pub changed: i64,
    /// Its number on the disk of the leader.
    pub inode: u64,
}

/// The files below the rights directory, by path; none without a directory.
/// Drafts of files that are being replaced are left out.
///
/// # Errors
///
/// A directory that cannot be read.
pub fn list(directory: &Path) -> io::Result<Vec<RightsFile>> {
    let mut files = Vec::new();
    list_below(directory, "", 0, &mut files)?;
    files.sort();
    Ok(files)
}

fn list_below(
    directory: &Path,
    prefix: &str,
    depth: usize,
    files: &mut Vec<RightsFile>,
) -> io::Result<()> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        // All names are made by the worker, and are plain.
        let Some(name) = name.to_str().filter(|name| !name.ends_with(".new")) else {
            continue;
        };
        let path = format!("{prefix}{name}");
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            // It was replaced meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if metadata.is_dir() && depth < DEPTH {
            list_below(&entry.path(), &format!("{path}/"), depth + 1, files)?;
        } else if metadata.is_file() {
            files.push(RightsFile {
                path,
                bytes: metadata.len(),
                changed: metadata
                    .mtime()
                    .saturating_mul(1_000_000_000)
                    .saturating_add(metadata.mtime_nsec()),
                inode: metadata.ino(),
            });
        }
    }
    Ok(())
}

/// Whether a path that another process has sent stays below a directory.
pub fn is_below(path: &str) -> bool {
    let path = Path::new(path);
    path.components().count() > 0
        && path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

/// Reads a part of a file; `None` if the file is no longer the one that was
/// listed. It may have grown since.
///
/// # Errors
///
/// A file that cannot be read.
pub fn read(
    directory: &Path,
    file: &RightsFile,
    offset: u64,
    bytes: u64,
) -> io::Result<Option<Vec<u8>>> {
    if !is_below(&file.path) {
        return Ok(None);
    }
    let mut open = match File::open(directory.join(&file.path)) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = open.metadata()?;
    if metadata.ino() != file.inode || metadata.len() < file.bytes {
        return Ok(None);
    }
    open.seek(SeekFrom::Start(offset))?;
    let mut part = Vec::new();
    open.take(bytes.min(file.bytes.saturating_sub(offset)))
        .read_to_end(&mut part)?;
    Ok(Some(part))
}

/// Whether a file is still the one that was listed, and has not changed.
///
/// # Errors
///
/// A directory that cannot be read.
pub fn is_current(directory: &Path, file: &RightsFile) -> io::Result<bool> {
    Ok(list(directory)?.contains(file))
}

/// Makes a directory the copy of these files: `content` has those that differ
/// from `before`, and all others below it are removed.
///
/// # Errors
///
/// Any error of the disk; the directory may then be neither.
pub fn install(
    directory: &Path,
    files: &[RightsFile],
    content: &[(PathBuf, Vec<u8>)],
) -> anyhow::Result<()> {
    create(directory)?;
    for (path, bytes) in content {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            create(parent)?;
        }
        disk::replace(&path, bytes)?;
    }
    for file in list(directory)? {
        if !files.iter().any(|listed| listed.path == file.path) {
            disk::remove(&directory.join(&file.path))?;
        }
    }
    Ok(File::open(directory)?.sync_all()?)
}

/// Creates a directory that others cannot read, unless it exists.
fn create(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    #[test]
    fn paths_of_others_stay_below() {
        for good in ["objections", "audit/acme.jsonl"] {
            assert!(is_below(good), "{good}");
        }
        for bad in [
            "",
            "..",
            "../process-0/MANIFEST",
            "/etc/passwd",
            "a/../../b",
        ] {
            assert!(!is_below(bad), "{bad}");
        }
    }

    #[test]
    fn a_file_that_was_replaced_is_not_read_for_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit/a.jsonl");
        create(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "one\n").unwrap();
        let listed = list(directory.path()).unwrap();
        let [file] = &listed[..] else {
            panic!("{listed:?}");
        };
        assert_eq!(file.path, "audit/a.jsonl");
        let mut append = OpenOptions::new().append(true).open(&path).unwrap();
        append.write_all(b"two\n").unwrap();
        let part = read(directory.path(), file, 0, 100).unwrap();
        assert_eq!(part.as_deref(), Some(&b"one\n"[..]));
        // The old file stays open, so that the new one has another number.
        std::fs::write(directory.path().join("b"), "1\n2\n3\n4\n").unwrap();
        std::fs::rename(directory.path().join("b"), &path).unwrap();
        assert_eq!(read(directory.path(), file, 0, 100).unwrap(), None);
    }

    #[test]
    fn an_installed_directory_holds_the_listed_files_only() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::write(root.join("old"), "x").unwrap();
        let file = |path: &str, bytes| RightsFile {
            path: path.to_owned(),
            bytes,
            changed: 0,
            inode: 0,
        };
        let files = [file("audit/a.jsonl", 3), file("objections", 2)];
        let content = [
            (PathBuf::from("audit/a.jsonl"), b"abc".to_vec()),
            (PathBuf::from("objections"), b"de".to_vec()),
        ];
        // What is replaced or removed is overwritten, whatever else names it.
        std::fs::write(root.join("objections"), "before").unwrap();
        for name in ["old", "objections"] {
            let kept = root.join(format!("kept-{name}.new"));
            std::fs::hard_link(root.join(name), kept).unwrap();
        }
        install(root, &files, &content).unwrap();
        assert_eq!(std::fs::read(root.join("kept-old.new")).unwrap(), [0; 1]);
        let kept = std::fs::read(root.join("kept-objections.new")).unwrap();
        assert_eq!(kept, [0; 6]);
        let paths: Vec<String> = list(root).unwrap().into_iter().map(|f| f.path).collect();
        assert_eq!(paths, ["audit/a.jsonl", "objections"]);
        install(root, &files[..1], &[]).unwrap();
        assert_eq!(list(root).unwrap().len(), 1);
    }
}
