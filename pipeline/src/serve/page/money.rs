//! Revenue of one brand in one currency: by channel under every model, with
//! spend.

use std::collections::BTreeMap;

use serde::Serialize;
use tributary_operators::calendar;
use tributary_operators::cell::{Dim, Family, NO_VALUE};
use tributary_operators::record::Day;

use super::number::{Int, add};
use super::paths::Paths;
use super::sums::{DAYS, Sums, channel, daily, place, word};
use crate::report::channel_name::{Channel, contains, is_together};
use crate::report::published_cells::{Periods, PublishedCells, Window};

/// Number of channels with a row of their own.
const CHANNELS: usize = 40;

/// The model that is computed by calendar month.
const MARKOV: &str = "markov";

/// Revenue in a currency.
#[derive(Serialize)]
pub struct Money<'a> {
    /// ISO 4217 code.
    code: &'a str,
    /// Its decimals.
    decimals: u32,
    /// Channels with a row of their own.
    channels: Vec<Channel<'a>>,
    /// Totals by rolling window.
    periods: BTreeMap<&'static str, Period>,
    /// Channels by calendar window.
    months: BTreeMap<&'static str, Month<'a>>,
    /// In-store and online revenue of each day.
    daily: Vec<[Int; 2]>,
    /// Path statistics.
    paths: Paths<'a>,
}

/// Totals of a number of days.
#[derive(Serialize)]
struct Period {
    /// Spend.
    spend: Int,
    /// Number of orders and their revenue.
    orders: [Int; 2],
    /// Number of in-store sales and their revenue, by store.
    tills: Rows<2>,
}

/// Channels in a calendar month.
#[derive(Serialize)]
struct Month<'a> {
    /// By model: conversions (millionths) of orders and in stores, then revenue
    /// (minor units) likewise; in total and by channel.
    models: BTreeMap<&'a str, Rows<4>>,
    /// Spend by channel on the days that the credits cover.
    spend: Rows<1>,
    /// Spend including the current day, if the credits of the Markov model include
    /// it: those of a gate that hides nothing do.
    markov_spend: Option<Rows<1>>,
}

/// Numbers in total and by row.
#[derive(Serialize)]
struct Rows<const N: usize> {
    /// In total.
    #[serde(serialize_with = "numbers")]
    total: [Int; N],
    /// By row; [`REST`](super::sums::REST) is the rest.
    #[serde(serialize_with = "rows")]
    rows: BTreeMap<i32, [Int; N]>,
}

impl<const N: usize> Rows<N> {
    /// No rows, and the total of no cells.
    fn new(none: Int) -> Self {
        Rows {
            total: [none; N],
            rows: BTreeMap::new(),
        }
    }

    /// Adds to a row and to the total. A value that is hidden adds nothing.
    fn add(&mut self, at: i32, values: [i128; N]) {
        add(&mut self.total, values);
        let row = self.rows.entry(at).or_insert([Int::HIDDEN; N]);
        add(row, values);
    }
}

/// Serializes an array of any length.
fn numbers<const N: usize, S: serde::Serializer>(of: &[Int; N], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(of)
}

/// Serializes the rows.
fn rows<const N: usize, S: serde::Serializer>(
    of: &BTreeMap<i32, [Int; N]>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(of.iter().map(|(at, values)| (at, &values[..])))
}

/// Every currency of a brand in the last days and months, the one with the most
/// sales first.
pub fn all<'a>(
    board: &'a PublishedCells,
    brand: &str,
    today: Day,
    stores: &[&str],
    hides: bool,
) -> Vec<Money<'a>> {
    let month = calendar::month(today);
    let first = calendar::first_day(month - 1).min(today.saturating_sub(DAYS - 1));
    let days = Periods::days(first..=today);
    let months = Periods::months(month - 1..=month);
    let mut codes: BTreeMap<&str, i128> = BTreeMap::new();
    let has_money = |family: &Family| family.is_daily() && family.dims().contains(&"currency");
    let families = Family::ALL.into_iter().filter(has_money);
    for (family, periods) in families.flat_map(|family| [(family, days), (family, months)]) {
        for (dims, values) in board.sums(family, brand, periods, &["currency"]) {
            if let Some(code) = dims.first().copied().and_then(word) {
                let weight = codes.entry(code).or_default();
                // Sales decide; other currencies are only known by their credits or costs.
                if family.row().is_total {
                    *weight += values.first().copied().unwrap_or(0);
                }
            }
        }
    }
    let mut codes: Vec<_> = codes.into_iter().collect();
    codes.sort_by_key(|(_, weight)| -weight);
    let codes = codes.into_iter().map(|(code, _)| code);
    codes
        .map(|code| of(board, brand, today, stores, code, hides))
        .collect()
}

/// Revenue in one currency.
fn of<'a>(
    board: &'a PublishedCells,
    brand: &str,
    today: Day,
    stores: &[&str],
    code: &'a str,
    hides: bool,
) -> Money<'a> {
    let channels = channels(board, brand, today, code);
    let places = channels.iter().zip(0..).map(|(channel, at)| (*channel, at));
    let sums = Sums {
        board,
        brand,
        code,
        stores,
        places: places.collect(),
        hides,
    };
    let periods = Window::TOTALS.map(|window| (window.name(), sums.period(window.periods(today))));
    let months = Window::MONTHS.map(|window| (window.name(), sums.month(window, today)));
    Money {
        code,
        decimals: crate::report::table::decimals(code),
        periods: periods.into(),
        months: months.into(),
        daily: daily(today, |day| {
            [Family::StoreDay, Family::OrdersDay].map(|family| sums.takings(family, day))
        }),
        paths: Paths::of(&sums, today),
        channels,
    }
}

/// Channels with a row of their own: those with the most revenue and spend
/// under all models in both months, in that order. Sales without a touchpoint
/// and what the release gate publishes of several channels together are first.
fn channels<'a>(
    board: &'a PublishedCells,
    brand: &str,
    today: Day,
    code: &str,
) -> Vec<Channel<'a>> {
    let mut weights: BTreeMap<Channel, i128> = BTreeMap::new();
    let by = ["currency", "source", "medium", "campaign"];
    let counted = [
        (Family::Attribution, 1),
        (Family::SpendDay, 0),
        (Family::MarkovMonth, 2),
    ];
    for (family, value) in counted {
        for window in Window::MONTHS {
            let periods = window.periods(today);
            for (dims, values) in board.sums(family, brand, periods, &by) {
                if let Some((channel, _)) = channel(&dims).filter(|(_, of)| *of == code) {
                    let weight = values.get(value).copied().unwrap_or(0);
                    *weights.entry(channel).or_default() += weight.saturating_abs();
                }
            }
        }
    }
    let mut channels: Vec<_> = weights.into_iter().collect();
    // What nobody touched always has its row, as has what the gate publishes together.
    channels.sort_by_key(|(channel, weight)| {
        let is_listed = channel[0] == Some("unattributed") || is_together(channel);
        (!is_listed, -weight)
    });
    channels
        .into_iter()
        .map(|(channel, _)| channel)
        .take(CHANNELS)
        .collect()
}

impl<'a> Sums<'a, '_> {
    /// Revenue of a family on a day.
    fn takings(&self, family: Family, day: Day) -> Int {
        let mut sum = Int::nothing(self.hides);
        self.each(family, Periods::days(day..=day), &[], |_, values| {
            sum += values.get(1).copied().unwrap_or(0);
        });
        sum
    }

    /// Spend by channel in some periods. Spend is never hidden.
    fn spend(&self, periods: Periods) -> Rows<1> {
        let mut spend = Rows::new(Int(0));
        let by = ["source", "medium", "campaign"];
        self.each(Family::SpendDay, periods, &by, |dims, values| {
            if let [cost, ..] = values {
                spend.add(self.at(dims), [*cost]);
            }
        });
        spend
    }

    /// Totals of some periods.
    fn period(&self, periods: Periods) -> Period {
        let none = Int::nothing(self.hides);
        let mut period = Period {
            spend: self.spend(periods).total[0],
            orders: [none; 2],
            tills: Rows::new(none),
        };
        self.each(Family::OrdersDay, periods, &[], |_, values| {
            if let &[orders, value, ..] = values {
                add(&mut period.orders, [orders, value]);
            }
        });
        self.each(Family::StoreDay, periods, &["store"], |dims, values| {
            if let ([_, store], &[sales, value, ..]) = (dims, values) {
                period.tills.add(place(self.stores, store), [sales, value]);
            }
        });
        period
    }

    /// Channels of a calendar month.
    fn month(&self, window: Window, today: Day) -> Month<'a> {
        let periods = window.periods(today);
        let none = Int::nothing(self.hides);
        let mut models: BTreeMap<&str, Rows<4>> = BTreeMap::new();
        let by = ["source", "medium", "campaign", "kind", "model"];
        self.each(Family::Attribution, periods, &by, |dims, values| {
            if let ([.., kind, model], &[conversions, value]) = (dims, values)
                && let Some(model) = word(model)
            {
                let rows = models.entry(model).or_insert_with(|| Rows::new(none));
                rows.add(self.at(dims), credit(kind, conversions, value));
            }
        });
        let by = ["source", "medium", "campaign", "kind"];
        self.each(Family::MarkovMonth, periods, &by, |dims, values| {
            if let ([.., kind], &[_, conversions, value]) = (dims, values) {
                let rows = models.entry(MARKOV).or_insert_with(|| Rows::new(none));
                rows.add(self.at(dims), credit(kind, conversions, value));
            }
        });
        let spend = self.spend(periods);
        let with_today = !self.hides && window == Window::ThisMonth;
        let markov_spend = with_today.then(|| {
            let first = calendar::first_day(calendar::month(today));
            self.spend(Periods::days(first..=today))
        });
        let names: BTreeMap<i32, Channel> =
            self.places.iter().map(|(name, at)| (*at, *name)).collect();
        let sold = [Family::OrdersDay, Family::StoreDay]
            .map(|family| self.takings_of(family, periods) != none);
        for rows in models.values_mut() {
            let paid = markov_spend.as_ref().unwrap_or(&spend).rows.keys();
            complete(rows, paid.copied(), &names, sold, self.hides);
        }
        Month {
            models,
            spend,
            markov_spend,
        }
    }

    /// Revenue of a family in some periods.
    fn takings_of(&self, family: Family, periods: Periods) -> Int {
        let mut sum = Int::nothing(self.hides);
        self.each(family, periods, &[], |_, values| {
            sum += values.get(1).copied().unwrap_or(0);
        });
        sum
    }
}

/// Adds a row for each channel with spend, and replaces credits of which nothing
/// is published by 0 where that is certain: nothing is hidden, or nothing that
/// is published together can contain them. `sold` is whether there are published
/// orders and in-store sales; credits of a kind without any cell are unknown
/// then.
fn complete(
    credits: &mut Rows<4>,
    paid: impl Iterator<Item = i32>,
    names: &BTreeMap<i32, Channel<'_>>,
    sold: [bool; 2],
    hides: bool,
) {
    for at in paid {
        credits.rows.entry(at).or_insert([Int::HIDDEN; 4]);
    }
    let published = |row: &[Int; 4], kind: usize| row.get(kind).is_some_and(|n| *n != Int::HIDDEN);
    let mut unknown: Vec<(i32, usize)> = Vec::new();
    if hides {
        for kind in [0, 1] {
            let holders: Vec<Option<&Channel<'_>>> = credits
                .rows
                .iter()
                .filter(|(_, row)| published(row, kind))
                .map(|(at, _)| names.get(at))
                .collect();
            let all_are_hidden = holders.is_empty() && sold.get(kind).is_some_and(|sold| *sold);
            for (at, row) in &credits.rows {
                let may_hide = |name: &Channel<'_>| {
                    let holds = |holder: &Option<&Channel<'_>>| match holder {
                        Some(holder) => contains(holder, name),
                        // The row of all that the page does not list.
                        None => true,
                    };
                    holders.iter().any(holds)
                };
                let may_hide = names.get(at).is_none_or(may_hide);
                if !published(row, kind) && (all_are_hidden || may_hide) {
                    unknown.push((*at, kind));
                }
            }
        }
    }
    for (at, row) in &mut credits.rows {
        for (place, number) in row.iter_mut().enumerate() {
            if *number == Int::HIDDEN && !unknown.contains(&(*at, place % 2)) {
                *number = Int(0);
            }
        }
    }
}

/// A credit in the order of [`Month::models`]. What the cell does not count is
/// hidden.
fn credit(kind: &Dim, conversions: i128, value: i128) -> [i128; 4] {
    match word(kind) {
        Some("order") => [conversions, NO_VALUE, value, NO_VALUE],
        _ => [NO_VALUE, conversions, NO_VALUE, value],
    }
}
