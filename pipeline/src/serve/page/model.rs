//! The model: what the page shows of one brand, as JSON.
//!
//! Every number is a sum over released cells, in integers; the browser divides
//! and formats them, and adds nothing. Long lists are limited to their largest
//! rows, and a last row contains the rest, so that totals are complete and the
//! JSON stays small.
//!
//! Rows refer to stores and channels by index: `stores` and `channels` list the
//! names once, in the order of their indices, and the row -1 is the rest. A
//! currency has a [`Money`](super::money::Money) of its own, because amounts of
//! different currencies are never added. Windows are named as in the metrics:
//! totals have `today`, `7d` and `30d`; channels have `month` (to yesterday) and
//! `last_month`.
//!
//! A number of which nothing is published is `null` while the release gate may
//! hide cells (`hides`), and 0 otherwise. Names that a cell gave up are `*`.

use std::collections::BTreeMap;

use serde::Serialize;
use tributary_operators::calendar;
use tributary_operators::cell::{Dim, Family};
use tributary_operators::record::Day;

use super::money::{self, Money};
use super::number::{Int, add};
use super::sums::{daily, place, word};
use crate::report::published_cells::{Periods, PublishedCells, Window};

/// Name of what is published of several stores or channels together.
const TOGETHER: &str = "*";

/// Number of stores with a row of their own.
const STORES: usize = 40;

/// The model of a brand. Its field names are part of the interface to the
/// script.
#[derive(Serialize)]
pub struct Model<'a> {
    /// Name of the brand.
    brand: &'a str,
    /// The current day.
    today: String,
    /// The last day with a released cell.
    newest: Option<String>,
    /// Whether the release gate may hide cells (`release.k` above 1).
    hides: bool,
    /// Whether the brand has no cell to show.
    empty: bool,
    /// Months of path statistics: the last and the current one.
    months: [String; 2],
    /// Numbers of persons, identifiers, links, hubs and oversized persons.
    identity: Option<Vec<Int>>,
    /// Stores with a row of their own, by name.
    stores: Vec<&'a str>,
    /// By window: visits, passers-by, seconds of dwell, devices, random devices; in
    /// total and by store.
    visits: BTreeMap<&'static str, Visits>,
    /// Visits and passers-by of the newest published day by hour of the day.
    hours: Vec<[Int; 2]>,
    /// The day of the hours: `Today`, or `Yesterday` where only finished days are published.
    hours_of: &'static str,
    /// Visits of each day.
    daily_visits: Vec<Int>,
    /// Revenue by currency, the main currency first.
    currencies: Vec<Money<'a>>,
}

/// Visits of a window.
#[derive(Serialize)]
struct Visits {
    /// In total.
    total: [Int; 5],
    /// By row.
    rows: BTreeMap<i32, [Int; 5]>,
}

/// The JSON of a brand on its current day.
///
/// # Errors
///
/// None in practice: every value can be serialized.
pub fn json(
    board: &PublishedCells,
    brand: &str,
    today: Day,
    hides: bool,
) -> serde_json::Result<String> {
    serde_json::to_string(&Model::of(board, brand, today, hides))
}

impl<'a> Model<'a> {
    /// Sums the cells of a brand. `hides` is whether the release gate may hide
    /// cells.
    pub fn of(board: &'a PublishedCells, brand: &'a str, today: Day, hides: bool) -> Model<'a> {
        let stores = stores(board, brand, today);
        let currencies = money::all(board, brand, today, &stores, hides);
        let newest = board.last_day(brand);
        let mut of_today = board.cells(Family::Visits, brand, Periods::days(today..=today));
        let (hours_of, hours_day) = match hides && of_today.next().is_none() {
            true => ("Yesterday", today.saturating_sub(1)),
            false => ("Today", today),
        };
        let month = calendar::month(today);
        let identity = board
            .cells(Family::Identity, brand, Periods::default())
            .next();
        let visits = Window::TOTALS.map(|window| {
            let days = window.periods(today);
            (window.name(), visits(board, brand, days, &stores, hides))
        });
        Model {
            brand,
            today: date(today),
            newest: newest.map(date),
            hides,
            empty: newest.is_none() && identity.is_none() && currencies.is_empty(),
            months: [month - 1, month].map(month_name),
            identity: identity.map(|(_, values)| values.iter().copied().map(Int).collect()),
            visits: visits.into(),
            hours: hours(board, brand, hours_day, hides),
            hours_of,
            daily_visits: daily(today, |day| {
                let sums = board.sums(Family::Visits, brand, Periods::days(day..=day), &[]);
                let visits = sums.values().next().and_then(|sums| sums.first());
                visits.copied().map_or(Int::nothing(hides), Int)
            }),
            stores,
            currencies,
        }
    }
}

/// Stores with a row of their own: those with the most sales and visits, by
/// name.
fn stores<'a>(board: &'a PublishedCells, brand: &'a str, today: Day) -> Vec<&'a str> {
    let mut busy: BTreeMap<&str, i128> = BTreeMap::new();
    for family in [Family::StoreDay, Family::Visits] {
        for (dims, values) in
            board.sums(family, brand, Window::ThirtyDays.periods(today), &["store"])
        {
            let name = dims.first().map_or("", |dim| word(dim).unwrap_or(""));
            *busy.entry(name).or_default() += values.first().copied().unwrap_or(0);
        }
    }
    let mut stores: Vec<_> = busy.into_iter().collect();
    // What is published of several stores together always has its row.
    stores.sort_by_key(|(name, busy)| (*name != TOGETHER, -busy));
    let mut names: Vec<&str> = stores.into_iter().map(|(n, _)| n).take(STORES).collect();
    names.sort_unstable();
    names
}

/// Visits of some days, in total and by store.
fn visits(
    board: &PublishedCells,
    brand: &str,
    days: Periods,
    stores: &[&str],
    hides: bool,
) -> Visits {
    let none = [Int::nothing(hides); 5];
    let mut visits = Visits {
        total: none,
        rows: BTreeMap::new(),
    };
    for (dims, values) in board.sums(Family::Visits, brand, days, &["store"]) {
        let (&[store], Ok(values)) = (&dims[..], <[i128; 5]>::try_from(values)) else {
            continue;
        };
        add(&mut visits.total, values);
        let row = visits.rows.entry(place(stores, store));
        add(row.or_insert(none), values);
    }
    visits
}

/// Visits and passers-by of a day by local hour.
fn hours(board: &PublishedCells, brand: &str, day: Day, hides: bool) -> Vec<[Int; 2]> {
    let mut hours = vec![[Int::nothing(hides); 2]; 24];
    for (dims, values) in board.cells(Family::Visits, brand, Periods::days(day..=day)) {
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

/// A day in ISO 8601.
fn date(day: Day) -> String {
    let (year, month, of_month) = calendar::civil(day);
    format!("{year:04}-{month:02}-{of_month:02}")
}

/// A month in ISO 8601.
fn month_name(month: i32) -> String {
    format!(
        "{:04}-{:02}",
        month.div_euclid(12),
        month.rem_euclid(12) + 1
    )
}

#[cfg(test)]
mod tests;
