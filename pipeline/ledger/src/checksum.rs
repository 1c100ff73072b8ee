//! Checksum of a whole segment file, which the manifest stores when the segment
//! is sealed.
//!
//! It is BLAKE3, so that the seals of the manifest extend to every byte of the
//! file. Segments of format 4 have XXH3-128, for which whoever writes to the disk
//! can find another file: the next rewrite replaces them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use crate::block::OLDEST;
use crate::error::LedgerError;

/// A checksum in progress.
#[derive(Clone)]
pub(crate) enum FileChecksum {
    /// XXH3-128, of format 4.
    Xxh3(Box<Xxh3>),
    /// BLAKE3.
    Blake3(Box<blake3::Hasher>),
}

impl FileChecksum {
    /// The checksum of nothing, for a segment of this format version.
    pub fn new(format: u32) -> FileChecksum {
        match format {
            OLDEST => FileChecksum::Xxh3(Box::default()),
            _ => FileChecksum::Blake3(Box::default()),
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            FileChecksum::Xxh3(hasher) => hasher.update(bytes),
            FileChecksum::Blake3(hasher) => drop(hasher.update(bytes)),
        }
    }

    /// The checksum of everything so far: 16 bytes of XXH3, or 32 of BLAKE3.
    pub fn digest(&self) -> Vec<u8> {
        match self {
            FileChecksum::Xxh3(hasher) => hasher.digest128().to_be_bytes().to_vec(),
            FileChecksum::Blake3(hasher) => hasher.finalize().as_bytes().to_vec(),
        }
    }
}

/// Whether a file of this format version is there and has this length and checksum, as far as these are known.
///
/// # Errors
///
/// A file that cannot be read.
pub(crate) fn matches(
    path: &Path,
    bytes: Option<u64>,
    expected: Option<&[u8]>,
    format: u32,
) -> Result<bool, LedgerError> {
    let failed = |error| LedgerError::io(path, error);
    let mut open = match File::open(path) {
        Ok(open) => open,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    let length = open.metadata().map_err(failed)?.len();
    if bytes.is_some_and(|bytes| bytes != length) {
        return Ok(false);
    }
    let Some(expected) = expected else {
        return Ok(true);
    };
    let mut checksum = FileChecksum::new(format);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match open.read(&mut buffer).map_err(failed)? {
            0 => return Ok(checksum.digest() == expected),
            read => checksum.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}
