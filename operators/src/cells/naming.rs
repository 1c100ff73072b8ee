//! Naming: keys become dimensions with words, and the other way round.

use std::sync::Arc;

use crate::aggregate::{CellKey, MonthGroup};
use crate::attribution::Model;
use crate::cell::{Cell, Dim, Family};
use crate::label::{Channel, Label, LabelNames};
use crate::record::{BrandId, Currency, SaleKind};
use crate::settings::{BrandSettings, Settings};

fn text(label: Label, words: &LabelNames) -> Dim {
    words
        .word(label)
        .map_or(Dim::Null, |word| Dim::Text(word.clone()))
}

/// The dimensions `source`, `medium`, `campaign`.
pub(super) fn channel_dims(channel: Channel, words: &LabelNames) -> [Dim; 3] {
    [channel.source, channel.medium, channel.campaign].map(|label| text(label, words))
}

/// The family of a key and its dimensions by name.
pub(super) fn dims(
    key: &CellKey,
    settings: &BrandSettings,
    words: &LabelNames,
) -> (Family, Vec<Dim>) {
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
            let mut dims = Vec::with_capacity(Family::Attribution.dims().len());
            dims.extend([brand, word(model.name())]);
            dims.extend(channel_dims(*channel, words));
            dims.extend([
                word(kind.name()),
                text(*store, words),
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
                text(*store, words),
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
            dims.extend(channel_dims(*channel, words));
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
            let mut dims = vec![brand, text(*platform, words)];
            dims.extend(channel_dims(*channel, words));
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
            vec![brand, text(*store, words), Dim::Hour(*hour, *utc_offset)],
        ),
        CellKey::Identity { .. } => (Family::Identity, vec![brand]),
        CellKey::Paths { group, path } => {
            let word = |label| words.word(label).cloned();
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
            grouped(group, channel_dims(*channel, words).into()),
        ),
        CellKey::MarkovMonth { group, channel } => (
            Family::MarkovMonth,
            grouped(group, channel_dims(*channel, words).into()),
        ),
        CellKey::Sale(row) => (Family::Attribution, grouped(&row.group, Vec::new())),
        CellKey::ConvertingEdge { group, .. }
        | CellKey::ConvertingReach { group, .. }
        | CellKey::Taken { group, .. }
        | CellKey::Converted { group } => (Family::MarkovMonth, grouped(group, Vec::new())),
        CellKey::NullEdge { .. } | CellKey::NullReach { .. } => (Family::MarkovMonth, vec![brand]),
        CellKey::Touched { .. } => (Family::Attribution, vec![brand]),
    }
}

/// The words of a cell that labels stand for.
pub(super) fn words(cell: &Cell) -> Vec<&Arc<str>> {
    let mut words = Vec::new();
    for name in ["source", "medium", "campaign", "store", "platform", "path"] {
        match cell.dim(name) {
            Some(Dim::Text(word)) => words.push(word),
            Some(Dim::Path(path)) => words.extend(path.iter().flatten().flatten()),
            _ => {}
        }
    }
    words
}

/// The key of a cell by its dimensions; none where no key of these brands has them.
pub(super) fn key_of(cell: &Cell, settings: &Settings) -> Option<CellKey> {
    let name = cell.text("brand");
    let named = |(_, of): &(&BrandId, &BrandSettings)| *of.name == *name;
    let (&brand, _) = settings.brands.iter().find(named)?;
    let label = |dim| Label::of(cell.text(dim));
    let channel = Channel {
        source: label("source"),
        medium: label("medium"),
        campaign: label("campaign"),
    };
    let day = || cell.day();
    let currency = || Some(Currency(cell.text("currency").as_bytes().try_into().ok()?));
    let kind = || {
        let kinds = [SaleKind::Order, SaleKind::Transaction].into_iter();
        kinds.into_iter().find(|of| of.name() == cell.text("kind"))
    };
    let group = || match cell.dim("month") {
        Some(Dim::Month(month)) => Some(MonthGroup {
            brand,
            month: *month,
            kind: kind()?,
            currency: currency()?,
        }),
        _ => None,
    };
    let count = |dim| match cell.dim(dim) {
        Some(Dim::Count(count)) => u32::try_from(*count).ok(),
        _ => None,
    };
    Some(match cell.family {
        Family::Attribution => CellKey::Attribution {
            brand,
            model: Model::ALL
                .into_iter()
                .find(|of| of.name() == cell.text("model"))?,
            channel,
            kind: kind()?,
            store: label("store"),
            day: day()?,
            currency: currency()?,
        },
        Family::StoreDay => CellKey::StoreDay {
            brand,
            store: label("store"),
            day: day()?,
            currency: currency()?,
        },
        Family::OrdersDay => CellKey::OrdersDay {
            brand,
            day: day()?,
            currency: currency()?,
        },
        Family::CampaignDay => CellKey::CampaignDay {
            brand,
            channel,
            day: day()?,
        },
        Family::SpendDay => CellKey::SpendDay {
            brand,
            platform: label("platform"),
            channel,
            day: day()?,
            currency: currency()?,
        },
        Family::Visits => match cell.dim("hour") {
            Some(Dim::Hour(hour, utc_offset)) => CellKey::Visits {
                brand,
                store: label("store"),
                hour: *hour,
                utc_offset: *utc_offset,
            },
            _ => return None,
        },
        Family::Identity => CellKey::Identity { brand },
        Family::MarkovMonth => CellKey::MarkovMonth {
            group: group()?,
            channel,
        },
        Family::Assists => CellKey::Assists {
            group: group()?,
            channel,
        },
        Family::Paths => match cell.dim("path") {
            Some(Dim::Path(path)) => {
                let of = |word: &Option<std::sync::Arc<str>>| {
                    word.as_deref().map_or(Label::ABSENT, Label::of)
                };
                let channels = path.iter().map(|[source, medium, campaign]| Channel {
                    source: of(source),
                    medium: of(medium),
                    campaign: of(campaign),
                });
                CellKey::Paths {
                    group: group()?,
                    path: channels.collect(),
                }
            }
            _ => return None,
        },
        Family::PathLength => CellKey::PathLength {
            group: group()?,
            touches: count("touches")?,
        },
        Family::PathDays => CellKey::PathDays {
            group: group()?,
            days: count("days")?,
        },
    })
}
