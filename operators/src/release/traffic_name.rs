//! The names of the cells of contacts and visits.
//!
//! Both count a month on days, and neither adds up to a total that anybody knows. Contacts go up from a channel on a day to
//! the channel in the month, to its source and medium, its source, and the month; visits from an hour of a store to its
//! day, to the day over all stores, and the month.

use crate::record::Day;
use crate::release::grain::GrainName;
use crate::release::pattern::{CellName, REST};
use crate::release::table::{ChannelName, Word};

/// The name of a cell of contacts or visits. The order is that in which cells are taken over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrafficName {
    /// An hour of a store: its day, its start in Unix seconds, its offset from UTC in seconds, and the store.
    StoreHour(Day, i64, i32, Word),
    /// The rest of a store's day.
    StoreDay(Day, Word),
    /// The rest of a day, over all stores.
    Day(Day),
    /// The rest of a source in the month.
    Source(Word),
    /// The rest of a source and medium in the month.
    SourceMedium(Word, Word),
    /// The rest of a channel in the month.
    Channel(ChannelName),
    /// A channel on a day.
    ChannelDay(ChannelName, Day),
    /// The rest of the month.
    Month,
}

impl TrafficName {
    /// The names that cover a channel on a day, the finest first.
    pub fn covering_contact(channel: &ChannelName, day: Day) -> Vec<TrafficName> {
        let mut names = vec![TrafficName::ChannelDay(channel.clone(), day)];
        names.extend(CellName::covering(channel).map(|name| match name {
            CellName::Channel(channel) => TrafficName::Channel(channel),
            CellName::SourceMedium(source, medium) => TrafficName::SourceMedium(source, medium),
            CellName::Source(source) => TrafficName::Source(source),
            CellName::Month => TrafficName::Month,
        }));
        names
    }

    /// The names that cover an hour of a store, the finest first. A store that calls itself [`REST`] has no day of its own.
    pub fn covering_hour(day: Day, start: i64, offset: i32, store: &Word) -> Vec<TrafficName> {
        let mut names = vec![TrafficName::StoreHour(day, start, offset, store.clone())];
        if store.as_deref() != Some(REST) {
            names.push(TrafficName::StoreDay(day, store.clone()));
        }
        names.extend([TrafficName::Day(day), TrafficName::Month]);
        names
    }
}

impl GrainName for TrafficName {
    fn grain(&self) -> u8 {
        match self {
            TrafficName::Month => 0,
            TrafficName::Source(_) | TrafficName::Day(_) => 1,
            TrafficName::SourceMedium(..) | TrafficName::StoreDay(..) => 2,
            TrafficName::Channel(_) | TrafficName::StoreHour(..) => 3,
            TrafficName::ChannelDay(..) => 4,
        }
    }

    fn day(&self) -> Option<Day> {
        match self {
            TrafficName::StoreHour(day, ..)
            | TrafficName::StoreDay(day, _)
            | TrafficName::Day(day)
            | TrafficName::ChannelDay(_, day) => Some(*day),
            _ => None,
        }
    }

    fn channel_by_day(&self) -> Option<&ChannelName> {
        match self {
            TrafficName::ChannelDay(channel, _) => Some(channel),
            _ => None,
        }
    }
}
