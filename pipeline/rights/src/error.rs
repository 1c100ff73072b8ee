//! Errors of the files of this crate. Each names the file and tells the
//! operator what to do.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the audit log or of the objection list. Its text names the file
/// and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Another process, or another part of this one, has the file open.
    #[error("{}: another process holds this file; stop it first, or give each process a data directory of its own", .file.display())]
    Locked {
        /// The file.
        file: PathBuf,
    },
    /// The content is not what was written, or it was written under another key.
    #[error("{}: broken at {place}: {what}; nothing was changed; check that the brand has the secret that it had, otherwise keep the file as evidence and restore it from a backup", .file.display())]
    Broken {
        /// The file.
        file: PathBuf,
        /// The first broken place.
        place: Position,
        /// What is wrong there.
        what: &'static str,
    },
    /// The list was written under another secret of this brand.
    #[error("{}: the objections of brand `{brand}` were kept under another secret, under which nobody would be kept out; give the brand the secret that it had", .file.display())]
    WrongKey {
        /// The file.
        file: PathBuf,
        /// The brand's name.
        brand: String,
    },
    /// The file was written by a newer version of the program.
    #[error("{}: written in format {found} by a newer version of Tributary; nothing was changed; run the newer version", .file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format version.
        found: u32,
    },
    /// The disk is full. Nothing is lost, and the operation may be repeated.
    #[error("{}: no space left ({error}); free some, then try again", .file.display())]
    Full {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A write or a sync failed so that the content of the disk is unknown.
    #[error("{}: the disk did not take what was written ({error}); check the disk, then start again", .file.display())]
    Sync {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The system refused an operation.
    #[error("{}: {error}; check the data directory and its owner, then try again", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// A line, counted from 1.
    Line(u64),
    /// A byte, counted from 0.
    Byte(u64),
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Position::Line(line) => write!(f, "line {line}"),
            Position::Byte(byte) => write!(f, "byte {byte}"),
        }
    }
}

/// Classification of a [`FileError`], for decisions that do not depend on the
/// file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Another process has the file open.
    Locked,
    /// The content is wrong from this place on.
    Broken(Position),
    /// The secret of this brand is not the one that the file was written under.
    WrongKey(String),
    /// A newer version wrote it.
    Newer,
    /// No space: transient.
    Full,
    /// The process must stop and read the file again.
    Sync,
    /// Anything else that the system refused.
    Io,
}

impl FileError {
    /// Classifies the error.
    pub fn kind(&self) -> Kind {
        match self {
            FileError::Locked { .. } => Kind::Locked,
            FileError::Broken { place, .. } => Kind::Broken(*place),
            FileError::WrongKey { brand, .. } => Kind::WrongKey(brand.clone()),
            FileError::Newer { .. } => Kind::Newer,
            FileError::Full { .. } => Kind::Full,
            FileError::Sync { .. } => Kind::Sync,
            FileError::Io { .. } => Kind::Io,
        }
    }

    /// The error for a failed system call on `file`.
    pub(crate) fn io(file: &Path, error: io::Error) -> FileError {
        let file = file.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => FileError::Full { file, error },
            _ => FileError::Io { file, error },
        }
    }

    /// The error for a failed sync or rollback.
    pub(crate) fn sync(file: &Path, error: io::Error) -> FileError {
        FileError::Sync {
            file: file.to_owned(),
            error,
        }
    }

    /// The error for wrong content at `place`.
    pub(crate) fn broken(file: &Path, place: Position, what: &'static str) -> FileError {
        FileError::Broken {
            file: file.to_owned(),
            place,
            what,
        }
    }
}
