//! One brand while its cells are computed: its settings, and how labels become dimensions.

use tributary_operators::cell::Dim;
use tributary_operators::label::{Channel, Dictionary, Label};
use tributary_operators::record::{Currency, SaleKind};
use tributary_operators::settings::BrandSettings;

/// A brand's settings and the words of all labels.
pub(crate) struct Brand<'a> {
    pub(crate) settings: &'a BrandSettings,
    pub(crate) words: &'a Dictionary,
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
}

/// The `kind` dimension.
pub(crate) fn kind(kind: SaleKind) -> Dim {
    Dim::Text(kind.name().into())
}

/// The `currency` dimension.
pub(crate) fn currency(currency: Currency) -> Dim {
    Dim::Text(currency.as_str().into())
}
