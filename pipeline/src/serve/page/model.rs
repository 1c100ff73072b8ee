//! The model: what the page needs to know of one brand before it queries its
//! cells, as JSON.
//!
//! It contains no number of the brand. The page reads all numbers at
//! `/v1/cells`, with the words of
//! [`cell_query`](crate::report::cell_query), so that what it shows is what a
//! query answers. The model is sent whenever the released cells have changed:
//! the page then queries again.

use std::collections::BTreeMap;

use serde::Serialize;
use tributary_config::model::Names;
use tributary_operators::calendar;
use tributary_operators::cell::{Dim, Family};
use tributary_operators::record::Day;

use crate::report::published_cells::{Periods, PublishedCells};

/// What the page shows of a brand besides cells. Its field names are part of the
/// interface to the script.
#[derive(Serialize)]
pub struct Model<'a> {
    /// Name of the brand.
    brand: &'a str,
    /// Differs whenever the released cells of the process have changed.
    stamp: u64,
    /// The current day.
    today: String,
    /// The last day with a released cell.
    newest: Option<String>,
    /// The first day with a released cell.
    oldest: Option<String>,
    /// Whether the release gate may hide cells (`release.k` above 1).
    hides: bool,
    /// Whether channels are released by whole month only (`release.ladder`).
    by_month: bool,
    /// The last day whose visits all count; `None` if none of them wait for their day
    /// to be settled.
    settled: Option<String>,
    /// Whether the brand has no cell to show.
    empty: bool,
    /// Currencies, the one with the most sales first; without any, that of the brand.
    currencies: Vec<Currency<'a>>,
    /// Display names.
    names: DisplayNames<'a>,
}

/// A currency.
#[derive(Serialize)]
struct Currency<'a> {
    /// ISO 4217 code.
    code: &'a str,
    /// Number of decimals of its amounts.
    decimals: u32,
}

impl<'a> Currency<'a> {
    /// A currency by its code.
    fn of(code: &'a str) -> Currency<'a> {
        Currency {
            code,
            decimals: crate::report::table::decimals(code),
        }
    }
}

/// Display names by the names of the records.
#[derive(Serialize)]
struct DisplayNames<'a> {
    /// By store.
    stores: &'a BTreeMap<String, String>,
    /// By channel.
    channels: &'a BTreeMap<String, String>,
}

/// What the configuration says of a brand's numbers.
#[derive(Clone, Copy)]
pub struct Release<'a> {
    /// Whether the release gate may hide cells.
    pub hides: bool,
    /// Whether channels are released by whole month only.
    pub by_month: bool,
    /// The days until all visits of a day count, if they wait for it.
    pub days_to_settle: Option<Day>,
    /// The brand's own currency.
    pub currency: &'a str,
    /// Display names.
    pub names: &'a Names,
}

/// The JSON of a brand on its current day.
///
/// # Errors
///
/// None in practice: every value can be serialized.
pub fn json(
    cells: &PublishedCells,
    brand: &str,
    today: Day,
    release: Release<'_>,
) -> serde_json::Result<String> {
    let newest = cells.last_day(brand);
    let mut currencies = currencies(cells, brand, today);
    let identity = cells.cells(Family::Identity, brand, Periods::default());
    let Release {
        hides,
        by_month,
        days_to_settle,
        currency,
        names,
    } = release;
    let empty = newest.is_none() && currencies.is_empty() && identity.count() == 0;
    if currencies.is_empty() {
        currencies.push(Currency::of(currency));
    }
    serde_json::to_string(&Model {
        brand,
        stamp: cells.stamp(),
        today: date(today),
        newest: newest.map(date),
        oldest: cells.first_day(brand).map(date),
        hides,
        by_month,
        settled: days_to_settle.map(|days| date(today.saturating_sub(days))),
        empty,
        currencies,
        names: DisplayNames {
            stores: &names.stores,
            channels: &names.channels,
        },
    })
}

/// The currencies of a brand, the one with the most sales first. A currency that
/// only spend has comes last.
fn currencies<'a>(cells: &'a PublishedCells, brand: &str, today: Day) -> Vec<Currency<'a>> {
    let mut sales: BTreeMap<&str, i128> = BTreeMap::new();
    let periods = Periods::between(None, None, today);
    for family in [Family::StoreDay, Family::OrdersDay, Family::SpendDay] {
        for (dims, values) in cells.sums(family, brand, periods, &["currency"]) {
            if let [Dim::Text(code)] = dims[..] {
                let sales = sales.entry(code).or_default();
                if family.row().is_total {
                    *sales += values.first().copied().unwrap_or(0);
                }
            }
        }
    }
    let mut sales: Vec<_> = sales.into_iter().collect();
    sales.sort_by_key(|(_, sales)| -sales);
    let codes = sales.into_iter().map(|(code, _)| Currency::of(code));
    codes.collect()
}

/// A day in ISO 8601.
fn date(day: Day) -> String {
    let (year, month, of_month) = calendar::civil(day);
    format!("{year:04}-{month:02}-{of_month:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tributary_operators::cell::Cell;

    /// 2025-10-26.
    const TODAY: Day = 20_387;

    fn text(word: &str) -> Dim {
        Dim::Text(word.into())
    }

    fn orders(brand: &str, day: Day, code: &str, orders: i128) -> Cell {
        Cell {
            family: Family::OrdersDay,
            dims: vec![text(brand), Dim::Day(day), text(code)],
            values: vec![orders, 100, 1],
        }
    }

    fn spend(code: &str) -> Cell {
        let dims = ["acme", "ads", "google", "cpc", "brand"].map(text);
        Cell {
            family: Family::SpendDay,
            dims: [&dims[..], &[Dim::Day(TODAY), text(code)]].concat(),
            values: vec![9_000, 1, 1],
        }
    }

    fn shown(cells: &[Cell]) -> Value {
        let mut board = PublishedCells::default();
        cells.iter().for_each(|cell| board.apply(cell));
        let names = Names {
            stores: [("s1".to_owned(), "Lyon".to_owned())].into(),
            channels: BTreeMap::new(),
        };
        let release = Release {
            hides: true,
            by_month: true,
            days_to_settle: Some(9),
            currency: "SEK",
            names: &names,
        };
        serde_json::from_str(&super::json(&board, "acme", TODAY, release).unwrap()).unwrap()
    }

    #[test]
    fn currencies_are_those_of_the_brand_by_sales_with_their_decimals() {
        let shown = shown(&[
            spend("CHF"),
            orders("acme", TODAY - 400, "JPY", 2),
            orders("acme", TODAY - 1, "TND", 3),
            orders("zeta", TODAY, "USD", 90),
        ]);
        let expected = json!([
            {"code": "TND", "decimals": 3},
            {"code": "JPY", "decimals": 0},
            {"code": "CHF", "decimals": 2},
        ]);
        assert_eq!(shown["currencies"], expected);
        assert_eq!(
            (&shown["today"], &shown["newest"], &shown["empty"]),
            (&json!("2025-10-26"), &json!("2025-10-26"), &json!(false))
        );
        assert_eq!(shown["oldest"], json!("2024-09-21"));
        assert_eq!(shown["settled"], json!("2025-10-17"));
        assert_eq!(shown["names"]["stores"], json!({"s1": "Lyon"}));
    }

    #[test]
    fn a_brand_without_cells_is_empty() {
        let shown = shown(&[orders("zeta", TODAY, "USD", 90)]);
        assert_eq!(
            (&shown["empty"], &shown["newest"]),
            (&json!(true), &json!(null))
        );
        assert_eq!(shown["currencies"], json!([{"code": "SEK", "decimals": 2}]));
    }
}
