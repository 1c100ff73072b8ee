//! Patterns: the names of the published cells of a month.
//!
//! A contribution belongs to the finest named cell that covers it. A cell that names a source is thus the rest of that
//! source: what no finer cell holds. The same names say where contributions belong that come later.

use std::collections::BTreeSet;

use crate::record::Day;
use crate::release::table::{ChannelName, Place, RevenueKind, Word};

/// The word of a dimension that a cell gives up.
pub const REST: &str = "*";

/// The name of a cell of credits, over all stores and days of the month. The order is that in which cells are joined
/// and taken over: the coarser grain first, then by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CellName {
    /// The rest of the month.
    Month,
    /// The rest of a source.
    Source(Word),
    /// The rest of a source and medium.
    SourceMedium(Word, Word),
    /// A channel.
    Channel(ChannelName),
}

impl CellName {
    /// The names that cover a channel, the finest first. A channel that calls itself [`REST`] has no cell that could be
    /// taken for the rest of another.
    pub fn covering(channel: &ChannelName) -> impl Iterator<Item = CellName> {
        let ChannelName {
            source,
            medium,
            campaign,
        } = channel;
        let named = |words: &[&Word]| words.iter().all(|word| word.as_deref() != Some(REST));
        let has_source = !channel.is_nobody();
        let names = [
            named(&[source, medium, campaign]).then(|| CellName::Channel(channel.clone())),
            (has_source && named(&[source, medium]))
                .then(|| CellName::SourceMedium(source.clone(), medium.clone())),
            (has_source && named(&[source])).then(|| CellName::Source(source.clone())),
            Some(CellName::Month),
        ];
        names.into_iter().flatten()
    }

    /// How fine the grain is; the month is 0.
    pub fn grain(&self) -> u8 {
        match self {
            CellName::Month => 0,
            CellName::Source(_) => 1,
            CellName::SourceMedium(..) => 2,
            CellName::Channel(_) => 3,
        }
    }
}

/// The name of a cell of revenue. The order is that in which cells are taken over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RevenueName {
    /// A store on a day.
    StoreDay(Day, Place),
    /// The rest of a day.
    Day(Day, RevenueKind),
    /// The rest of the month.
    Month(RevenueKind),
}

impl RevenueName {
    /// The day of the cell, if it is of a single one.
    pub fn day(&self) -> Option<Day> {
        match self {
            RevenueName::StoreDay(day, _) | RevenueName::Day(day, _) => Some(*day),
            RevenueName::Month(_) => None,
        }
    }

    /// What the cell counts.
    pub fn kind(&self) -> RevenueKind {
        match self {
            RevenueName::StoreDay(_, place) => place.kind,
            RevenueName::Day(_, kind) | RevenueName::Month(kind) => *kind,
        }
    }

    /// The names that cover a place on a day, the finest first.
    pub fn covering(day: Day, place: &Place) -> [RevenueName; 3] {
        [
            RevenueName::StoreDay(day, place.clone()),
            RevenueName::Day(day, place.kind),
            RevenueName::Month(place.kind),
        ]
    }
}

/// The names of the published cells of a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    /// The cells of revenue. Sales that none of them covers are no part of any published number.
    pub revenue: BTreeSet<RevenueName>,
    /// The cells of the models that share a conversion among its touchpoints.
    pub shared: BTreeSet<CellName>,
    /// The cells of the models that credit a single touchpoint.
    pub single: BTreeSet<CellName>,
}

impl Pattern {
    /// The cell of revenue that a place and day belong to, if any.
    pub fn revenue_of(&self, day: Day, place: &Place) -> Option<RevenueName> {
        let covering = RevenueName::covering(day, place);
        covering
            .into_iter()
            .find(|name| self.revenue.contains(name))
    }
}

/// The cell that a channel belongs to among the named ones, if any.
pub fn cell_of(names: &BTreeSet<CellName>, channel: &ChannelName) -> Option<CellName> {
    CellName::covering(channel).find(|name| names.contains(name))
}
