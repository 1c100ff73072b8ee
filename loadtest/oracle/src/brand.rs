//! One brand while its cells are computed: its settings, and labels as dimensions.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_operators::cell::Dim;
use tributary_operators::label::{Channel, Label, LabelNames};
use tributary_operators::record::{BrandId, Currency, Ping, Record, SaleKind, UnmatchedStays};
use tributary_operators::settings::{BrandSettings, Settings};

use crate::stored::StoredState;

/// The settings of a brand, and the names of all labels.
pub(crate) struct Brand<'a> {
    /// The settings of the brand.
    pub(crate) settings: &'a BrandSettings,
    /// The names of the labels of all brands.
    pub(crate) words: &'a LabelNames,
    /// The time as of which the age of links is determined, Unix milliseconds; `None` if none was
    /// set.
    pub(crate) link_time: Option<i64>,
    /// The stays of settled salt days that were not matched.
    pub(crate) unmatched: Vec<UnmatchedStays>,
}

impl Brand<'_> {
    /// The `brand` dimension.
    pub(crate) fn name(&self) -> Dim {
        Dim::Text(self.settings.name.clone())
    }

    /// The name of a label as a dimension, or null for an absent or unnamed label.
    pub(crate) fn word(&self, label: Label) -> Dim {
        self.words
            .word(label)
            .map_or(Dim::Null, |word| Dim::Text(word.clone()))
    }

    /// The dimensions `source`, `medium` and `campaign`.
    pub(crate) fn channel(&self, channel: Channel) -> [Dim; 3] {
        [channel.source, channel.medium, channel.campaign].map(|label| self.word(label))
    }

    /// The names of a channel, for sorting: bytewise, absent names first.
    pub(crate) fn channel_words(&self, channel: Channel) -> [Option<Arc<str>>; 3] {
        [channel.source, channel.medium, channel.campaign]
            .map(|label| self.words.word(label).cloned())
    }
}

/// Calls `each` with every brand of the settings and its stored records and pings, in the order of
/// the brands' IDs. Brands without records or pings are left out.
pub(crate) fn by_brand(
    settings: &Settings,
    held: &StoredState,
    mut each: impl FnMut(&Brand, &[&Record], &[&Ping]),
) {
    let mut by_brand: BTreeMap<BrandId, (Vec<&Record>, Vec<&Ping>)> = BTreeMap::new();
    for record in &held.records {
        by_brand.entry(record.brand).or_default().0.push(record);
    }
    for ping in &held.pings {
        by_brand.entry(ping.brand).or_default().1.push(ping);
    }
    for of in &held.unmatched {
        by_brand.entry(of.brand).or_default();
    }
    for (id, (records, pings)) in by_brand {
        if let Some(settings) = settings.brands.get(&id) {
            let words = &held.words;
            let link_time = held.link_times.get(&id).copied();
            let brand = Brand {
                settings,
                words,
                link_time,
                unmatched: held
                    .unmatched
                    .iter()
                    .filter(|of| of.brand == id)
                    .copied()
                    .collect(),
            };
            each(&brand, &records, &pings);
        }
    }
}

/// The `kind` dimension.
pub(crate) fn kind(kind: SaleKind) -> Dim {
    Dim::Text(kind.name().into())
}

/// The `currency` dimension.
pub(crate) fn currency(currency: Currency) -> Dim {
    match currency {
        Currency::NONE => Dim::Null,
        currency => Dim::Text(currency.as_str().into()),
    }
}
