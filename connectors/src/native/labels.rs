//! Labels: the names of channels, stores and platforms, and the announcement of
//! each name to the dataflow.
//!
//! A label name is in NFC (UAX 15) and trimmed; its case is kept. In a channel,
//! the names that analytics tools write for a direct visit count as absent. The
//! dataflow carries only the hash of a name, so each decoder announces a name
//! once, before the first event that uses it. A name that nothing references
//! any more is withdrawn, unless the decoder has used it since.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use tributary_operators::event::Event;
use tributary_operators::label::{Label, OWN_WORDS};
use tributary_operators::record::BrandId;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::dead_letter::Sink;

/// The names of a direct visit in exports of analytics tools, in lower case.
const DIRECT: [&str; 5] = ["(direct)", "direct", "(none)", "none", "(not set)"];

/// NFC and trimmed; empty if nothing remains. Borrows if the text is normalized
/// already.
pub fn normalize(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) if text.trim().len() == text.len() => Cow::Owned(text),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
    }
    Cow::Owned(text.nfc().collect::<String>().trim().to_owned())
}

/// Normalizes a word of a channel; a name of a direct visit becomes empty.
/// ```
/// use tributary_connectors::native::labels::normalize_channel;
///
/// assert_eq!(normalize_channel(" Google ".into()), "Google");
/// assert_eq!(normalize_channel("(not set)".into()), "");
/// ```
pub fn normalize_channel(text: Cow<'_, str>) -> Cow<'_, str> {
    let label = normalize(text);
    match DIRECT.iter().any(|word| word.eq_ignore_ascii_case(&label)) {
        true => Cow::Borrowed(""),
        false => label,
    }
}

/// The labels of one brand that this decoder has announced.
/// ```
/// use tributary_connectors::native::labels::{AnnouncedLabels, Withdrawal};
/// use tributary_operators::label::Label;
/// use tributary_operators::record::BrandId;
///
/// let mut labels = AnnouncedLabels::new(BrandId::of("acme"));
/// let google = Label::of("google");
/// assert_eq!(labels.withdraw(google, 0), Withdrawal::NotAnnounced);
/// labels.begin_epoch(5);
/// assert!(labels.mark_announced(google));
/// assert_eq!(labels.withdraw(google, 4), Withdrawal::UsedSince);
/// assert_eq!(labels.withdraw(google, 5), Withdrawal::Withdrawn);
/// ```
#[derive(Clone, Debug)]
pub struct AnnouncedLabels {
    /// The brand of the announcements.
    brand: BrandId,
    /// The epoch of each announced label's last use; `u64::MAX` for built-in
    /// labels, which are never withdrawn.
    last_used: FxHashMap<Label, u64>,
    /// The current epoch.
    epoch: u64,
    /// The labels of names seen last, by a short hash of the name. To hash a name anew takes ten times as long.
    recent: Vec<(Box<str>, Label)>,
}

/// The number of names in [`AnnouncedLabels::recent`], a power of two.
const RECENT: usize = 1_024;

/// The longest name that is kept there, bytes.
const RECENT_LENGTH: usize = 64;

/// The outcome of withdrawing a label that nothing referenced at the end of an
/// epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// This decoder has not announced it.
    NotAnnounced,
    /// The decoder has used it since; it remains announced.
    UsedSince,
    /// It is withdrawn; the next use announces it again.
    Withdrawn,
}

impl AnnouncedLabels {
    /// No label but the built-in ones is announced.
    pub fn new(brand: BrandId) -> AnnouncedLabels {
        let own_words = OWN_WORDS.iter().map(|word| (Label::of(word), u64::MAX));
        AnnouncedLabels {
            brand,
            last_used: own_words.collect(),
            epoch: 0,
            recent: Vec::new(),
        }
    }

    /// Begins an epoch. Epochs ascend.
    pub fn begin_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// Marks a label as announced earlier. Returns whether it is new.
    pub fn mark_announced(&mut self, label: Label) -> bool {
        let is_new = !self.last_used.contains_key(&label);
        self.last_used.entry(label).or_insert(self.epoch);
        is_new
    }

    /// Whether a label is announced that is not a built-in one.
    pub fn is_announced(&self, label: Label) -> bool {
        let used = self.last_used.get(&label);
        used.is_some_and(|used| *used < u64::MAX)
    }

    /// Withdraws a label that nothing referenced at the end of epoch `as_of`.
    pub fn withdraw(&mut self, label: Label, as_of: u64) -> Withdrawal {
        match self.last_used.get(&label) {
            None => Withdrawal::NotAnnounced,
            Some(used) if *used > as_of => Withdrawal::UsedSince,
            Some(_) => {
                self.last_used.remove(&label);
                Withdrawal::Withdrawn
            }
        }
    }

    /// The label of a name, which is announced to the sink if it is new. The
    /// empty name is absent and never announced.
    pub fn announce(&mut self, word: &str, sink: &mut impl Sink) -> Label {
        let label = self.label_of(word);
        if label.is_absent() {
            return label;
        }
        if let Some(used) = self.last_used.get_mut(&label) {
            *used = self.epoch.max(*used);
        } else {
            self.last_used.insert(label, self.epoch);
            sink.event(Event::LabelName {
                brand: self.brand,
                label,
                word: word.into(),
            });
        }
        label
    }

    /// [`Label::of`] the name.
    fn label_of(&mut self, word: &str) -> Label {
        if word.is_empty() || word.len() > RECENT_LENGTH {
            return Label::of(word);
        }
        if self.recent.is_empty() {
            self.recent = vec![(Box::default(), Label::ABSENT); RECENT];
        }
        let place = xxhash_rust::xxh3::xxh3_64(word.as_bytes()) as usize % RECENT;
        match self.recent.get_mut(place) {
            Some((held, label)) if **held == *word => *label,
            Some(recent) => {
                *recent = (word.into(), Label::of(word));
                recent.1
            }
            None => Label::of(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_composed_and_trimmed_and_keep_their_case() {
        assert_eq!(normalize("  Caf\u{65}\u{301} ".into()), "Caf\u{e9}");
        assert_eq!(normalize("\u{a0}CRM ".into()), "CRM");
        assert_eq!(normalize("\t ".into()), "");
    }

    #[test]
    fn the_words_for_direct_are_absent_in_any_case() {
        for word in ["(direct)", "Direct", "(NONE)", " none ", "(not set)", ""] {
            assert_eq!(normalize_channel(word.into()), "", "{word}");
        }
        for word in ["directory", "not set", "(none"] {
            assert_eq!(normalize_channel(word.into()), word);
        }
    }
}
