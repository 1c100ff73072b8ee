//! Naming: keys become dimensions with words.

use crate::cell::{Dim, Family};
use crate::cells::Cells;
use crate::label::{Channel, Label};
use crate::record::BrandId;
use crate::settings::BrandSettings;
use crate::sums::{CellKey, MonthGroup};

impl Cells {
    pub(super) fn text(&self, label: Label) -> Dim {
        self.words
            .word(label)
            .map_or(Dim::Null, |word| Dim::Text(word.clone()))
    }

    pub(super) fn channel(&self, channel: Channel) -> [Dim; 3] {
        [channel.source, channel.medium, channel.campaign].map(|label| self.text(label))
    }

    /// The family of a key and its dimensions by name.
    pub(super) fn dims(&self, key: &CellKey, settings: &BrandSettings) -> (Family, Vec<Dim>) {
        let brand = Dim::Text(settings.name.clone());
        let word = |text: &str| Dim::Text(text.into());
        let grouped = |group: &MonthGroup, last: Vec<Dim>| {
            let mut dims = vec![
                brand.clone(),
                word(group.kind.name()),
                Dim::Month(group.month),
                word(group.currency.as_str()),
            ];
            dims.extend(last);
            dims
        };
        match key {
            CellKey::Attribution {
                model,
                channel,
                kind,
                store,
                day,
                currency,
                ..
            } => {
                let mut dims = vec![brand, word(model.name())];
                dims.extend(self.channel(*channel));
                dims.extend([
                    word(kind.name()),
                    self.text(*store),
                    Dim::Day(*day),
                    word(currency.as_str()),
                ]);
                (Family::Attribution, dims)
            }
            CellKey::StoreDay {
                store,
                day,
                currency,
                ..
            } => {
                let dims = vec![
                    brand,
                    self.text(*store),
                    Dim::Day(*day),
                    word(currency.as_str()),
                ];
                (Family::StoreDay, dims)
            }
            CellKey::OrdersDay { day, currency, .. } => (
                Family::OrdersDay,
                vec![brand, Dim::Day(*day), word(currency.as_str())],
            ),
            CellKey::CampaignDay { channel, day, .. } => {
                let mut dims = vec![brand];
                dims.extend(self.channel(*channel));
                dims.push(Dim::Day(*day));
                (Family::CampaignDay, dims)
            }
            CellKey::SpendDay {
                platform,
                channel,
                day,
                currency,
                ..
            } => {
                let mut dims = vec![brand, self.text(*platform)];
                dims.extend(self.channel(*channel));
                dims.extend([Dim::Day(*day), word(currency.as_str())]);
                (Family::SpendDay, dims)
            }
            CellKey::Visits {
                store,
                hour,
                utc_offset,
                ..
            } => (
                Family::Visits,
                vec![brand, self.text(*store), Dim::Hour(*hour, *utc_offset)],
            ),
            CellKey::Identity { .. } => (Family::Identity, vec![brand]),
            CellKey::Paths { group, path } => {
                let word = |label| self.words.word(label).cloned();
                let path = path
                    .iter()
                    .map(|c| [word(c.source), word(c.medium), word(c.campaign)]);
                (
                    Family::Paths,
                    grouped(group, vec![Dim::Path(path.collect())]),
                )
            }
            CellKey::PathLength { group, touches } => (
                Family::PathLength,
                grouped(group, vec![Dim::Count((*touches).into())]),
            ),
            CellKey::PathDays { group, days } => (
                Family::PathDays,
                grouped(group, vec![Dim::Count((*days).into())]),
            ),
            CellKey::Assists { group, channel } => (
                Family::Assists,
                grouped(group, self.channel(*channel).into()),
            ),
            CellKey::ConvertingEdge { group, .. }
            | CellKey::ConvertingReach { group, .. }
            | CellKey::Converted { group } => (Family::MarkovMonth, grouped(group, Vec::new())),
            CellKey::NullEdge { .. } | CellKey::NullReach { .. } => {
                (Family::MarkovMonth, vec![brand])
            }
        }
    }
}

/// The tenant that a key belongs to.
pub(super) fn brand_of(key: &CellKey) -> BrandId {
    match key {
        CellKey::Attribution { brand, .. }
        | CellKey::StoreDay { brand, .. }
        | CellKey::OrdersDay { brand, .. }
        | CellKey::CampaignDay { brand, .. }
        | CellKey::SpendDay { brand, .. }
        | CellKey::Visits { brand, .. }
        | CellKey::Identity { brand }
        | CellKey::NullEdge { brand, .. }
        | CellKey::NullReach { brand, .. } => *brand,
        CellKey::Paths { group, .. }
        | CellKey::PathLength { group, .. }
        | CellKey::PathDays { group, .. }
        | CellKey::Assists { group, .. }
        | CellKey::ConvertingEdge { group, .. }
        | CellKey::ConvertingReach { group, .. }
        | CellKey::Converted { group } => group.brand,
    }
}
