//! Known label names: the ledger writes each name once per brand and label, for
//! as long as it is in use.
//!
//! Two names that share a label are both stored, because the label registries
//! choose between them. Worker threads announce the labels that they use and
//! withdraw those that nothing references any more. A label that no thread has
//! announced is idle, and the next rewrite drops its names. From the start of
//! that rewrite the ledger treats them as unknown, so that a thread that
//! announces one again causes it to be written again.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::{FxHashMap, FxHashSet};
use tributary_operators::label::Label;
use tributary_operators::record::BrandId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::write_batch::WriteBatch;

/// A label of a brand.
pub(crate) type BrandLabel = (BrandId, Label);

/// Identifies a label name: the brand, the label, and a second hash of the
/// name.
pub(crate) type NameKey = (BrandId, Label, u64);

/// The key of a label name. Its seed differs from that of the label itself, so
/// that two names with the same label have different keys.
pub(crate) fn name_key(brand: BrandId, label: Label, word: &str) -> NameKey {
    (brand, label, xxh3_64_with_seed(word.as_bytes(), 1))
}

/// The names of one label.
#[derive(Clone, Debug, Default)]
struct LabelNames {
    /// Hashes of the names that the ledger stores.
    hashes: Vec<u64>,
    /// The threads that have announced the label and not withdrawn it.
    threads: Vec<usize>,
}

/// The names of all labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct LabelTable(FxHashMap<BrandLabel, LabelNames>);

impl LabelTable {
    /// Whether the ledger stores a name.
    pub fn contains(&self, (brand, label, hash): &NameKey) -> bool {
        let words = self.0.get(&(*brand, *label));
        words.is_some_and(|words| words.hashes.contains(hash))
    }

    /// Adds names that the ledger stores from now on.
    pub fn extend(&mut self, words: impl IntoIterator<Item = NameKey>) {
        for (brand, label, hash) in words {
            let words = self.0.entry((brand, label)).or_default();
            if !words.hashes.contains(&hash) {
                words.hashes.push(hash);
            }
        }
    }

    /// Records that a thread uses a label.
    pub fn announce(&mut self, of: BrandLabel, thread: usize) {
        let words = self.0.entry(of).or_default();
        if !words.threads.contains(&thread) {
            words.threads.push(thread);
        }
    }

    /// Applies a durable batch: first what its thread withdrew, then what it
    /// announced.
    pub fn commit(&mut self, batch: &WriteBatch) {
        for of in &batch.withdrawn {
            if let Some(words) = self.0.get_mut(of) {
                words.threads.retain(|thread| *thread != batch.thread);
            }
        }
        for (brand, label, _) in &batch.words {
            self.announce((*brand, *label), batch.thread);
        }
    }

    /// Removes a name that the ledger no longer stores.
    pub fn remove(&mut self, (brand, label, hash): &NameKey) {
        if let Some(words) = self.0.get_mut(&(*brand, *label)) {
            words.hashes.retain(|of| of != hash);
        }
    }

    /// Adds the names of another table, with the threads that have announced them.
    fn absorb(&mut self, other: LabelTable) {
        for (of, names) in other.0 {
            let (brand, label) = of;
            self.extend(names.hashes.iter().map(|hash| (brand, label, *hash)));
            let threads = names.threads.into_iter();
            threads.for_each(|thread| self.announce(of, thread));
        }
    }

    /// Removes and returns the labels that no thread has announced.
    pub fn take_idle(&mut self) -> FxHashSet<BrandLabel> {
        let idle = self.0.extract_if(|_, words| words.threads.is_empty());
        idle.map(|(of, _)| of).collect()
    }
}

/// The table, shared with the blocks of a recovery, which add their names when
/// they are opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownLabels(Arc<Mutex<LabelTable>>);

impl KnownLabels {
    /// Adds the names of another table, with the threads that have announced them.
    pub fn absorb(&self, other: &KnownLabels) {
        if Arc::ptr_eq(&self.0, &other.0) {
            return;
        }
        let other = other.with(|table| table.clone());
        self.with(|table| table.absorb(other));
    }

    /// Runs `act` on the table under its lock. A poisoned lock is used as it is:
    /// every change is complete in itself.
    pub fn with<T>(&self, act: impl FnOnce(&mut LabelTable) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
