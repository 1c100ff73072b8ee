//! Files of rights requests on the disk: an append-only file, with one write and
//! one sync per append, and files that are replaced as a whole, whose bytes are
//! overwritten.
//!
//! A failed write is rolled back, so that the next append starts at the same
//! place. If the rollback fails too, or a sync fails, the content of the disk
//! is unknown: the kernel reports a lost write once and then forgets it
//! (Rebello et al., *Can Applications Recover from fsync Failures?*, USENIX ATC
//! 2020). The file then refuses further appends; only opening it again, which
//! reads the actual content, resolves this.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::FileError;

/// The longest wait for a lock that another holder is about to release.
const LOCK_WAIT: Duration = Duration::from_millis(500);

/// An open, locked file and its length.
#[derive(Debug)]
pub(crate) struct AppendFile {
    /// Path of the file, for error messages.
    path: PathBuf,
    /// The open file, which holds the lock.
    file: File,
    /// Length of the durable content in bytes.
    length: u64,
    /// Whether the content of the disk is unknown.
    sync_failed: bool,
}

impl AppendFile {
    /// Opens and locks a file with mode 0600 and reads it. The file and its
    /// directory are created if they do not exist.
    ///
    /// # Errors
    ///
    /// [`FileError::Locked`] if another process has it open; any error of the disk.
    pub fn open(path: &Path) -> Result<(AppendFile, Vec<u8>), FileError> {
        let failed = |error| FileError::io(path, error);
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(directory).map_err(failed)?;
        close_to_others(directory).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).open(path).map_err(failed)?;
        lock(&file).map_err(|error| match error {
            TryLockError::WouldBlock => FileError::Locked {
                file: path.to_owned(),
            },
            TryLockError::Error(error) => failed(error),
        })?;
        let bytes = read_to_end(&file).map_err(failed)?;
        if bytes.is_empty() {
            let handle = File::open(directory).map_err(failed)?;
            handle
                .sync_all()
                .map_err(|error| FileError::sync(path, error))?;
        }
        let file = AppendFile {
            path: path.to_owned(),
            file,
            length: bytes.len() as u64,
            sync_failed: false,
        };
        Ok((file, bytes))
    }

    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Truncates the file to a length, durably.
    pub fn truncate(&mut self, length: u64) -> Result<(), FileError> {
        let cut = self.file.set_len(length);
        cut.map_err(|error| FileError::io(&self.path, error))?;
        self.length = length;
        self.sync()
    }

    /// Appends bytes. They are durable when this returns, and absent after an error
    /// other than [`FileError::Sync`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        if self.sync_failed {
            let error = io::Error::other("an earlier write or sync failed");
            return Err(FileError::sync(&self.path, error));
        }
        if let Err(error) = self.file.write_all_at(bytes, self.length) {
            return Err(match self.file.set_len(self.length) {
                Ok(()) => FileError::io(&self.path, error),
                Err(_) => {
                    self.sync_failed = true;
                    FileError::sync(&self.path, error)
                }
            });
        }
        self.sync()?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Syncs the content, and remembers a failure.
    fn sync(&mut self) -> Result<(), FileError> {
        self.file.sync_data().map_err(|error| {
            self.sync_failed = true;
            FileError::sync(&self.path, error)
        })
    }
}

/// Locks a file, and waits up to [`LOCK_WAIT`] for its holder. A holder that
/// closes the file does not always release it at once: a lock belongs to the open
/// file, and a process that is being started shares all open files between
/// `fork(2)` and `execve(2)`.
fn lock(file: &File) -> Result<(), TryLockError> {
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if begin.elapsed() < LOCK_WAIT => {
                std::thread::sleep(LOCK_WAIT / 50);
            }
            result => return result,
        }
    }
}

/// Removes the permissions of group and others from a directory that an earlier
/// version or an operator created.
fn close_to_others(directory: &Path) -> io::Result<()> {
    let mode = std::fs::metadata(directory)?.permissions().mode();
    match mode & 0o077 {
        0 => Ok(()),
        _ => std::fs::set_permissions(directory, Permissions::from_mode(0o700)),
    }
}

/// Replaces the content of a file atomically, and overwrites the bytes of the
/// previous one.
///
/// # Errors
///
/// Any error of the disk. What cannot be overwritten is no error.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let failed = |error| FileError::io(path, error);
    let lost = |error| FileError::sync(path, error);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = path.with_file_name(format!("{name}.new"));
    let replaced = OpenOptions::new().write(true).open(path).ok();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(&draft).map_err(failed)?;
    file.write_all_at(content, 0).map_err(failed)?;
    file.sync_all().map_err(lost)?;
    std::fs::rename(&draft, path).map_err(failed)?;
    let directory = File::open(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    directory.sync_all().map_err(lost)?;
    // The new content is in place: what cannot be overwritten is only left behind.
    replaced.as_ref().map(overwrite);
    Ok(())
}

/// Overwrites a file and removes it.
///
/// # Errors
///
/// A file that cannot be removed. One that cannot be overwritten is no error.
pub fn remove(path: &Path) -> Result<(), FileError> {
    let file = OpenOptions::new().write(true).open(path);
    file.as_ref().ok().map(overwrite);
    std::fs::remove_file(path).map_err(|error| FileError::io(path, error))
}

/// Overwrites all files below a directory and removes it; nothing happens if there is
/// none. Links are not followed.
///
/// # Errors
///
/// Any error of the disk. What cannot be overwritten is no error.
pub fn remove_directory(directory: &Path) -> Result<(), FileError> {
    let failed = |error| FileError::io(directory, error);
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        match entry.file_type().map_err(failed)? {
            kind if kind.is_dir() => remove_directory(&entry.path())?,
            kind if kind.is_file() => remove(&entry.path())?,
            _ => std::fs::remove_file(entry.path()).map_err(failed)?,
        }
    }
    std::fs::remove_dir(directory).map_err(failed)
}

/// Overwrites the bytes of a file, as far as possible.
fn overwrite(file: &File) {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let zeros = vec![0; usize::try_from(length).unwrap_or(0)];
    let overwrite = || file.write_all_at(&zeros, 0).and_then(|()| file.sync_data());
    let _ = overwrite().or_else(|_| overwrite());
}

/// Replaces the content of a file atomically. The previous content is kept
/// beside it under another name, which is returned.
pub(crate) fn replace_and_keep_copy(path: &Path, content: &[u8]) -> Result<PathBuf, FileError> {
    let failed = |error| FileError::io(path, error);
    let lost = |error| FileError::sync(path, error);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = |end: String| path.with_file_name(format!("{name}{end}"));
    let free = (1..).map(|n: u32| beside(format!(".damaged-{n}")));
    let kept = free
        .into_iter()
        .find(|kept| !kept.exists())
        .unwrap_or_else(|| beside(".damaged".to_owned()));
    let draft = beside(".new".to_owned());
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(&draft).map_err(failed)?;
    file.write_all_at(content, 0).map_err(failed)?;
    file.sync_all().map_err(lost)?;
    std::fs::hard_link(path, &kept).map_err(failed)?;
    std::fs::rename(&draft, path).map_err(failed)?;
    let directory = File::open(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    directory.sync_all().map_err(lost)?;
    Ok(kept)
}

/// Reads a file without changing it; `None` if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::io(path, error)),
    }
}

/// Reads an open file to its end.
fn read_to_end(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut file, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_write_that_cannot_be_taken_back_ends_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let (mut file, _) = AppendFile::open(&path).unwrap();
        file.append(b"one").unwrap();
        // A handle that may only read can neither write nor cut.
        let writable = std::mem::replace(&mut file.file, File::open(&path).unwrap());
        assert_eq!(file.append(b"two").unwrap_err().kind(), Kind::Sync);
        file.file = writable;
        assert_eq!(file.append(b"two").unwrap_err().kind(), Kind::Sync);
        drop(file);
        let (mut file, bytes) = AppendFile::open(&path).unwrap();
        assert_eq!(bytes, b"one");
        file.append(b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"onetwo");
    }
}
