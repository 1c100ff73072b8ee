//! The index of a backup: which files restore the ledger and what is beside it, and
//! the key of each.
//!
//! The active segment of the ledger grows and is in several parts; everything else is
//! one part.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tributary_ledger::{FileKey, OpenError};

/// Version of the format. A higher one is refused.
const VERSION: u32 = 1;

/// What a restored file, or an end of it, consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What is restored: `ledger/` and a name in the ledger, `rights/` and a path below
    /// the rights directory, or [`MOVES`].
    pub path: String,
    /// Where the part begins in it.
    pub from: u64,
    /// The length of the content, bytes.
    pub bytes: u64,
    /// What tells this content from others under the same path.
    pub is: String,
    /// The name of the sealed file.
    pub file: String,
    /// Its key, hexadecimal.
    pub key: String,
}

/// What the file is called that says which brands were moved.
pub const MOVES: &str = "moves.json";

/// What begins the paths of the files of the ledger.
pub const LEDGER: &str = "ledger/";

/// What begins the paths of the files of the rights directory.
pub const RIGHTS: &str = "rights/";

/// The content of an index.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    version: u32,
    parts: Vec<Part>,
}

/// What a sealed file of the backup of a ledger is bound to.
pub fn file_place(ledger: &[u8; 16]) -> Vec<u8> {
    [b"tributary backup file\0".as_slice(), ledger].concat()
}

/// What an index is bound to.
fn index_place(ledger: &[u8; 16], number: u64) -> Vec<u8> {
    let number = number.to_le_bytes();
    [b"tributary backup index\0".as_slice(), ledger, &number].concat()
}

/// The file of an index: the ID of the ledger, in clear text, so that nobody replaces
/// the backup of another one, and the sealed list.
///
/// # Errors
///
/// None in practice: everything is in memory.
pub fn seal(
    parts: &[Part],
    ledger: &[u8; 16],
    number: u64,
    key: &FileKey,
) -> anyhow::Result<Vec<u8>> {
    let json = serde_json::to_vec(&Json {
        version: VERSION,
        parts: parts.to_vec(),
    })?;
    let mut file = ledger.to_vec();
    let place = index_place(ledger, number);
    key.seal(&place, &mut json.as_slice(), &mut file)?;
    Ok(file)
}

/// The ledger of an index; `None` for a file that is none.
pub fn ledger_of(file: &[u8]) -> Option<[u8; 16]> {
    file.first_chunk().copied()
}

/// Opens an index; `None` if it does not open under this key.
///
/// # Errors
///
/// An index of a newer version.
pub fn open(file: &[u8], number: u64, key: &FileKey) -> anyhow::Result<Option<Vec<Part>>> {
    let Some((ledger, mut sealed)) = file.split_first_chunk() else {
        return Ok(None);
    };
    let mut json = Vec::new();
    match key.open(&index_place(ledger, number), &mut sealed, &mut json) {
        Err(OpenError::NotOpened) => return Ok(None),
        opened => opened?,
    };
    let json: Json = serde_json::from_slice(&json)
        .context("the index of the backup is not one of this version")?;
    if json.version > VERSION {
        bail!("the index of the backup was written by a newer version");
    }
    Ok(Some(json.parts))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn an_index_opens_under_its_key_and_number_alone() {
        let (key, other) = (FileKey::draw(), FileKey::draw());
        let parts = [Part {
            path: "ledger/MANIFEST".to_owned(),
            from: 0,
            bytes: 7,
            is: "x".to_owned(),
            file: "0".repeat(32),
            key: key.to_hex().to_string(),
        }];
        let file = seal(&parts, &[7; 16], 3, &key).unwrap();
        assert_eq!(ledger_of(&file), Some([7; 16]));
        assert_eq!(open(&file, 3, &key).unwrap().unwrap(), parts);
        assert_eq!(open(&file, 3, &other).unwrap(), None);
        assert_eq!(open(&file, 4, &key).unwrap(), None);
        let mut of_another = file.clone();
        of_another[0] ^= 1;
        assert_eq!(open(&of_another, 3, &key).unwrap(), None);
        assert_eq!(open(b"", 3, &key).unwrap(), None);
        let sealed = file_place(&[7; 16]);
        assert_ne!(sealed, index_place(&[7; 16], 3));
    }
}
