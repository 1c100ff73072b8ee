//! Writing the cells of a pattern.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::record::SaleKind;

use super::contribution::{Contribution, SalesKey};
use super::contributor::Contributor;
use super::name::{Name, Word, star};
use super::pattern::{Ladder, Names};
use super::rule::NULL_VALUE;
use super::sales::{Context, Counted, Pattern};
use super::threshold::Set;
use crate::brand::{self, Brand};
use crate::release::{Totals, release};
use crate::rules::Model;
use crate::statistics::{self, Traced};

/// The cells of a group of conversions.
pub(super) fn of_sales(
    context: &Context,
    key: SalesKey,
    pattern: &Pattern,
    counted: &Counted,
) -> Vec<Cell> {
    let brand = context.brand;
    let (kind, currency, month) = key;
    let channels = context.channels();
    let mut cells = of_revenue(
        &context.revenue(),
        brand,
        key,
        &pattern.base,
        &counted.revenue,
    );
    for (names, credits) in [
        (&pattern.base, &counted.shared),
        (&pattern.single, &counted.single),
    ] {
        for ((model, name), set) in by_model(&channels, names, credits) {
            let [source, medium, campaign] = name.channel().map(dim);
            let dims = vec![
                brand.name(),
                model.map_or(Dim::Null, |model| Dim::Text(model.name().into())),
                source,
                medium,
                campaign,
                brand::kind(kind),
                match kind {
                    SaleKind::Order => Dim::Null,
                    SaleKind::Transaction | SaleKind::Visit => dim(star()),
                },
                Dim::Month(month),
                brand::currency(currency),
            ];
            cells.push(cell(Family::Attribution, dims, sum(&set)));
        }
    }
    let month_dims = |name: &Name| {
        let mut dims = vec![
            brand.name(),
            brand::kind(kind),
            Dim::Month(month),
            brand::currency(currency),
        ];
        dims.extend(name.channel().map(dim));
        dims
    };
    if let Some(names) = &pattern.markov {
        let mut sums: BTreeMap<&Name, [i128; 3]> = BTreeMap::new();
        for (chain, values) in &counted.markov.values {
            if let Some(name) = channels.place(names, chain) {
                let sum = sums.entry(name).or_default();
                for (sum, value) in sum.iter_mut().zip(values) {
                    *sum += value;
                }
            }
        }
        for (name, [effect, millionths, value]) in sums {
            // Of several channels together there is no effect, and a cell without values does not exist.
            let effect = match name {
                Name::Channel(..) => effect,
                _ if millionths == 0 && value == 0 => 0,
                _ => NULL_VALUE,
            };
            let values = vec![effect, millionths, value];
            cells.push(cell(Family::MarkovMonth, month_dims(name), values));
        }
    }
    if let Some(names) = &pattern.assists {
        let k = i128::from(brand.settings.k);
        for (name, set) in channels.cells(names, &counted.assists) {
            let mut values = sum(&set);
            if brand.settings.noise.is_none() {
                coarsen(&mut values, k);
            }
            cells.push(cell(Family::Assists, month_dims(name), values));
        }
    }
    cells.retain(|cell| cell.values.iter().any(|value| *value != 0));
    cells.extend(of_paths(brand, key, counted));
    cells
}

/// The path families of the conversions that a group counts, released as without a ladder.
fn of_paths(brand: &Brand, key: SalesKey, counted: &Counted) -> Vec<Cell> {
    let traced = counted.journeys.iter().map(|of| of.traced(key));
    let traced: Vec<Traced> = traced.collect();
    let mut cells = statistics::cells(brand, &traced);
    cells.retain(|counted| counted.cell.family != Family::Assists);
    let totals = Totals {
        months: statistics::totals(brand, &traced),
        ..Totals::default()
    };
    release(brand.settings, cells, &totals)
}

/// The cells of revenue: of finished days by a pattern, or of days in progress.
pub(super) fn of_revenue(
    ladder: &Ladder,
    brand: &Brand,
    (kind, currency, month): SalesKey,
    names: &Names,
    revenue: &[Contribution],
) -> Vec<Cell> {
    let cells = ladder.cells(names, revenue).into_iter();
    let cells = cells.map(|(name, set)| {
        let mut values = sum(&set);
        values.push(persons(&set));
        let (store, day) = store_and_day(name, month);
        let currency = brand::currency(currency);
        match kind {
            SaleKind::Visit if name.is_of_stays() => {
                let dims = vec![brand.name(), store, day];
                let [matched, weight] = [0, 1].map(|at| values.get(at).copied().unwrap_or(0));
                let values = vec![NULL_VALUE, matched, NULL_VALUE, weight];
                cell(Family::VisitMatch, dims, values)
            }
            SaleKind::Visit => {
                // What is counted elsewhere, too, is null.
                values.insert(2, NULL_VALUE);
                values.push(NULL_VALUE);
                cell(Family::ScanDay, vec![brand.name(), store, day], values)
            }
            SaleKind::Transaction => {
                let dims = vec![brand.name(), store, day, currency];
                cell(Family::StoreDay, dims, values)
            }
            SaleKind::Order => cell(Family::OrdersDay, vec![brand.name(), day, currency], values),
        }
    });
    cells.collect()
}

/// The cells of a month's contacts.
pub(super) fn of_contacts(
    ladder: &Ladder,
    brand: &Brand,
    month: i32,
    names: &Names,
    contacts: &[Contribution],
) -> Vec<Cell> {
    let cells = ladder.cells(names, contacts).into_iter();
    let cells = cells.map(|(name, set)| {
        let [source, medium, campaign] = name.channel().map(dim);
        let day = name.day().map_or(Dim::Month(month), Dim::Day);
        let mut values = sum(&set);
        values.push(persons(&set));
        let dims = vec![brand.name(), source, medium, campaign, day];
        cell(Family::CampaignDay, dims, values)
    });
    cells.collect()
}

/// The cells of a month's visits.
pub(super) fn of_visits(
    ladder: &Ladder,
    brand: &Brand,
    month: i32,
    names: &Names,
    visits: &[Contribution],
) -> Vec<Cell> {
    let cells = ladder.cells(names, visits).into_iter();
    let cells = cells.map(|(name, set)| {
        let (store, time) = match name {
            Name::StoreHour(_, start, offset, store) => {
                (dim(store.clone()), Dim::Hour(*start, *offset))
            }
            name => store_and_day(name, month),
        };
        let mut values = sum(&set);
        for random in [false, true] {
            let of_kind =
                |who: Contributor| matches!(who, Contributor::Device(.., of) if of == random);
            values.push(distinct(&set, of_kind));
        }
        cell(Family::Visits, vec![brand.name(), store, time], values)
    });
    cells.collect()
}

/// The credits of every model and cell.
fn by_model<'a>(
    ladder: &Ladder,
    names: &Names,
    credits: &'a [Contribution],
) -> BTreeMap<(Option<Model>, &'a Name), Set<'a>> {
    let mut cells: BTreeMap<(Option<Model>, &Name), Set> = BTreeMap::new();
    for credit in credits {
        if let Some(name) = ladder.place(names, &credit.chain) {
            cells.entry((credit.model, name)).or_default().push(credit);
        }
    }
    cells
}

/// Multiples of `k` conversions, with the value in proportion.
fn coarsen(values: &mut [i128], k: i128) {
    let conversions = values.first().copied().unwrap_or(0);
    for value in values {
        *value = (*value * (conversions / k * k)).div_euclid(conversions.max(1));
    }
}

fn store_and_day(name: &Name, month: i32) -> (Dim, Dim) {
    match name {
        Name::StoreDay(day, _, store) => (dim(store.clone()), Dim::Day(*day)),
        Name::Day(day, _) => (dim(star()), Dim::Day(*day)),
        _ => (dim(star()), Dim::Month(month)),
    }
}

fn sum(set: &[&Contribution]) -> Vec<i128> {
    let mut sum = Vec::new();
    for of in set {
        sum.resize(of.values.len(), 0);
        for (sum, value) in sum.iter_mut().zip(&of.values) {
            *sum += value;
        }
    }
    sum
}

fn persons(set: &[&Contribution]) -> i128 {
    distinct(set, |who| matches!(who, Contributor::Person(_)))
}

fn distinct(set: &[&Contribution], is_counted: impl Fn(Contributor) -> bool) -> i128 {
    let all: BTreeSet<Contributor> = set.iter().map(|of| of.who).collect();
    all.into_iter().filter(|who| is_counted(*who)).count() as i128
}

fn dim(word: Word) -> Dim {
    word.map_or(Dim::Null, Dim::Text)
}

fn cell(family: Family, dims: Vec<Dim>, values: Vec<i128>) -> Cell {
    Cell {
        family,
        dims,
        values,
    }
}
