//! Reading an audit log from its start, line by line, and holding it to what was published.

use std::path::Path;

use serde::de::IgnoredAny;

use crate::audit::Entry;
use crate::error::{FileError, Position};
use crate::head::Head;
use crate::hex::Hash;
use crate::keys::BrandKeys;

/// A chain that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedLog {
    /// How many entries it has.
    pub entries: u64,
    /// The hash of the last one.
    pub last_hash: Hash,
    /// When the first one was written, Unix milliseconds; none where there is none.
    pub first_at: Option<i64>,
    /// When the last one was.
    pub last_at: Option<i64>,
    /// Bytes of an unfinished line at the end: of an append that a kill or this very reading came before.
    pub torn_bytes: u64,
}

/// Verifies the audit log of a brand, without changing it; a process may be appending to it. With `expected`, a head
/// that was published before, the chain must contain it: a log whose end was cut off does not.
///
/// # Errors
///
/// [`FileError::Broken`] names the first broken line and why, [`FileError::Io`] tells that there is no such file.
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

/// The entries of a log, each verified as it is read.
pub(super) struct Chain<'a> {
    path: &'a Path,
    keys: &'a BrandKeys,
    rest: &'a [u8],
    head: Head,
    read: u64,
}

impl<'a> Chain<'a> {
    pub fn new(path: &'a Path, keys: &'a BrandKeys, bytes: &'a [u8]) -> Chain<'a> {
        Chain {
            path,
            keys,
            rest: bytes,
            head: Head {
                seq: 0,
                hash: Hash::NONE,
            },
            read: 0,
        }
    }

    /// The last entry that was read.
    pub fn head(&self) -> Head {
        self.head
    }

    /// How many bytes the entries take that were read.
    pub fn read_bytes(&self) -> u64 {
        self.read
    }

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
        let read = Entry::read(line, self.keys, seq, self.head.hash);
        self.head.seq = seq;
        Some(match read {
            Ok((entry, hash)) => {
                self.head.hash = hash;
                self.read += line.len() as u64 + 1;
                self.rest = after.get(1..).unwrap_or_default();
                Ok(entry)
            }
            Err(what) => Err(self.broken(what)),
        })
    }
}

/// Whether bytes are the start of a JSON value, or a whole one.
fn is_start(bytes: &[u8]) -> bool {
    match serde_json::from_slice::<IgnoredAny>(bytes) {
        Ok(_) => true,
        Err(error) => error.is_eof(),
    }
}
