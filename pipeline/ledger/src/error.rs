//! Errors of the ledger. Each names its file and tells the operator what to do.
//!
//! The kind of an error determines the reaction: [`Kind::Full`] is transient,
//! [`Kind::Sync`] is final, and everything else stops a start before any
//! committed data is changed.

use std::io;
use std::path::{Path, PathBuf};

/// `errno` of Linux for a process without free file descriptors. Transient,
/// like a full disk.
const EMFILE: i32 = 24;
/// `errno` of Linux for a system without free file descriptors.
const ENFILE: i32 = 23;

/// An error of the ledger. Its text names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process has the ledger open.
    #[error("{}: another process holds this ledger; stop it first, or give each process a data directory of its own", .file.display())]
    Locked {
        /// The lock file.
        file: PathBuf,
    },
    /// The file was written by a newer version of the program.
    #[error("{}: written in format {found} by a newer version of Tributary, this one knows format {known}; nothing was changed; run the newer version", .file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format version.
        found: u32,
        /// The newest one that is known.
        known: u32,
    },
    /// A file occupies the path of the data directory.
    #[error("{}: not a directory, but the ledger needs one; move it away, or set another (`ledger.directory`)", .file.display())]
    NoDirectory {
        /// What stands there.
        file: PathBuf,
    },
    /// The configured secret of a brand is not the one that sealed the ledger.
    #[error("{}: brand `{brand}` was sealed under another secret; configure the secret under which it was sealed; after a rotation that is the newest one, with all previous secrets, oldest first, in `previous_secret_files`", .file.display())]
    WrongKey {
        /// The manifest.
        file: PathBuf,
        /// The brand's name.
        brand: String,
    },
    /// The new secrets of a brand do not continue the chain of those that the
    /// ledger has.
    #[error("{}: the secrets of brand `{brand}` do not go on from those that it had: `previous_secret_files` must list all of them, the oldest first, and no brand may come or go while the process runs", .file.display())]
    NotNewer {
        /// The manifest.
        file: PathBuf,
        /// The brand's name.
        brand: String,
    },
    /// The ledger holds records of a brand that is not in the configuration.
    #[error("{}: the ledger holds records of brand `{brand}`, which is not in the configuration; restore the brand, or move the data directory away and start over", .file.display())]
    UnknownBrand {
        /// The manifest.
        file: PathBuf,
        /// The brand's name.
        brand: String,
    },
    /// The ledger belongs to another process of the cluster, or to a cluster of
    /// another size.
    #[error("{}: this is the ledger of process {} of {}, but process {} of {} was asked for; mount the right directory, or set `workers` to what it was", .file.display(), .found.0, .found.1, .asked.0, .asked.1)]
    OtherShare {
        /// The manifest.
        file: PathBuf,
        /// Process and processes of the ledger.
        found: (usize, usize),
        /// Process and processes that were asked for.
        asked: (usize, usize),
    },
    /// The bytes of a file are not those that were written.
    #[error("{}: corrupt at byte {offset}: {what}; restore the data directory from a backup, or move it away and start over from what the stream still contains: tributary run --accept-loss", .file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A required file does not exist.
    #[error("{}: {what}; restore the data directory from a backup, or move it away and start over from what the stream still contains: tributary run --accept-loss", .file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// What it means.
        what: &'static str,
    },
    /// There is no ledger in the directory.
    #[error("{}: there is no ledger in this directory; name that of a process, such as {}", .directory.display(), .instead.display())]
    NoLedger {
        /// The directory.
        directory: PathBuf,
        /// A directory below that has one, or what one is called.
        instead: PathBuf,
    },
    /// The disk is full, a quota is exhausted, or there are no free file
    /// descriptors. Nothing is lost, and the same commit may be tried again.
    #[error("{}: no room ({error}); make some, the commit is then tried again", .file.display())]
    Full {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The directory may not be written to.
    #[error("{}: cannot be written ({error}); mount the data directory writable and let this user own it", .file.display())]
    ReadOnly {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// An `fsync` failed, so that the content of the disk is unknown.
    #[error("{}: the disk failed to write ({error}); this process must stop: check the disk, then restart it; it resumes from the last commit", .file.display())]
    Sync {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The segments that a rewrite was made of have been replaced in the meantime,
    /// or a secret was rotated. The files of the rewrite are removed.
    #[error("{}: the segments were rewritten, or a secret exchanged, in the meantime; rewrite again", .file.display())]
    Stale {
        /// The manifest.
        file: PathBuf,
    },
    /// The system refused an operation. It may be tried again.
    #[error("{}: {error}; check the data directory, then try again", .file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Classification of a [`LedgerError`], for decisions that do not depend on the
/// file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Another process holds the ledger.
    Locked,
    /// A newer version wrote it.
    Newer,
    /// The secret of this brand is another one.
    WrongKey(String),
    /// The secrets of this brand do not go on from those that it had.
    NotNewer(String),
    /// This brand is not in the configuration.
    UnknownBrand(String),
    /// It belongs to another process of the cluster.
    OtherShare,
    /// Bytes are wrong in this file, from this offset.
    Corrupt {
        /// The file.
        file: PathBuf,
        /// The offset in bytes.
        offset: u64,
    },
    /// A file is missing.
    Missing,
    /// No space: transient.
    Full,
    /// No permission to write.
    ReadOnly,
    /// An `fsync` failed: the process must stop.
    Sync,
    /// A rewrite that came too late.
    Stale,
    /// Anything else that the system refused.
    Io,
}

impl LedgerError {
    /// Classifies the error.
    pub fn kind(&self) -> Kind {
        match self {
            LedgerError::Locked { .. } => Kind::Locked,
            LedgerError::Newer { .. } => Kind::Newer,
            LedgerError::WrongKey { brand, .. } => Kind::WrongKey(brand.clone()),
            LedgerError::NotNewer { brand, .. } => Kind::NotNewer(brand.clone()),
            LedgerError::UnknownBrand { brand, .. } => Kind::UnknownBrand(brand.clone()),
            LedgerError::OtherShare { .. } => Kind::OtherShare,
            LedgerError::Corrupt { file, offset, .. } => Kind::Corrupt {
                file: file.clone(),
                offset: *offset,
            },
            LedgerError::Missing { .. } | LedgerError::NoLedger { .. } => Kind::Missing,
            LedgerError::Full { .. } => Kind::Full,
            LedgerError::ReadOnly { .. } => Kind::ReadOnly,
            LedgerError::Sync { .. } => Kind::Sync,
            LedgerError::Stale { .. } => Kind::Stale,
            LedgerError::NoDirectory { .. } | LedgerError::Io { .. } => Kind::Io,
        }
    }

    /// The error for a failed system call on `file`, classified by its `errno`.
    pub(crate) fn io(file: &Path, error: io::Error) -> LedgerError {
        let file = file.to_owned();
        if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) {
            return LedgerError::Full { file, error };
        }
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => LedgerError::Full { file, error },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                LedgerError::ReadOnly { file, error }
            }
            _ => LedgerError::Io { file, error },
        }
    }

    /// The error for wrong bytes at `offset` of `file`.
    pub(crate) fn corrupt(file: &Path, offset: u64, what: &'static str) -> LedgerError {
        LedgerError::Corrupt {
            file: file.to_owned(),
            offset,
            what,
        }
    }
}
