//! The cells of a pattern of contacts or visits, and patterns read back from them.
//!
//! A dimension that a cell gives up is [`REST`]. The time of a cell is an hour, a day or a month; all stand in the dimension
//! of the finest.

use std::sync::Arc;

use crate::aggregate::TrafficMonth;
use crate::cell::{Dim, Family, Hour, Traffic};
use crate::label::{Channel, LabelNames};
use crate::release::table::Word;
use crate::release::traffic_name::TrafficName;
use crate::release::{ChannelName, REST};

/// The name of a published cell: its family and its dimensions.
pub(super) type CellId = (Family, Vec<Dim>);

/// The name of a channel.
pub(super) fn channel_name(channel: Channel, words: &LabelNames) -> ChannelName {
    let word = |label| words.word(label).cloned();
    ChannelName {
        source: word(channel.source),
        medium: word(channel.medium),
        campaign: word(channel.campaign),
    }
}

fn dim(word: &Word) -> Dim {
    word.clone().map_or(Dim::Null, Dim::Text)
}

fn rest() -> Dim {
    Dim::Text(REST.into())
}

/// The cell of a name.
pub(super) fn cell_id(of: TrafficMonth, brand: &Arc<str>, name: &TrafficName) -> CellId {
    let brand = Dim::Text(brand.clone());
    let month = Dim::Month(of.month);
    match of.traffic {
        Traffic::Contacts => {
            let ([source, medium, campaign], day) = channel_and_day(name, month);
            (
                Family::CampaignDay,
                vec![brand, source, medium, campaign, day],
            )
        }
        Traffic::Visits => {
            let (store, hour) = match name {
                TrafficName::StoreHour(_, start, offset, store) => {
                    (dim(store), Dim::Hour(*start, *offset))
                }
                TrafficName::StoreDay(day, store) => (dim(store), Dim::Day(*day)),
                TrafficName::Day(day) => (rest(), Dim::Day(*day)),
                _ => (rest(), month),
            };
            (Family::Visits, vec![brand, store, hour])
        }
    }
}

fn channel_and_day(name: &TrafficName, month: Dim) -> ([Dim; 3], Dim) {
    let of = |channel: &ChannelName| [&channel.source, &channel.medium, &channel.campaign].map(dim);
    match name {
        TrafficName::ChannelDay(channel, day) => (of(channel), Dim::Day(*day)),
        TrafficName::Channel(channel) => (of(channel), month),
        TrafficName::SourceMedium(source, medium) => ([dim(source), dim(medium), rest()], month),
        TrafficName::Source(source) => ([dim(source), rest(), rest()], month),
        _ => ([rest(), rest(), rest()], month),
    }
}

fn word(dim: &Dim) -> Word {
    match dim {
        Dim::Text(word) => Some(word.clone()),
        _ => None,
    }
}

fn is_rest(dim: &Dim) -> bool {
    matches!(dim, Dim::Text(word) if **word == *REST)
}

/// The name of a published cell, if it is one of contacts or visits.
pub(super) fn name_of((family, dims): &CellId) -> Option<TrafficName> {
    match (family, &dims[..]) {
        (Family::CampaignDay, [_, source, medium, campaign, day]) => {
            let channel = || ChannelName {
                source: word(source),
                medium: word(medium),
                campaign: word(campaign),
            };
            Some(
                match (day, is_rest(source), is_rest(medium), is_rest(campaign)) {
                    (Dim::Day(day), ..) => TrafficName::ChannelDay(channel(), *day),
                    (_, true, ..) => TrafficName::Month,
                    (_, _, true, _) => TrafficName::Source(word(source)),
                    (.., true) => TrafficName::SourceMedium(word(source), word(medium)),
                    _ => TrafficName::Channel(channel()),
                },
            )
        }
        (Family::Visits, [_, store, time]) => match time {
            Dim::Hour(start, utc_offset) => {
                let (start, utc_offset) = (*start, *utc_offset);
                let day = Hour { start, utc_offset }.local_day();
                Some(TrafficName::StoreHour(day, start, utc_offset, word(store)))
            }
            Dim::Day(day) if is_rest(store) => Some(TrafficName::Day(*day)),
            Dim::Day(day) => Some(TrafficName::StoreDay(*day, word(store))),
            _ => Some(TrafficName::Month),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Month;
    use crate::record::BrandId;

    #[test]
    fn a_name_is_read_back_from_its_cell() {
        let channel = ChannelName::of("google", "cpc", "");
        let store: Word = Some("lyon".into());
        let contacts = [
            TrafficName::Month,
            TrafficName::Source(Some("google".into())),
            TrafficName::SourceMedium(None, Some("cpc".into())),
            TrafficName::Channel(channel.clone()),
            TrafficName::ChannelDay(channel, 20_000),
        ];
        let visits = [
            TrafficName::Month,
            TrafficName::Day(20_000),
            TrafficName::StoreDay(20_000, store.clone()),
            TrafficName::StoreHour(20_000, 20_000 * 86_400 - 3_600, 3_600, store),
        ];
        let month: Month = 2024 * 12 + 9;
        for (traffic, names) in [
            (Traffic::Contacts, &contacts[..]),
            (Traffic::Visits, &visits),
        ] {
            let of = TrafficMonth {
                brand: BrandId(0),
                month,
                traffic,
            };
            for name in names {
                let id = cell_id(of, &"acme".into(), name);
                assert_eq!(name_of(&id).as_ref(), Some(name));
            }
        }
    }
}
