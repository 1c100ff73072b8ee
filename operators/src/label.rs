//! Labels: 64-bit stand-ins for the names of channels, stores and platforms.
//!
//! A label is the BLAKE3 hash of its name, so that keys are small, `Copy`, and equal on every process without a shared table.
//! Anybody with a browser can name a campaign, so that the hash must be one for which nobody finds a text that hashes like a
//! given name. The names that the operators themselves use have labels that no hash has.
//!
//! The names themselves are sent once to every worker, which keeps them in the [`LabelNames`] of their brand for as long as they
//! are needed ([`crate::label_registry`]), to write cells: the names of one brand never appear in a cell of another. Two names
//! of one brand with the same hash would share their cells; the registry then keeps the smaller name, so that the result does
//! not depend on the order of arrival, and counts the collision.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// The hash of a name; [`Label::ABSENT`] means no name.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Label(pub u64);

impl Label {
    /// No name: `null` in the output.
    pub const ABSENT: Label = Label(0);

    /// The bit of all labels but those of [`OWN_WORDS`].
    const OF_HASH: u64 = 1 << 63;

    /// The label of a name. The empty name is [`Label::ABSENT`].
    pub fn of(word: &str) -> Label {
        if word.is_empty() {
            return Label::ABSENT;
        }
        if let Some((number, _)) = (1..).zip(OWN_WORDS).find(|(_, own)| *own == word) {
            return Label(number);
        }
        let hash = blake3::hash(word.as_bytes());
        let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
        Label(u64::from_le_bytes(first) | Label::OF_HASH)
    }

    /// Whether there is no name.
    pub fn is_absent(self) -> bool {
        self == Label::ABSENT
    }
}

/// A marketing channel: source, medium and campaign.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Channel {
    /// The origin of the contact, for instance `google`.
    pub source: Label,
    /// The kind of the origin, for instance `cpc`.
    pub medium: Label,
    /// The campaign.
    pub campaign: Label,
}

impl Channel {
    /// A channel of up to three names; an empty name is absent.
    pub fn of(source: &str, medium: &str, campaign: &str) -> Channel {
        Channel {
            source: Label::of(source),
            medium: Label::of(medium),
            campaign: Label::of(campaign),
        }
    }

    /// Source, medium and campaign.
    pub fn labels(self) -> [Label; 3] {
        [self.source, self.medium, self.campaign]
    }

    /// A visit without a known origin: `direct`/`none`/null.
    pub fn direct() -> Channel {
        Channel::of("direct", "none", "")
    }

    /// The channel of conversions without a touchpoint: `unattributed`/null/null.
    pub fn unattributed() -> Channel {
        Channel::of("unattributed", "", "")
    }

    /// The channel of conversions of persons with too many identifiers: `unattributed`/`oversized`.
    pub fn oversized() -> Channel {
        Channel::of("unattributed", "oversized", "")
    }

    /// The sum of channels that the release gate suppresses: `other`/null/null.
    pub fn other() -> Channel {
        Channel::of("other", "", "")
    }

    /// Whether this is the sum of several channels whose campaigns are merged, `*`.
    pub fn is_several(self) -> bool {
        self.campaign == Label::of("*")
    }
}

/// The names behind the labels of one brand.
#[derive(Clone, Debug)]
pub struct LabelNames {
    /// The name of each label.
    words: FxHashMap<Label, Arc<str>>,
    collisions: u64,
}

/// The names that the operators themselves use, part of every [`LabelNames`].
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
    /// Adds the name of a label.
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

    /// The name of a label, or `None` if it is absent or unknown.
    pub fn word(&self, label: Label) -> Option<&Arc<str>> {
        self.words.get(&label)
    }

    /// Removes the name of a label.
    pub(crate) fn forget(&mut self, label: Label) {
        self.words.remove(&label);
    }

    /// The number of names, including those of the operators.
    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// The number of hash collisions.
    pub fn collisions(&self) -> u64 {
        self.collisions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_has_the_label_of_another() {
        // With XXH3, which does not resist this, the first is found in seconds for any given name.
        let forged = "F8eHu7KvUQpvroPG06Cm2CnIfEHnBcrJLeMoTr5wJ9l8VwhgGrxclajTZTcXwQQu";
        let hash = |word: &str| xxhash_rust::xxh3::xxh3_64(word.as_bytes());
        assert_eq!(hash(forged), hash("unattributed"));
        assert_ne!(Label::of(forged), Label::of("unattributed"));
        // The operators' own names have labels that no hash has.
        for (word, number) in OWN_WORDS.into_iter().zip(1..) {
            assert_eq!(Label::of(word), Label(number));
        }
        for word in ["Direct", "other ", "**", "lyon", forged] {
            assert!(Label::of(word).0 >= Label::OF_HASH, "{word}");
        }
    }
}
