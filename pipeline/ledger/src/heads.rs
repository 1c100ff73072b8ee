//! Heads: the ends of the append-only files beside the ledger, as the manifest
//! records them.
//!
//! The number of entries and a hash over all of them distinguish a file from an
//! outdated copy: a copy is shorter, or differs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::Hex;

/// Head of an append-only file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileHead {
    /// Number of entries in the file.
    pub entries: u64,
    /// Hash over all entries, 32 bytes.
    hash: Hex,
}

impl FileHead {
    /// The head of a file with this number of entries and this hash.
    pub fn new(entries: u64, hash: [u8; 32]) -> FileHead {
        let hash = Hex(hash.to_vec());
        FileHead { entries, hash }
    }

    /// The hash; `None` if the manifest does not contain 32 bytes.
    pub fn hash(&self) -> Option<[u8; 32]> {
        self.hash.0.as_slice().try_into().ok()
    }
}

/// Heads by file name, relative to the rights directory.
pub type FileHeads = BTreeMap<String, FileHead>;
