//! One brand while its cells are computed: its settings, and how labels become dimensions.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_operators::cell::Dim;
use tributary_operators::label::{Channel, Label, LabelNames};
use tributary_operators::record::{BrandId, Currency, Ping, Record, SaleKind};
use tributary_operators::settings::{BrandSettings, Settings};

use crate::stored::StoredState;

/// A brand's settings and the words of all labels.
pub(crate) struct Brand<'a> {
    pub(crate) settings: &'a BrandSettings,
    pub(crate) words: &'a LabelNames,
    /// By which time its links are judged, Unix milliseconds; none where nobody has said.
    pub(crate) link_time: Option<i64>,
}

impl Brand<'_> {
    /// The `brand` dimension.
    pub(crate) fn name(&self) -> Dim {
        Dim::Text(self.settings.name.clone())
    }

    /// A label as a dimension: its word, or null.
    pub(crate) fn word(&self, label: Label) -> Dim {
        self.words
            .word(label)
            .map_or(Dim::Null, |word| Dim::Text(word.clone()))
    }

    /// The dimensions `source`, `medium`, `campaign`.
    pub(crate) fn channel(&self, channel: Channel) -> [Dim; 3] {
        [channel.source, channel.medium, channel.campaign].map(|label| self.word(label))
    }

    /// The words of a channel: strings compare by their bytes, and none comes first.
    pub(crate) fn channel_words(&self, channel: Channel) -> [Option<Arc<str>>; 3] {
        [channel.source, channel.medium, channel.campaign]
            .map(|label| self.words.word(label).cloned())
    }
}

/// Hands the records and pings of each brand over.
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
    for (id, (records, pings)) in by_brand {
        if let Some(settings) = settings.brands.get(&id) {
            let words = &held.words;
            let link_time = held.link_times.get(&id).copied();
            let brand = Brand {
                settings,
                words,
                link_time,
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
    Dim::Text(currency.as_str().into())
}
