//! Sequential reader of an audit log that verifies each line, and the
//! comparison with a published head.

use std::path::Path;

use serde::de::IgnoredAny;

use crate::audit::Entry;
use crate::error::{FileError, Position};
use crate::head::Head;
use crate::hex::Hash;
use crate::keys::{BrandKeys, KeyLevel};

/// Summary of a valid log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedLog {
    /// Number of entries.
    pub entries: u64,
    /// Hash of the last entry.
    pub last_hash: Hash,
    /// When the first entry was appended, Unix milliseconds; `None` for an empty
    /// log.
    pub first_at: Option<i64>,
    /// When the last entry was appended, Unix milliseconds.
    pub last_at: Option<i64>,
    /// Length in bytes of an unfinished last line: an append that was interrupted,
    /// or is in progress.
    pub torn_bytes: u64,
}

/// Verifies the audit log of a brand without changing it; another process may
/// be appending to it. With `expected`, a head that was published, the chain
/// must contain that head: a log whose end was removed does not.
///
/// # Errors
///
/// [`FileError::Broken`] names the first invalid line and the reason,
/// [`FileError::Io`] a file that cannot be read.
pub fn verify(
    path: &Path,
    keys: &BrandKeys,
    expected: Option<Head>,
) -> Result<VerifiedLog, FileError> {
    let bytes = std::fs::read(path).map_err(|error| FileError::io(path, error))?;
    let mut chain = Chain::new(path, keys, &bytes);
    let mut found = expected.is_none_or(|head| head == chain.head());
    let (mut first_at, mut last_at) = (None, None);
    while let Some(entry) = chain.next() {
        let at = entry?.at;
        first_at.get_or_insert(at);
        last_at = Some(at);
        found |= expected == Some(chain.head());
        if !found && expected.is_some_and(|head| head.seq == chain.head.seq) {
            return Err(chain.broken("is not the entry that was published under its number"));
        }
    }
    if !found {
        chain.head.seq += 1;
        return Err(chain.broken("is missing: the published head has a higher number"));
    }
    Ok(VerifiedLog {
        entries: chain.head.seq,
        last_hash: chain.head.hash,
        first_at,
        last_at,
        torn_bytes: bytes.len() as u64 - chain.read,
    })
}

/// Iterator over the entries of a log, each verified when it is read.
pub(super) struct Chain<'a> {
    /// Path of the file, for error messages.
    path: &'a Path,
    /// Keys of the brand.
    keys: &'a BrandKeys,
    /// Bytes that are left.
    rest: &'a [u8],
    /// Head up to the last entry that was read.
    head: Head,
    /// Level of the key under which that entry was made.
    level: KeyLevel,
    /// Length in bytes of the entries that were read.
    read: u64,
}

impl<'a> Chain<'a> {
    /// A reader of the bytes of a log.
    pub fn new(path: &'a Path, keys: &'a BrandKeys, bytes: &'a [u8]) -> Chain<'a> {
        Chain {
            path,
            keys,
            rest: bytes,
            head: Head {
                seq: 0,
                hash: Hash::NONE,
            },
            level: KeyLevel::OLDEST,
            read: 0,
        }
    }

    /// Head up to the last entry that was read.
    pub fn head(&self) -> Head {
        self.head
    }

    /// Length in bytes of the entries that were read.
    pub fn read_bytes(&self) -> u64 {
        self.read
    }

    /// The error of the current line.
    fn broken(&self, what: &'static str) -> FileError {
        FileError::broken(self.path, Position::Line(self.head.seq), what)
    }
}

impl Iterator for Chain<'_> {
    type Item = Result<Entry, FileError>;

    fn next(&mut self) -> Option<Result<Entry, FileError>> {
        let rest = std::mem::take(&mut self.rest);
        let seq = self.head.seq + 1;
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            // A kill leaves the start of a line. What is no such start has been changed, as its end may have been.
            if rest.is_empty() || is_start(rest) {
                return None;
            }
            self.head.seq = seq;
            return Some(Err(
                self.broken("has no end, but is not the start of a line either")
            ));
        };
        let (line, after) = rest.split_at(end);
        let read = Entry::read(line, self.keys, seq, (self.head.hash, self.level));
        self.head.seq = seq;
        Some(match read {
            Ok((entry, hash, level)) => {
                (self.head.hash, self.level) = (hash, level);
                self.read += line.len() as u64 + 1;
                self.rest = after.get(1..).unwrap_or_default();
                Ok(entry)
            }
            Err(what) => Err(self.broken(what)),
        })
    }
}

/// Whether bytes are a JSON value or the beginning of one.
fn is_start(bytes: &[u8]) -> bool {
    match serde_json::from_slice::<IgnoredAny>(bytes) {
        Ok(_) => true,
        Err(error) => error.is_eof(),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::audit::entry::Content;
    use crate::audit::{AuditLog, Checkpoint};
    use crate::head::LedgerWatermark;

    #[test]
    fn an_older_secret_does_not_continue_a_log() {
        let directory = tempfile::tempdir().unwrap();
        let secret = |letter: &str| SecretString::from(letter.repeat(40));
        let old = BrandKeys::new("acme", &secret("o"));
        let new = old.clone().with_newer_secret(&secret("n"));
        let checkpoint = Checkpoint {
            ledger: LedgerWatermark::new([1; 16], 2, 3),
            objections: Head::new(0, [0; 32]),
            accepted: None,
        };
        let append = |keys: &BrandKeys| {
            let mut log = AuditLog::open(directory.path(), keys).unwrap().log;
            log.checkpoint(5, checkpoint).unwrap()
        };
        append(&old);
        let head = append(&new);
        let path = directory.path().join("acme.jsonl");
        assert_eq!(verify(&path, &new, Some(head)).unwrap().entries, 2);
        // Without the newer secret it is refused, and what the older one adds is refused with it.
        assert!(verify(&path, &old, None).is_err());
        let forged = Entry {
            seq: 3,
            at: 6,
            content: Content::Checkpoint(checkpoint),
        };
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str(&forged.line(&old, head.hash).0);
        std::fs::write(&path, text).unwrap();
        let error = verify(&path, &new, None).unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
        assert!(error.to_string().contains("older secret"), "{error}");
    }
}
