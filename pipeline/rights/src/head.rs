//! Heads of append-only files, and the watermark of the ledger beside them.
//!
//! A ledger, its objection list, the audit logs and the receipts at the broker
//! belong together, and each references the others. A [`Head`] states the
//! number of entries of a file and a hash over them, which shows whether a file
//! still begins with those entries; a [`LedgerWatermark`] states how far the
//! ledger had advanced. A start compares them pairwise, so a missing, truncated
//! or outdated file is always detected.

use serde::{Deserialize, Serialize};

use crate::hex::{Hash, Hex};

/// The end of an append-only file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Hash over all entries up to the last one.
    pub hash: Hash,
    /// Number of the last entry; 0 for an empty file.
    pub seq: u64,
}

impl Head {
    /// The head of a file with `seq` entries and this hash.
    pub fn new(seq: u64, hash: [u8; 32]) -> Head {
        let hash = Hash(Hex(hash));
        Head { seq, hash }
    }
}

/// How far a ledger has advanced. Both numbers only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerWatermark {
    /// Ordinal of its last commit.
    pub commits: u64,
    /// ID of the ledger.
    id: Hex<16>,
    /// Generation of its manifest.
    pub manifest: u64,
}

impl LedgerWatermark {
    /// The watermark of the ledger with this ID.
    pub fn new(id: [u8; 16], manifest: u64, commits: u64) -> LedgerWatermark {
        LedgerWatermark {
            id: Hex(id),
            manifest,
            commits,
        }
    }

    /// ID of the ledger.
    pub fn id(&self) -> [u8; 16] {
        self.id.0
    }

    /// Whether this is the ledger of `earlier`, and has lost nothing since.
    pub fn follows(&self, earlier: &LedgerWatermark) -> bool {
        self.id == earlier.id
            && self.manifest >= earlier.manifest
            && self.commits >= earlier.commits
    }
}

/// Hashes of all prefixes of a file that was read.
#[derive(Clone, Debug)]
pub struct HashChain {
    /// Hash after each entry; the first is that of the empty file.
    hashes: Vec<Hash>,
}

impl HashChain {
    /// The chain of a file without entries. `begin` is the hash before the first
    /// entry.
    pub(crate) fn new(begin: Hash) -> HashChain {
        let hashes = vec![begin];
        HashChain { hashes }
    }

    /// Adds the hash after the next entry.
    pub(crate) fn push(&mut self, hash: Hash) {
        self.hashes.push(hash);
    }

    /// The head of the file.
    pub fn head(&self) -> Head {
        let hash = self.hashes.last().copied().unwrap_or(Hash::NONE);
        Head {
            seq: self.hashes.len() as u64 - 1,
            hash,
        }
    }

    /// The head that the file had with `seq` entries; `None` if it has fewer.
    pub fn at(&self, seq: u64) -> Option<Head> {
        let place = usize::try_from(seq).ok()?;
        let hash = *self.hashes.get(place)?;
        Some(Head { seq, hash })
    }

    /// Whether the file begins with the entries of this head.
    pub fn contains(&self, head: &Head) -> bool {
        self.at(head.seq) == Some(*head)
    }
}
