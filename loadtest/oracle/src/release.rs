//! The release gate: which cells may be released, computed over all cells of a brand at once.
//!
//! A cell needs `k` contributors. Of the parts of a known total, either none or at least two are
//! suppressed, and those have at least `k` contributors together; until this holds, the part with
//! the fewest contributors, then the first by its dimensions, is suppressed as well. Suppressed
//! parts are added up as `other` if the family has a channel.
//!
//! These totals are known to a reader: revenue, for its attribution by all models together, in
//! which a channel is suppressed in all models or in none; the revenue with a touchpoint instead,
//! if it may be released beside the rest; and the conversions with a touchpoint of a month, for its
//! chain, its paths, their lengths and days, if they cannot be combined with a day
//! ([`crate::days`]). Path families and assists add up to the daily attribution in many ways, and
//! are published in multiples of `k`.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::settings::BrandSettings;

use crate::family_sums::CountedCell;

/// The cells of every part of a total: one cell, or one per model.
type Parts = BTreeMap<Vec<Dim>, Vec<CountedCell>>;

/// The contributors of a part in each partition of the total in which it has a share.
type Counts = BTreeMap<Dim, u64>;

/// The contributors of the totals that are not cells themselves.
#[derive(Default)]
pub(crate) struct Totals {
    /// The conversions with a touchpoint of each month that may be published, by brand, kind, month
    /// and currency.
    pub(crate) months: BTreeMap<Vec<Dim>, u64>,
    /// The conversions with a touchpoint of each total of revenue, by brand, kind, store, day and
    /// currency.
    pub(crate) touched: BTreeMap<Vec<Dim>, u64>,
}

/// The cells of a brand that may be released.
///
/// 1. Cells that belong to no total, and all cells if `k` is at most 1, need enough contributors.
/// 2. For every total and family, the parts to suppress are selected ([`hidden`]), and those of
///    families with a channel are added up as `other` if the total has `k` contributors.
/// 3. Assists need `k` contributors, as does the total of their month.
/// 4. Path families are rounded to multiples of `k`, unless the brand adds noise.
pub(crate) fn release(
    settings: &BrandSettings,
    cells: Vec<CountedCell>,
    known: &Totals,
) -> Vec<Cell> {
    let k = settings.k;
    let mut totals = known.months.clone();
    let mut parted: BTreeMap<(Family, Vec<Dim>), Parts> = BTreeMap::new();
    let (mut assists, mut released) = (Vec::new(), Vec::new());
    for counted in cells {
        let dims = &counted.cell.dims;
        let least = match counted.cell.family {
            Family::SpendDay => 0,
            Family::Visits => settings.k_traffic,
            _ => k,
        };
        match counted.cell.family {
            Family::StoreDay => {
                let kind = Dim::Text("transaction".into());
                let total = [&dims[..1], &[kind], &dims[1..]].concat();
                totals.insert(total, counted.contributors);
            }
            Family::ScanDay => {
                let visit = [Dim::Text("visit".into())];
                let total = [&dims[..1], &visit, &dims[1..], &[Dim::Null]].concat();
                totals.insert(total, counted.contributors);
            }
            Family::OrdersDay => {
                let order = [Dim::Text("order".into()), Dim::Null];
                let total = [&dims[..1], &order, &dims[1..]].concat();
                totals.insert(total, counted.contributors);
            }
            _ => {}
        }
        match counted.cell.family {
            family if k <= 1 || total_of(&counted.cell).is_none() => {
                if family == Family::Assists && k > 1 {
                    assists.push(counted);
                } else if counted.contributors >= least {
                    released.push(counted.cell);
                }
            }
            family => {
                let total = total_of(&counted.cell).unwrap_or_default();
                let parts = parted.entry((family, total)).or_default();
                let part = part_of(&counted.cell).to_vec();
                parts.entry(part).or_default().push(counted);
            }
        }
    }
    for ((family, total), parts) in parted {
        let behind = totals.get(&total).copied().unwrap_or(0);
        let touched = known.touched.get(&total).copied().unwrap_or(0);
        let channels = match family {
            Family::Attribution => separate_touched(&parts, touched, k),
            _ => None,
        };
        let hidden = match channels {
            Some(channels) => hidden(&channels, touched, k),
            None => hidden(&parts, behind, k),
        };
        let mut other: BTreeMap<Vec<Dim>, Cell> = BTreeMap::new();
        for (part, counted) in parts {
            let is_hidden = hidden.contains(&part);
            for CountedCell { cell, .. } in counted {
                if !is_hidden {
                    released.push(cell);
                } else if let Some(sum) = other_of(&cell).filter(|_| behind >= k) {
                    let sum = other.entry(sum.dims.clone()).or_insert(sum);
                    for (sum, value) in sum.values.iter_mut().zip(&cell.values) {
                        *sum += value;
                    }
                }
            }
        }
        let exist = |cell: &Cell| cell.values.iter().any(|value| *value != 0);
        released.extend(other.into_values().filter(exist));
    }
    for assist in assists {
        let dims = &assist.cell.dims;
        let behind = totals.get(&dims[..4]).copied().unwrap_or(0);
        if behind >= k && assist.contributors >= k {
            released.push(assist.cell);
        }
    }
    if k > 1 && settings.noise.is_none() {
        released.iter_mut().for_each(|cell| coarsen(cell, k.into()));
    }
    released
}

/// Rounds a cell of a path family down to a multiple of `k` conversions, and the value in
/// proportion.
fn coarsen(cell: &mut Cell, k: i128) {
    let of_paths = [
        Family::Paths,
        Family::PathLength,
        Family::PathDays,
        Family::Assists,
    ];
    if !of_paths.contains(&cell.family) {
        return;
    }
    let conversions = cell.values[0];
    let rounded = conversions / k * k;
    for value in &mut cell.values {
        *value = (*value * rounded).div_euclid(conversions);
    }
}

/// The total that a cell is a part of, if any.
fn total_of(cell: &Cell) -> Option<Vec<Dim>> {
    let dims = &cell.dims;
    match cell.family {
        Family::Attribution => Some([&dims[..1], &dims[5..]].concat()),
        Family::MarkovMonth | Family::Paths | Family::PathLength | Family::PathDays => {
            Some(dims[..4].to_vec())
        }
        _ => None,
    }
}

/// The dimensions that distinguish a part from the others of its total.
fn part_of(cell: &Cell) -> &[Dim] {
    match cell.family {
        Family::Attribution => &cell.dims[2..5],
        _ => &cell.dims[4..],
    }
}

/// The channel of `other`.
fn other_channel() -> [Dim; 3] {
    [Dim::Text("other".into()), Dim::Null, Dim::Null]
}

/// The cell that sums the suppressed cells beside a cell, with zero values; `None` if its family
/// has no channel.
fn other_of(cell: &Cell) -> Option<Cell> {
    let mut other = cell.clone();
    other.values.fill(0);
    let channel = match cell.family {
        Family::Attribution => 2..5,
        Family::MarkovMonth => 4..7,
        _ => return None,
    };
    other.dims[channel].clone_from_slice(&other_channel());
    Some(other)
}

/// The channels of revenue without what is credited to no channel, if both groups may be released.
///
/// Then a reader knows both sums, and the channels are parts of the revenue with a touchpoint.
fn separate_touched(parts: &Parts, touched: u64, k: u64) -> Option<Parts> {
    let is_unattributed = |part: &Vec<Dim>| {
        let word = |word: &str| Dim::Text(word.into());
        let medium = [Dim::Null, word("oversized")];
        part[0] == word("unattributed") && medium.contains(&part[1]) && part[2] == Dim::Null
    };
    let (nothing, channels): (Parts, Parts) =
        (parts.clone().into_iter()).partition(|(part, _)| is_unattributed(part));
    let mut all = nothing.into_values().flatten();
    (touched >= k && all.all(|counted| counted.contributors >= k)).then_some(channels)
}

/// The parts of a total that are suppressed.
///
/// At first these are the parts with fewer than `k` contributors in any partition, `other` and
/// merged channels, or all parts if the total has fewer than `k`. Then parts are added, smallest
/// first, until in every partition either nothing or at least two parts are suppressed that have
/// `k` contributors together. The contributors of several parts are known as a lower bound only:
/// the largest of them, or those of the total that are not behind a released part.
fn hidden(parts: &Parts, total: u64, k: u64) -> BTreeSet<Vec<Dim>> {
    let counts: BTreeMap<&Vec<Dim>, Counts> = parts
        .iter()
        .map(|(part, cells)| {
            let of = |counted: &CountedCell| match counted.cell.family {
                Family::Attribution => (counted.cell.dims[1].clone(), counted.contributors),
                _ => (Dim::Null, counted.contributors),
            };
            (part, cells.iter().map(of).collect())
        })
        .collect();
    let fewest = |part: &Vec<Dim>| counts[part].values().min().copied().unwrap_or(0);
    let is_other = |part: &[Dim]| part == other_channel();
    // How many persons stand behind several channels of a chain nobody counts.
    let is_several = |part: &Vec<Dim>| {
        let is_markov = |counted: &CountedCell| counted.cell.family == Family::MarkovMonth;
        parts[part].iter().any(is_markov) && part.last() == Some(&Dim::Text("*".into()))
    };
    let mut hidden: BTreeSet<Vec<Dim>> = parts
        .keys()
        .filter(|part| total < k || fewest(part) < k || is_other(part) || is_several(part))
        .cloned()
        .collect();
    let ways: BTreeSet<&Dim> = counts.values().flat_map(Counts::keys).collect();
    while !hidden.is_empty() && hidden.len() < parts.len() {
        let is_safe = ways.iter().all(|way| {
            let of = |part: &Vec<Dim>| counts[part].get(way).copied();
            let inside: Vec<u64> = hidden.iter().filter_map(of).collect();
            let outside = parts.keys().filter(|part| !hidden.contains(*part));
            let outside: u64 = outside.filter_map(of).sum();
            let behind = inside
                .iter()
                .copied()
                .max()
                .max(total.checked_sub(outside))
                .unwrap_or(0);
            inside.is_empty() || inside.len() > 1 && behind >= k
        });
        if is_safe {
            break;
        }
        let outside = parts.keys().filter(|part| !hidden.contains(*part));
        let next = outside.min_by_key(|part| (fewest(part), *part)).cloned();
        hidden.extend(next);
    }
    hidden
}
