//! Names of cells, from fine to coarse.
//!
//! A contribution has a *chain*: the names of all cells that may count it, finest first. It is counted in the first of them
//! that is published. A dimension that a name gives up is written `*`, so that whoever calls a store or a campaign `*`
//! begins at the name that would be written the same: two cells never share their dimensions.

use std::sync::Arc;

use tributary_operators::label::Channel;
use tributary_operators::record::{Day, SaleKind};

use crate::brand::Brand;

/// A word of a dimension, or null, which comes first; words compare by their bytes.
pub(super) type Word = Option<Arc<str>>;

/// The name of a cell within its group. The order is that in which differences between patterns are taken over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// An hour of a store: its day, its start in Unix seconds, the offset from UTC in seconds, the store.
    StoreHour(Day, i64, i32, Word),
    /// A day of a store, or of the online orders; whether it counts stays.
    StoreDay(Day, bool, Word),
    /// The rest of a day: store `*`; whether it counts stays.
    Day(Day, bool),
    /// The rest of a source in the month.
    Source(Word),
    /// The rest of a source and medium in the month.
    SourceMedium(Word, Word),
    /// A channel in the month.
    Channel(Word, Word, Word),
    /// A channel on a day.
    ChannelDay(Word, Word, Word, Day),
    /// The rest of the month.
    Month,
    /// The rest of the stays of the month.
    StayMonth,
}

/// The coarsest grain, that of [`Name::Month`].
pub(super) const MONTH_GRAIN: u8 = 4;

impl Name {
    /// How coarse it is: 0 is the finest.
    pub(super) fn grain(&self) -> u8 {
        match self {
            Name::StoreHour(..) | Name::ChannelDay(..) => 0,
            Name::StoreDay(..) | Name::Channel(..) => 1,
            Name::Day(..) | Name::SourceMedium(..) => 2,
            Name::Source(_) => 3,
            Name::Month | Name::StayMonth => MONTH_GRAIN,
        }
    }

    /// The day that it is about; none where it is about the month.
    pub(super) fn day(&self) -> Option<Day> {
        match self {
            Name::StoreHour(day, ..)
            | Name::StoreDay(day, ..)
            | Name::Day(day, _)
            | Name::ChannelDay(.., day) => Some(*day),
            _ => None,
        }
    }

    /// Source, medium and campaign, `*` where they are given up.
    pub(super) fn channel(&self) -> [Word; 3] {
        match self {
            Name::Channel(source, medium, campaign)
            | Name::ChannelDay(source, medium, campaign, _) => {
                [source.clone(), medium.clone(), campaign.clone()]
            }
            Name::SourceMedium(source, medium) => [source.clone(), medium.clone(), star()],
            Name::Source(source) => [source.clone(), star(), star()],
            _ => [star(), star(), star()],
        }
    }

    /// The name of a cell with these words of a channel in the month.
    pub(super) fn of_channel([source, medium, campaign]: [Word; 3]) -> Name {
        if !is_star(&campaign) {
            Name::Channel(source, medium, campaign)
        } else if !is_star(&medium) {
            Name::SourceMedium(source, medium)
        } else if !is_star(&source) {
            Name::Source(source)
        } else {
            Name::Month
        }
    }

    /// Whether it counts stays alone.
    pub(super) fn is_of_stays(&self) -> bool {
        match self {
            Name::StoreDay(_, is_stay, _) | Name::Day(_, is_stay) => *is_stay,
            Name::StayMonth => true,
            _ => false,
        }
    }

    /// Whether it is the channel of conversions that are credited to nothing.
    pub(super) fn is_unattributed(&self) -> bool {
        let Name::Channel(Some(source), medium, None) = self else {
            return false;
        };
        &**source == "unattributed" && medium.as_deref().is_none_or(|of| of == "oversized")
    }
}

/// A dimension that is given up.
pub(super) fn star() -> Word {
    Some("*".into())
}

pub(super) fn is_star(word: &Word) -> bool {
    word.as_deref() == Some("*")
}

/// The names for the revenue of a store and day; of an order for that of the day. Stays have names of their own.
pub(super) fn of_revenue(kind: SaleKind, day: Day, is_stay: bool, store: &Word) -> Vec<Name> {
    let mut chain = Vec::new();
    if !is_star(store) {
        chain.push(Name::StoreDay(day, is_stay, store.clone()));
    }
    if kind != SaleKind::Order {
        chain.push(Name::Day(day, is_stay));
    }
    chain.push(match is_stay {
        true => Name::StayMonth,
        false => Name::Month,
    });
    chain
}

/// The names for a channel in a month. What is credited to nothing has no source and medium.
pub(super) fn of_channel(brand: &Brand, channel: Channel) -> Vec<Name> {
    let words = brand.channel_words(channel);
    let [source, medium, campaign] = words.clone();
    let mut chain = Vec::new();
    if !is_star(&campaign) {
        chain.push(Name::of_channel(words));
    }
    if !chain.first().is_some_and(Name::is_unattributed) {
        if !is_star(&medium) {
            chain.push(Name::SourceMedium(source.clone(), medium));
        }
        if !is_star(&source) {
            chain.push(Name::Source(source));
        }
    }
    chain.push(Name::Month);
    chain
}

/// The names for a contact with a channel on a day.
pub(super) fn of_contact(brand: &Brand, channel: Channel, day: Day) -> Vec<Name> {
    let [source, medium, campaign] = brand.channel_words(channel);
    let mut chain = vec![Name::ChannelDay(source, medium, campaign, day)];
    chain.extend(of_channel(brand, channel));
    chain
}

/// The names for what happens in a store's hour.
pub(super) fn of_hour(day: Day, start: i64, offset: i32, store: &Word) -> Vec<Name> {
    let mut chain = vec![Name::StoreHour(day, start, offset, store.clone())];
    chain.extend(of_revenue(SaleKind::Transaction, day, false, store));
    chain
}
