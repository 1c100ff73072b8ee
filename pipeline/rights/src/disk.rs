//! A file that only grows: one write and one sync an append.
//!
//! A failed write is taken back, so that the next append begins where this one did. Where that fails too, or where a
//! sync fails, nobody knows what the disk holds: the kernel reports a lost write once and then forgets it. From then
//! on the file takes nothing more, and opening it again, which reads what is there, is the only way on.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::FileError;

/// An open file, locked, with its length.
#[derive(Debug)]
pub(crate) struct Growing {
    path: PathBuf,
    file: File,
    length: u64,
    lost: bool,
}

impl Growing {
    /// Opens a file, for the owner alone, and reads it; creates it and its directory where they are missing.
    pub fn open(path: &Path) -> Result<(Growing, Vec<u8>), FileError> {
        let failed = |error| FileError::io(path, error);
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(directory).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).open(path).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => FileError::Locked {
                file: path.to_owned(),
            },
            TryLockError::Error(error) => failed(error),
        })?;
        let bytes = read(&file).map_err(failed)?;
        if bytes.is_empty() {
            let handle = File::open(directory).map_err(failed)?;
            handle
                .sync_all()
                .map_err(|error| FileError::sync(path, error))?;
        }
        let growing = Growing {
            path: path.to_owned(),
            file,
            length: bytes.len() as u64,
            lost: false,
        };
        Ok((growing, bytes))
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Cuts the file to a length, durably.
    pub fn cut(&mut self, length: u64) -> Result<(), FileError> {
        let cut = self.file.set_len(length);
        cut.map_err(|error| FileError::io(&self.path, error))?;
        self.length = length;
        self.sync()
    }

    /// Adds bytes at the end. They are durable when this returns; after an error they are not there.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        if self.lost {
            let error = io::Error::other("an earlier write or sync failed");
            return Err(FileError::sync(&self.path, error));
        }
        if let Err(error) = self.file.write_all_at(bytes, self.length) {
            return Err(match self.file.set_len(self.length) {
                Ok(()) => FileError::io(&self.path, error),
                Err(_) => {
                    self.lost = true;
                    FileError::sync(&self.path, error)
                }
            });
        }
        self.sync()?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.file.sync_data().map_err(|error| {
            self.lost = true;
            FileError::sync(&self.path, error)
        })
    }
}

fn read(mut file: &File) -> io::Result<Vec<u8>> {
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
        let (mut growing, _) = Growing::open(&path).unwrap();
        growing.append(b"one").unwrap();
        // A handle that may only read can neither write nor cut.
        let writable = std::mem::replace(&mut growing.file, File::open(&path).unwrap());
        assert_eq!(growing.append(b"two").unwrap_err().kind(), Kind::Sync);
        growing.file = writable;
        assert_eq!(growing.append(b"two").unwrap_err().kind(), Kind::Sync);
        drop(growing);
        let (mut growing, bytes) = Growing::open(&path).unwrap();
        assert_eq!(bytes, b"one");
        growing.append(b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"onetwo");
    }
}
