//! Labels: the words that name channels, stores and platforms.
//!
//! A label travels through the dataflow as the 64-bit XXH3 of its bytes, so that keys are small,
//! `Copy`, and equal on every process without a shared table. The words themselves go once to every
//! worker, which keeps them in a [`LabelNames`] of their brand for the moment a cell is written, and for as long as they
//! are needed ([`crate::label_registry`]): what one brand calls something never names a cell of another. Two words of one
//! brand that share a hash would share their cells; the dictionary then keeps the smaller word, so that the result does
//! not depend on which one came first, and counts the collision.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// The hash that stands for a word; [`Label::ABSENT`] stands for no word.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Label(pub u64);

impl Label {
    /// No word: `null` in the output.
    pub const ABSENT: Label = Label(0);

    /// The label of a word. The empty word is [`Label::ABSENT`].
    pub fn of(word: &str) -> Label {
        if word.is_empty() {
            return Label::ABSENT;
        }
        Label(xxhash_rust::xxh3::xxh3_64(word.as_bytes()).max(1))
    }

    /// Whether there is no word.
    pub fn is_absent(self) -> bool {
        self == Label::ABSENT
    }
}

/// A marketing channel: source, medium and campaign.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Channel {
    /// Where the contact came from, `google`.
    pub source: Label,
    /// How it came, `cpc`.
    pub medium: Label,
    /// Under which campaign.
    pub campaign: Label,
}

impl Channel {
    /// A channel of up to three words; an empty word is absent.
    pub fn of(source: &str, medium: &str, campaign: &str) -> Channel {
        Channel {
            source: Label::of(source),
            medium: Label::of(medium),
            campaign: Label::of(campaign),
        }
    }

    /// The visit that nothing explains: `direct`/`none`/null.
    pub fn direct() -> Channel {
        Channel::of("direct", "none", "")
    }

    /// Where the value of a conversion without a touch goes: `unattributed`/null/null.
    pub fn unattributed() -> Channel {
        Channel::of("unattributed", "", "")
    }

    /// Where the conversions of a person with too many identifiers go: `unattributed`/`oversized`.
    pub fn oversized() -> Channel {
        Channel::of("unattributed", "oversized", "")
    }

    /// What the release gate adds up because too few stand behind it: `other`/null/null.
    pub fn other() -> Channel {
        Channel::of("other", "", "")
    }

    /// Whether it stands for several channels that have their campaign given up, `*`.
    pub fn is_several(self) -> bool {
        self.campaign == Label::of("*")
    }
}

/// The words behind the labels that one worker has been told.
#[derive(Clone, Debug)]
pub struct LabelNames {
    words: FxHashMap<Label, Arc<str>>,
    collisions: u64,
}

/// The words that the operators themselves write, known to every dictionary.
pub const OWN_WORDS: [&str; 6] = ["direct", "none", "unattributed", "oversized", "other", "*"];

impl Default for LabelNames {
    fn default() -> Self {
        let mut dictionary = LabelNames {
            words: FxHashMap::default(),
            collisions: 0,
        };
        for word in OWN_WORDS {
            dictionary.insert(Label::of(word), word.into());
        }
        dictionary
    }
}

impl LabelNames {
    /// Remembers the word of a label.
    pub fn insert(&mut self, label: Label, word: Arc<str>) {
        match self.words.entry(label) {
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(word);
            }
            std::collections::hash_map::Entry::Occupied(mut slot) => {
                if slot.get() != &word {
                    self.collisions += 1;
                    if word < *slot.get() {
                        slot.insert(word);
                    }
                }
            }
        }
    }

    /// The word of a label, or none where the label is absent or was never told.
    pub fn word(&self, label: Label) -> Option<&Arc<str>> {
        self.words.get(&label)
    }

    /// Drops the word of a label.
    pub(crate) fn forget(&mut self, label: Label) {
        self.words.remove(&label);
    }

    /// How many words it holds, those of the operators counted.
    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// How often a second word claimed a label.
    pub fn collisions(&self) -> u64 {
        self.collisions
    }
}
