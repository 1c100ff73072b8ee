//! The `markov_month` family: one chain per conversion kind, month and currency.
//!
//! Converting paths are those of the month's conversions with a touchpoint. Null paths are those of
//! persons (not oversized) without any remaining conversion of any month, kind or currency: per
//! person and month, all touchpoints of that month are one path of unlimited length. They enter
//! every chain of the month.
//!
//! The effects in parts per million, not the fractions, are the weights that divide the month's
//! attributed conversions and their value. Remaining units go by the names of the channels,
//! bytewise, absent names first. If a month has more channels than the limit allows, the paths lead
//! through the channels that [`folding`](crate::folding) returns.
//!
//! Conversions of open sources have no contributors, and in a brand with any open source null paths
//! have none, because nobody vouches for them.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Dim, Family};
use tributary_operators::label::Channel;
use tributary_operators::record::{Currency, SaleKind};

use crate::attribution::MILLIONTHS;
use crate::brand::{self, Brand};
use crate::calendar;
use crate::family_sums::{CountedCell, existing_cell};
use crate::folding;
use crate::identity::Identity;
use crate::journeys::Journeys;
use crate::markov::{PathCounts, effects_ppm};
use crate::person::Person;
use crate::share::largest_remainder;

/// Month, conversion kind and currency of one chain.
type Group = (i32, SaleKind, Currency);

/// The conversions of one chain.
#[derive(Default)]
struct Converted {
    /// Their paths.
    paths: PathCounts<Channel>,
    /// Their number, in millionths.
    millionths: u128,
    /// Their value, in minor units.
    value: u128,
    /// The persons with a converting path through each channel.
    persons: BTreeMap<Channel, BTreeSet<Person>>,
}

/// The cells of the family for one brand.
///
/// - Dimensions: brand, kind, month, currency, source, medium, campaign.
/// - Values: removal effect in parts per million, conversions in millionths, revenue in minor
///   units.
/// - Contributors: the persons with a converting or a null path through the channel; for merged
///   channels those of the member with the most.
pub(crate) fn cells(brand: &Brand, identity: &Identity, journeys: &Journeys) -> Vec<CountedCell> {
    let null = [false, true].map(|of_visits| null_paths(identity, journeys, of_visits));
    let no_paths = PathCounts::new();
    converted(brand, journeys)
        .iter()
        .flat_map(|(group, converted)| {
            let null = &null[usize::from(group.1 == SaleKind::Visit)];
            let null = null.get(&group.0).unwrap_or(&no_paths);
            group_cells(brand, *group, converted, null)
        })
        .collect()
}

/// The conversions with a touchpoint, by chain.
fn converted(brand: &Brand, journeys: &Journeys) -> BTreeMap<Group, Converted> {
    let mut groups: BTreeMap<Group, Converted> = BTreeMap::new();
    for conversion in &journeys.conversions {
        if conversion.path.is_empty() {
            continue;
        }
        let sale = &conversion.sale;
        let month = calendar::month(sale.record.day);
        let group = groups.entry((month, sale.kind, sale.currency)).or_default();
        let path: Vec<Channel> = conversion.path.iter().map(|step| step.channel).collect();
        for channel in &path {
            let persons = group.persons.entry(*channel).or_default();
            let (person, is_vouched) = conversion.who(brand.settings);
            persons.extend(person.filter(|_| is_vouched));
        }
        // Visits count in millionths, because a stay may weigh less than one.
        *group.paths.entry(path).or_default() += match sale.kind {
            SaleKind::Visit => conversion.weight as u64,
            SaleKind::Order | SaleKind::Transaction => 1,
        };
        group.millionths += conversion.weight as u128;
        group.value += u128::from(sale.left.unsigned_abs());
    }
    groups
}

/// The null paths of every month beside sales, or beside visits: for visits a person has converted who has a visit, and for
/// sales one who has a sale.
///
/// A person has at most one null path per month, so the counts are also numbers of persons.
pub(crate) fn null_paths(
    identity: &Identity,
    journeys: &Journeys,
    of_visits: bool,
) -> BTreeMap<i32, PathCounts<Channel>> {
    let customers: BTreeSet<Person> = journeys
        .conversions
        .iter()
        .filter(|conversion| (conversion.sale.kind == SaleKind::Visit) == of_visits)
        .filter_map(|conversion| conversion.person)
        .collect();
    let mut null: BTreeMap<i32, PathCounts<Channel>> = BTreeMap::new();
    for (person, touches) in &journeys.touches {
        if customers.contains(person) || identity.oversized(*person) {
            continue;
        }
        let mut months: BTreeMap<i32, Vec<Channel>> = BTreeMap::new();
        for touch in touches {
            let month = calendar::month(touch.day);
            months.entry(month).or_default().push(touch.channel);
        }
        for (month, path) in months {
            *null.entry(month).or_default().entry(path).or_default() += 1;
        }
    }
    null
}

/// The cells of one chain. The contributors of a cell are the persons with a converting or null
/// path through its channel.
///
/// The number of contributors of a merged channel is a lower bound: the largest of its members.
fn group_cells(
    brand: &Brand,
    (month, kind, currency): Group,
    converted: &Converted,
    null: &PathCounts<Channel>,
) -> Vec<CountedCell> {
    let names = folding::fold_channels(brand, &converted.paths, null, brand.settings.max_channels);
    let paths = renamed(&converted.paths, &names);
    let mut lost = renamed(null, &names);
    if kind == SaleKind::Visit {
        lost.values_mut()
            .for_each(|times| *times *= MILLIONTHS as u64);
    }
    let effects = effects_ppm(&paths, &lost);
    let mut channels: Vec<(Channel, u64)> = effects.into_iter().collect();
    // A person without a conversion has one path a month, so paths count persons here.
    let mut null_persons: BTreeMap<Channel, u64> = BTreeMap::new();
    let vouched = null
        .iter()
        .filter(|_| brand.settings.open_sources.is_empty());
    for (path, times) in vouched {
        for channel in path.iter().collect::<BTreeSet<_>>() {
            *null_persons.entry(*channel).or_default() += times;
        }
    }
    // Behind several channels stand at least as many as behind the one with the most.
    let mut behind: BTreeMap<Channel, u64> = BTreeMap::new();
    for (channel, name) in &names {
        let persons = converted.persons.get(channel).map_or(0, BTreeSet::len) as u64;
        let persons = persons + null_persons.get(channel).copied().unwrap_or(0);
        let most = behind.entry(*name).or_default();
        *most = persons.max(*most);
    }
    channels.sort_by_key(|(channel, _)| brand.channel_words(*channel));

    let weights: Vec<u128> = channels.iter().map(|(_, ppm)| u128::from(*ppm)).collect();
    let millionths = largest_remainder(converted.millionths, &weights);
    let values = largest_remainder(converted.value, &weights);
    channels
        .into_iter()
        .zip(millionths.into_iter().zip(values))
        .filter_map(|((channel, ppm), (millionths, value))| {
            let [source, medium, campaign] = brand.channel(channel);
            let dims = vec![
                brand.name(),
                brand::kind(kind),
                Dim::Month(month),
                brand::currency(currency),
                source,
                medium,
                campaign,
            ];
            let values = vec![i128::from(ppm), millionths as i128, value as i128];
            existing_cell(Family::MarkovMonth, dims, values, behind[&channel])
        })
        .collect()
}

/// The paths through the replacements of their channels.
fn renamed(paths: &PathCounts<Channel>, names: &BTreeMap<Channel, Channel>) -> PathCounts<Channel> {
    let mut renamed = PathCounts::new();
    for (path, times) in paths {
        let path = path.iter().map(|channel| names[channel]).collect();
        *renamed.entry(path).or_default() += times;
    }
    renamed
}
