//! Heads of append-only files, and the watermark of the ledger beside them.
//!
//! A ledger, its objection list, the audit logs and the receipts at the broker belong together, and each references the
//! others. A [`Head`] states the number of entries of a file and a hash over them, which shows whether a file still
//! begins with those entries; a [`LedgerWatermark`] states how far the ledger had advanced. A start compares them
//! pairwise, so a missing, truncated or outdated file is always detected.

use serde::{Deserialize, Serialize};

use crate::hex::{Hash, Hex};

/// The end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// A hash over all entries up to the last one.
    pub hash: Hash,
    /// The number of the last entry, 0 for none.
    pub seq: u64,
}

impl Head {
    /// The head of so many entries with a hash of these bytes.
    pub fn new(seq: u64, hash: [u8; 32]) -> Head {
        let hash = Hash(Hex(hash));
        Head { seq, hash }
    }
}

/// How far a ledger is. Both numbers only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerWatermark {
    /// The ordinal of its last commit.
    pub commits: u64,
    id: Hex<16>,
    /// How often its manifest was written.
    pub manifest: u64,
}

impl LedgerWatermark {
    /// The mark of the ledger of this id.
    pub fn new(id: [u8; 16], manifest: u64, commits: u64) -> LedgerWatermark {
        LedgerWatermark {
            id: Hex(id),
            manifest,
            commits,
        }
    }

    /// The ledger's id.
    pub fn id(&self) -> [u8; 16] {
        self.id.0
    }

    /// Whether a ledger that is here now is the one that was there at `earlier`, and has lost nothing since.
    pub fn follows(&self, earlier: &LedgerWatermark) -> bool {
        self.id == earlier.id
            && self.manifest >= earlier.manifest
            && self.commits >= earlier.commits
    }
}

/// The entries of a file that was read, by their hashes.
#[derive(Clone, Debug)]
pub struct HashChain {
    hashes: Vec<Hash>,
}

impl HashChain {
    pub(crate) fn new(begin: Hash) -> HashChain {
        let hashes = vec![begin];
        HashChain { hashes }
    }

    pub(crate) fn push(&mut self, hash: Hash) {
        self.hashes.push(hash);
    }

    /// The end of the file.
    pub fn head(&self) -> Head {
        let hash = self.hashes.last().copied().unwrap_or(Hash::NONE);
        Head {
            seq: self.hashes.len() as u64 - 1,
            hash,
        }
    }

    /// The head that the file had with so many entries.
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
