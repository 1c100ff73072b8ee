//! Heads: the ends of the files beside the ledger, as recorded in the manifest.
//!
//! The number of entries of an append-only file and a hash over all of them distinguish the file from an older copy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::Hex;

/// The end of a file that only grows, as the ledger names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileHead {
    /// How many entries the file has.
    pub entries: u64,
    /// A hash over all of them.
    hash: Hex,
}

impl FileHead {
    /// The head of a file with so many entries of this hash.
    pub fn new(entries: u64, hash: [u8; 32]) -> FileHead {
        let hash = Hex(hash.to_vec());
        FileHead { entries, hash }
    }

    /// The hash; none where the manifest holds no such hash.
    pub fn hash(&self) -> Option<[u8; 32]> {
        self.hash.0.as_slice().try_into().ok()
    }
}

/// The heads of the files beside a ledger, by the names of the files.
pub type FileHeads = BTreeMap<String, FileHead>;
