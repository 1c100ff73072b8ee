//! Path statistics: `paths`, `path_length`, `path_days` and `assists`, per kind, month and
//! currency.
//!
//! They describe the conversions that have a touchpoint: the channels of their paths, the number of
//! touchpoints, the number of whole days between the first touchpoint and the conversion, and the
//! channels that contributed without being last.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Dim, Family};
use tributary_operators::label::Channel;
use tributary_operators::record::{Currency, SaleKind};

use crate::brand::{self, Brand};
use crate::calendar;
use crate::family_sums::{CountedCell, FamilySums, Who};
use crate::journeys::{Conversion, Journeys};

/// The maximum number of steps in the `path` dimension; longer paths keep their newest steps.
const PATH_STEPS: usize = 20;

/// One day in milliseconds.
const MS_PER_DAY: i64 = 86_400_000;

/// Conversion kind, month and currency, which all four families share.
pub(crate) type Group = (SaleKind, i32, Currency);

/// A conversion with a touchpoint.
pub(crate) struct Traced {
    pub(crate) group: Group,
    pub(crate) who: Who,
    /// The channels of its touchpoints, oldest first; never empty.
    pub(crate) path: Vec<Channel>,
    /// Whole days from the first touchpoint to the conversion.
    pub(crate) days: i64,
    /// Minor units.
    pub(crate) value: i128,
}

impl Traced {
    /// `None` for a conversion without a touchpoint.
    pub(crate) fn of(brand: &Brand, conversion: &Conversion) -> Option<Traced> {
        let sale = &conversion.sale;
        let first = conversion.path.first()?;
        Some(Traced {
            group: (sale.kind, calendar::month(sale.record.day), sale.currency),
            who: conversion.who(brand.settings),
            path: conversion.path.iter().map(|step| step.channel).collect(),
            days: (sale.record.ts - first.ts) / MS_PER_DAY,
            value: sale.left.into(),
        })
    }

    /// The conversions with a touchpoint.
    pub(crate) fn all(brand: &Brand, journeys: &Journeys) -> Vec<Traced> {
        let conversions = journeys.conversions.iter();
        conversions.filter_map(|of| Traced::of(brand, of)).collect()
    }
}

/// The cells of the four families for one brand. All have the dimensions brand, kind, month and
/// currency, and one more; their contributors are the persons of the conversions.
///
/// | family | last dimension | values |
/// | --- | --- | --- |
/// | `paths` | steps of the path | conversions, revenue in minor units |
/// | `path_length` | number of touchpoints | conversions |
/// | `path_days` | whole days from the first touchpoint | conversions |
/// | `assists` | source, medium, campaign | conversions, revenue in minor units |
pub(crate) fn cells(brand: &Brand, conversions: &[Traced]) -> Vec<CountedCell> {
    let mut paths: FamilySums<(Group, Vec<Channel>), 2> = FamilySums::new();
    let mut lengths: FamilySums<(Group, usize), 1> = FamilySums::new();
    let mut days: FamilySums<(Group, i64), 1> = FamilySums::new();
    let mut assists: FamilySums<(Group, Channel), 2> = FamilySums::new();
    for of in conversions {
        let values = [1, of.value];
        paths.add((of.group, sequence(&of.path)), values, of.who);
        lengths.add((of.group, of.path.len()), [1], of.who);
        days.add((of.group, of.days), [1], of.who);
        for channel in assisting(&of.path) {
            assists.add((of.group, channel), values, of.who);
        }
    }

    let dims = |(kind, month, currency): Group, last: Vec<Dim>| {
        let mut dims = vec![
            brand.name(),
            brand::kind(kind),
            Dim::Month(month),
            brand::currency(currency),
        ];
        dims.extend(last);
        dims
    };
    let mut cells = paths.cells(Family::Paths, |(group, channels), sum| {
        let path = channels.iter().map(|channel| words(brand, *channel));
        let path = Dim::Path(path.collect());
        (dims(*group, vec![path]), sum.values.to_vec())
    });
    cells.extend(lengths.cells(Family::PathLength, |(group, touches), sum| {
        let touches = Dim::Count(*touches as u64);
        (dims(*group, vec![touches]), sum.values.to_vec())
    }));
    cells.extend(days.cells(Family::PathDays, |(group, days), sum| {
        let days = Dim::Count(days.unsigned_abs());
        (dims(*group, vec![days]), sum.values.to_vec())
    }));
    cells.extend(assists.cells(Family::Assists, |(group, channel), sum| {
        let channel = brand.channel(*channel).to_vec();
        (dims(*group, channel), sum.values.to_vec())
    }));
    cells
}

/// The number of contributors of the conversions with a touchpoint, by brand, kind, month and
/// currency: the total of which the families of a month are partitions.
pub(crate) fn totals(brand: &Brand, conversions: &[Traced]) -> BTreeMap<Vec<Dim>, u64> {
    let mut totals: FamilySums<Group, 0> = FamilySums::new();
    for of in conversions {
        totals.add(of.group, [], of.who);
    }
    let named = totals.contributors().map(|(group, contributors)| {
        let (kind, month, currency) = *group;
        let dims = vec![
            brand.name(),
            brand::kind(kind),
            Dim::Month(month),
            brand::currency(currency),
        ];
        (dims, contributors)
    });
    named.collect()
}

/// The channels of a path with consecutive repetitions merged, limited to the newest
/// [`PATH_STEPS`].
fn sequence(path: &[Channel]) -> Vec<Channel> {
    let mut channels = path.to_vec();
    channels.dedup();
    let surplus = channels.len().saturating_sub(PATH_STEPS);
    channels.split_off(surplus)
}

/// The distinct channels of all touchpoints but the last one.
fn assisting(path: &[Channel]) -> BTreeSet<Channel> {
    let before_last = path.split_last().map_or(&[][..], |(_, before)| before);
    before_last.iter().copied().collect()
}

/// The names of a channel.
fn words(brand: &Brand, channel: Channel) -> [Option<std::sync::Arc<str>>; 3] {
    [channel.source, channel.medium, channel.campaign].map(|label| brand.words.word(label).cloned())
}
