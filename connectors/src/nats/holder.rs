//! The holder of a lease: what the value of its key says, as JSON.
//!
//! An operator reads it with `nats kv get`, and other processes learn from it where
//! this one listens, how far its ledger is durable, and which build and settings it
//! computes with. A field that an older program does not know is ignored by it, and
//! one that it did not write is empty.

use serde::{Deserialize, Serialize};

/// Who holds a lease, as the operator sees it at the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The number of the process in its cluster.
    pub process: usize,
    /// The number of processes of the cluster.
    pub processes: usize,
    /// Its shard, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// The brands that it serves.
    #[serde(default)]
    pub brands: Vec<String>,
    /// The ID of its ledger, 32 hexadecimal digits.
    pub ledger: String,
    /// The ID of its copy of that ledger, 32 hexadecimal digits; empty if no other
    /// process has one.
    #[serde(default)]
    pub copy: String,
    /// The oldest state of its ledger with which a standby may take over: a number
    /// that the holder gives to states ([`Fence::raise_barrier`]). 0 for any.
    #[serde(default)]
    pub barrier: u64,
    /// Where it listens for the other processes of its cluster, `host:port`; empty where
    /// `workers.hosts` says it, and for a process that is alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The generation of its ledger's manifest, when it renewed the lease last.
    #[serde(default)]
    pub manifest: u64,
    /// The ordinal of its ledger's newest commit that was durable then.
    #[serde(default)]
    pub commits: u64,
    /// The name of its host.
    pub host: String,
    /// The version of the program.
    pub version: String,
    /// The commit that it was built from; empty from a program that did not state it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub build: String,
    /// A digest of the settings that the processes of a cluster share, 16 hexadecimal
    /// digits; empty from a program that did not state it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub settings: String,
    /// When it took the lease, RFC 3339, by its own clock.
    pub since: String,
    /// Whether it has given the lease back.
    pub released: bool,
}

impl Holder {
    /// The name of a process of its cluster, in keys of the bucket.
    pub(super) fn name_of(&self, process: usize) -> String {
        match &self.shard {
            Some(shard) => format!("{shard}-{process}"),
            None => process.to_string(),
        }
    }

    /// The name of the process.
    pub fn name(&self) -> String {
        self.name_of(self.process)
    }

    /// The commit behind the version, in brackets, where it is known.
    pub fn build_in_words(&self) -> String {
        match self.build.is_empty() {
            true => String::new(),
            false => format!(" ({})", self.build),
        }
    }

    /// Whether `other` had the very files of this holder's ledger open, which only
    /// one process can at a time.
    pub fn has_ledger_of(&self, other: &Holder) -> bool {
        match (self.copy.is_empty(), other.copy.is_empty()) {
            (false, false) => self.copy == other.copy,
            // It had no copy yet when it took the lease.
            (_, true) => self.ledger == other.ledger && !self.ledger.is_empty(),
            (true, false) => false,
        }
    }

    /// Whether a holder of the same build has other settings. Of another build, the settings
    /// themselves may be others.
    pub fn differs_from(&self, other: &Holder) -> bool {
        let build = |of: &Holder| (of.version.clone(), of.build.clone());
        let are_known = !self.settings.is_empty() && !other.settings.is_empty();
        build(self) == build(other) && are_known && self.settings != other.settings
    }

    /// What tells the time for which it has the lease from that of every other holder:
    /// BLAKE3 of copy (or of the ledger, where there is no other copy), host and
    /// beginning, each after its length in 8 bytes, least significant first. The first
    /// holder with a copy has no ledger yet when it takes the lease.
    pub fn tenure(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        let files = match self.copy.is_empty() {
            true => &self.ledger,
            false => &self.copy,
        };
        for text in [files, &self.host, &self.since] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.finalize().into()
    }

    /// Whether `other` is a renewal of the same lease.
    pub(super) fn is_same(&self, other: &Holder) -> bool {
        let mine = Holder {
            barrier: other.barrier,
            manifest: other.manifest,
            commits: other.commits,
            ledger: other.ledger.clone(),
            brands: other.brands.clone(),
            ..self.clone()
        };
        mine == *other
    }
}
