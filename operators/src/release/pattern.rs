//! Patterns: the names of the published cells of a month.
//!
//! A contribution belongs to the finest named cell that covers it. A cell that names a source is thus the rest of that
//! source: what no finer cell holds. The same names say where contributions belong that come later.

use std::collections::BTreeSet;

use crate::record::Day;
use crate::release::revenue_names::{RevenueName, RevenueNames};
use crate::release::table::{ChannelName, Place, Word};

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

/// Models that decide together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// The models that share a conversion among its touchpoints.
    Shared,
    /// The models that credit a single touchpoint.
    Single,
}

/// The names of the published cells of a month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    /// The cells of revenue. Sales that none of them covers are no part of any published number.
    pub revenue: RevenueNames,
    /// The cells of the models that share a conversion among its touchpoints.
    pub shared: BTreeSet<CellName>,
    /// The cells of the models that credit a single touchpoint.
    pub single: BTreeSet<CellName>,
}

impl Pattern {
    /// The cell of revenue that a place and day belong to, if any.
    pub fn revenue_of(&self, day: Day, place: &Place) -> Option<RevenueName> {
        self.revenue.cell_of(day, place)
    }

    /// The cells of the models of a class.
    pub(super) fn credits(&self, class: Class) -> &BTreeSet<CellName> {
        match class {
            Class::Shared => &self.shared,
            Class::Single => &self.single,
        }
    }

    /// The same, to change them.
    pub(super) fn credits_mut(&mut self, class: Class) -> &mut BTreeSet<CellName> {
        match class {
            Class::Shared => &mut self.shared,
            Class::Single => &mut self.single,
        }
    }
}

/// The cell that a channel belongs to among the named ones, if any.
pub fn cell_of(names: &BTreeSet<CellName>, channel: &ChannelName) -> Option<CellName> {
    CellName::covering(channel).find(|name| names.contains(name))
}
