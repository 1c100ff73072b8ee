//! Steps that touch the disk, one function each.
//!
//! Durability is an order of steps, and a crash leaves a prefix of that order.
//! Every step therefore goes through this module, and the crash tests stop,
//! fail or copy the directory at each of them.
//!
//! A failed `fsync` is an error of its own kind. The kernel reports a lost
//! write once and then forgets it: a later successful `fsync` proves nothing
//! about the earlier write, and the page cache may show bytes that the disk
//! never stored (Rebello et al., *Can Applications Recover from fsync
//! Failures?*, USENIX ATC 2020). The content of the disk is then unknown, and
//! the only safe reaction is to stop and to read it again.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::error::LedgerError;

/// Result of a step; the error names the file.
type Result<T> = std::result::Result<T, LedgerError>;

/// Announces a step to the crash tests. Does nothing in other builds.
fn step(name: &'static str, file: &Path) -> io::Result<()> {
    #[cfg(test)]
    return hook::pass(name, file);
    #[cfg(not(test))]
    {
        let _ = (name, file);
        Ok(())
    }
}

/// Announces a step, executes it, and names the file in an error.
fn run<T>(name: &'static str, path: &Path, act: impl FnOnce() -> io::Result<T>) -> Result<T> {
    step(name, path)
        .and_then(|()| act())
        .map_err(|error| LedgerError::io(path, error))
}

/// Creates a directory with mode 0700, and its parents; an existing directory
/// loses the permissions of group and others.
pub(crate) fn create_directory(path: &Path) -> Result<()> {
    run("create directory", path, || {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let mode = std::fs::metadata(path)?.permissions().mode();
        match mode & 0o077 {
            0 => Ok(()),
            _ => std::fs::set_permissions(path, Permissions::from_mode(0o700)),
        }
    })
}

/// Creates a file with mode 0600, or truncates an existing one.
pub(crate) fn create(path: &Path) -> Result<File> {
    run("create", path, || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        options.mode(0o600).open(path)
    })
}

/// Opens an existing file for reading and writing.
pub(crate) fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options
        .open(path)
        .map_err(|error| LedgerError::io(path, error))
}

/// Writes all of `bytes` at `offset`. An error may leave any part of them.
pub(crate) fn write(file: &File, path: &Path, bytes: &[u8], offset: u64) -> Result<()> {
    run("write", path, || {
        #[cfg(test)]
        hook::half(path, || {
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            file.write_all_at(half, offset)
        })?;
        file.write_all_at(bytes, offset)
    })
}

/// Sets the length of a file.
pub(crate) fn truncate(file: &File, path: &Path, length: u64) -> Result<()> {
    run("truncate", path, || file.set_len(length))
}

/// Makes the content of a file durable (`fdatasync`).
///
/// # Errors
///
/// [`LedgerError::Sync`], after which the process must stop.
pub(crate) fn sync(file: &File, path: &Path) -> Result<()> {
    let synced = step("sync", path).and_then(|()| file.sync_data());
    synced.map_err(|error| sync_error(path, error))
}

/// Makes the names in a directory durable: files created, renamed or removed in
/// it.
///
/// # Errors
///
/// [`LedgerError::Sync`], after which the process must stop. So is a directory that
/// cannot be opened: the names have changed already, and whoever took that for a step
/// that did nothing would remove what the new names stand for.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    let handle = File::open(path).map_err(|error| sync_error(path, error))?;
    let synced = step("sync directory", path).and_then(|()| handle.sync_all());
    synced.map_err(|error| sync_error(path, error))
}

/// The error of a failed `fsync`.
fn sync_error(path: &Path, error: io::Error) -> LedgerError {
    LedgerError::Sync {
        file: path.to_owned(),
        error,
    }
}

/// Replaces the file `to` by `from` atomically. If the device fails, either may
/// have the name, which is as final as a failed sync.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    run("rename", to, || std::fs::rename(from, to)).map_err(|error| match error {
        LedgerError::Io { error, .. } => sync_error(to, error),
        other => other,
    })
}

/// Overwrites a file with zeros, as far as possible: copy-on-write file
/// systems, snapshots and spare blocks of flash disks may retain the old bytes.
/// These are sealed and remain so. Returns whether every byte was overwritten:
/// an error is no reason to keep a file that is to be removed.
pub(crate) fn wipe(file: &File, path: &Path) -> bool {
    let zeros = [0; 1 << 16];
    let wiped = step("wipe", path).and_then(|()| {
        let length = file.metadata()?.len();
        let mut offset = 0;
        while offset < length {
            let size = (length - offset).min(zeros.len() as u64);
            let part = zeros.get(..size as usize).unwrap_or_default();
            file.write_all_at(part, offset)?;
            offset += size;
        }
        file.sync_data()
    });
    wiped.is_ok()
}

/// Overwrites a file, as [`wipe`] does; a missing file needs no overwriting.
pub(crate) fn overwrite(path: &Path) -> bool {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => wipe(&file, path),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Removes a file. A missing file is not an error.
pub(crate) fn unlink(path: &Path) -> Result<()> {
    run("remove", path, || match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    })
}

/// Overwrites and removes a file. Returns whether it was overwritten, at the second
/// attempt at last. A missing file is not an error.
pub(crate) fn remove(path: &Path) -> Result<bool> {
    if !path.exists() {
        return Ok(true);
    }
    let overwritten = overwrite(path) || overwrite(path);
    unlink(path)?;
    Ok(overwritten)
}

/// What has become of the files that were replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The number of removed files.
    pub files: usize,
    /// How many of them could not be overwritten: their bytes, which are sealed, are
    /// in free blocks of the disk until these are used again.
    pub not_overwritten: usize,
}

impl Removed {
    /// Overwrites and removes a file, and counts it. A missing file is not an error.
    pub(crate) fn remove(&mut self, path: &Path) -> Result<()> {
        self.files += usize::from(path.exists());
        self.not_overwritten += usize::from(!remove(path)?);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod hook {
    //! Hooks of the crash tests, called before every step of the current thread.

    use std::cell::RefCell;
    use std::io;
    use std::path::Path;

    /// Called with the name of a step and its file; an error makes the step fail.
    type Hook = Box<dyn FnMut(&'static str, &Path) -> io::Result<()>>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    /// Installs a hook for this thread.
    pub(crate) fn set(hook: Hook) {
        HOOK.with(|slot| *slot.borrow_mut() = Some(hook));
    }

    /// Removes the hook of this thread.
    pub(crate) fn clear() {
        HOOK.with(|slot| *slot.borrow_mut() = None);
    }

    /// Calls the hook of this thread, if there is one.
    pub(super) fn pass(name: &'static str, file: &Path) -> io::Result<()> {
        HOOK.with(|slot| match slot.borrow_mut().as_mut() {
            Some(hook) => hook(name, file),
            None => Ok(()),
        })
    }

    /// Executes half of a write as a step of its own, so that the tests see torn
    /// writes.
    pub(super) fn half(file: &Path, write: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if HOOK.with(|slot| slot.borrow().is_none()) {
            return Ok(());
        }
        write()?;
        pass("half written", file)
    }
}
