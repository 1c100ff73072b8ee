//! What the page shows of one brand: a board's cells added up, as JSON.
//!
//! Every number here is a sum over released cells, in integers; the browser divides and formats, and adds up
//! nothing. What is long is cut to its largest rows, and a last row has the rest, so that totals hold and the
//! whole stays small.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Serialize;
use tributary_operators::calendar;
use tributary_operators::cell::{Dim, Family};
use tributary_operators::record::Day;

use super::money::{self, Money};
use super::number::{Int, add};
use super::sums::{daily, place, word};
use crate::report::published_cells::{PublishedCells, Window};

/// How many stores are shown one by one.
const STORES: usize = 40;

/// A brand.
#[derive(Serialize)]
pub struct Model<'a> {
    brand: &'a str,
    /// The current day.
    today: String,
    /// The last day with a released number, where there is one.
    newest: Option<String>,
    /// Whether there is any cell of the brand to show.
    empty: bool,
    /// The months of path statistics: the last and the current one.
    months: [String; 2],
    /// Persons, identifiers, links, hubs, oversized.
    identity: Option<Vec<Int>>,
    stores: Vec<&'a str>,
    /// By window: visits, passers-by, seconds of dwell, devices, random devices; all together and by store.
    visits: BTreeMap<&'static str, Visits>,
    /// Visits and passers-by of today by hour of the clock.
    hours: Vec<[Int; 2]>,
    /// Visits of each day.
    daily_visits: Vec<Int>,
    currencies: Vec<Money<'a>>,
}

#[derive(Default, Serialize)]
struct Visits {
    total: [Int; 5],
    rows: BTreeMap<i32, [Int; 5]>,
}

/// The JSON of a brand on its current day.
///
/// # Errors
/// None in practice: nothing here refuses to be written.
pub fn json(board: &PublishedCells, brand: &str, today: Day) -> serde_json::Result<String> {
    serde_json::to_string(&Model::of(board, brand, today))
}

impl<'a> Model<'a> {
    /// Adds up a brand's cells.
    pub fn of(board: &'a PublishedCells, brand: &'a str, today: Day) -> Model<'a> {
        let stores = stores(board, brand, today);
        let currencies = money::all(board, brand, today, &stores);
        let newest = board.last_day(brand);
        let month = calendar::month(today);
        let identity = board.cells(Family::Identity, brand, 0..=0).next();
        let visits = Window::ALL.map(|window| {
            let days = window.days(today);
            (window.name(), visits(board, brand, days, &stores))
        });
        Model {
            brand,
            today: date(today),
            newest: newest.map(date),
            empty: newest.is_none() && identity.is_none(),
            months: [month - 1, month].map(month_name),
            identity: identity.map(|(_, values)| values.iter().copied().map(Int).collect()),
            visits: visits.into(),
            hours: hours(board, brand, today),
            daily_visits: daily(today, |day| {
                let sums = board.sums(Family::Visits, brand, day..=day, &[]);
                let visits = sums.values().next().and_then(|sums| sums.first());
                Int(visits.copied().unwrap_or(0))
            }),
            stores,
            currencies,
        }
    }
}

/// The stores that are shown: those with the most sales and visits, by name.
fn stores<'a>(board: &'a PublishedCells, brand: &'a str, today: Day) -> Vec<&'a str> {
    let mut busy: BTreeMap<&str, i128> = BTreeMap::new();
    for family in [Family::StoreDay, Family::Visits] {
        for (dims, values) in board.sums(family, brand, Window::Month.days(today), &["store"]) {
            let name = dims.first().map_or("", |dim| word(dim).unwrap_or(""));
            *busy.entry(name).or_default() += values.first().copied().unwrap_or(0);
        }
    }
    let mut stores: Vec<_> = busy.into_iter().collect();
    stores.sort_by_key(|(_, busy)| -busy);
    let mut names: Vec<&str> = stores.into_iter().map(|(n, _)| n).take(STORES).collect();
    names.sort_unstable();
    names
}

fn visits(
    board: &PublishedCells,
    brand: &str,
    days: RangeInclusive<Day>,
    stores: &[&str],
) -> Visits {
    let mut visits = Visits::default();
    for (dims, values) in board.sums(Family::Visits, brand, days, &["store"]) {
        let (&[store], Ok(values)) = (&dims[..], <[i128; 5]>::try_from(values)) else {
            continue;
        };
        add(&mut visits.total, values);
        add(visits.rows.entry(place(stores, store)).or_default(), values);
    }
    visits
}

fn hours(board: &PublishedCells, brand: &str, today: Day) -> Vec<[Int; 2]> {
    let mut hours = vec![[Int::default(); 2]; 24];
    for (dims, values) in board.cells(Family::Visits, brand, today..=today) {
        let (Some(Dim::Hour(second, offset)), [visits, passers_by, ..]) = (dims.get(2), values)
        else {
            continue;
        };
        let of_day = (second + i64::from(*offset)).rem_euclid(86_400);
        let hour = usize::try_from(of_day / 3600).ok();
        if let Some(hour) = hour.and_then(|hour| hours.get_mut(hour)) {
            add(hour, [*visits, *passers_by]);
        }
    }
    hours
}

fn date(day: Day) -> String {
    let (year, month, of_month) = calendar::civil(day);
    format!("{year:04}-{month:02}-{of_month:02}")
}

fn month_name(month: i32) -> String {
    format!(
        "{:04}-{:02}",
        month.div_euclid(12),
        month.rem_euclid(12) + 1
    )
}

#[cfg(test)]
mod tests;
