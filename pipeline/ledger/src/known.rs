//! The words that the ledger holds, so that each is written once for a brand and a label.
//!
//! Two words that share a label are both kept, because the dictionaries choose between them.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashSet;
use tributary_operators::label::Label;
use tributary_operators::record::BrandId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A brand, a label, and another hash of its word.
pub(crate) type WordKey = (BrandId, Label, u64);

pub(crate) fn word_key(brand: BrandId, label: Label, word: &str) -> WordKey {
    (brand, label, xxh3_64_with_seed(word.as_bytes(), 1))
}

/// Shared with the blocks of a recovery, which fill it as they are opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Arc<Mutex<FxHashSet<WordKey>>>);

impl Known {
    pub fn with<T>(&self, act: impl FnOnce(&mut FxHashSet<WordKey>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
