//! Revenue of one brand in one currency: by channel under every model, with
//! spend.

use std::collections::BTreeMap;

use serde::Serialize;
use tributary_operators::calendar;
use tributary_operators::cell::{Dim, Family};
use tributary_operators::record::Day;

use super::number::{Int, add};
use super::paths::Paths;
use super::sums::{Channel, DAYS, Sums, channel, daily, place, word};
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
    /// By window; `month` is the current calendar month, for Markov.
    periods: BTreeMap<&'static str, Period<'a>>,
    /// In-store and online revenue of each day.
    daily: Vec<[Int; 2]>,
    /// Path statistics.
    paths: Paths<'a>,
}

/// Sums of a number of days.
#[derive(Default, Serialize)]
struct Period<'a> {
    /// By model: conversions (millionths) of orders and in stores, then revenue
    /// (minor units) likewise; in total and by channel.
    models: BTreeMap<&'a str, Rows<4>>,
    /// Spend by channel.
    spend: Rows<1>,
    /// Number of orders and their revenue.
    orders: [Int; 2],
    /// Number of in-store sales and their revenue, by store.
    tills: Rows<2>,
}

/// Numbers in total and by row.
#[derive(Serialize)]
struct Rows<const N: usize> {
    /// In total.
    #[serde(serialize_with = "numbers")]
    total: [Int; N],
    /// By row; [`REST`] is the rest.
    #[serde(serialize_with = "rows")]
    rows: BTreeMap<i32, [Int; N]>,
}

impl<const N: usize> Default for Rows<N> {
    fn default() -> Self {
        Rows {
            total: [Int::default(); N],
            rows: BTreeMap::new(),
        }
    }
}

impl<const N: usize> Rows<N> {
    /// Adds to a row and to the total.
    fn add(&mut self, at: i32, values: [i128; N]) {
        add(&mut self.total, values);
        add(self.rows.entry(at).or_insert([Int::default(); N]), values);
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

/// Every currency of a brand in the last days, the one with the most sales
/// first.
pub fn all<'a>(
    board: &'a PublishedCells,
    brand: &str,
    today: Day,
    stores: &[&str],
) -> Vec<Money<'a>> {
    let days = Periods::days(today.saturating_sub(DAYS - 1)..=today);
    let mut codes: BTreeMap<&str, i128> = BTreeMap::new();
    let has_money = |family: &Family| family.is_daily() && family.dims().contains(&"currency");
    for family in Family::ALL.into_iter().filter(has_money) {
        for (dims, values) in board.sums(family, brand, days, &["currency"]) {
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
        .map(|code| of(board, brand, today, stores, code))
        .collect()
}

/// Revenue in one currency.
fn of<'a>(
    board: &'a PublishedCells,
    brand: &str,
    today: Day,
    stores: &[&str],
    code: &'a str,
) -> Money<'a> {
    let channels = channels(board, brand, today, code);
    let places = channels.iter().zip(0..).map(|(channel, at)| (*channel, at));
    let sums = Sums {
        board,
        brand,
        code,
        stores,
        places: places.collect(),
    };
    let mut periods: BTreeMap<_, _> = Window::TOTALS
        .map(|window| (window.name(), sums.period(window.periods(today))))
        .into();
    periods.insert("month", sums.month(today));
    Money {
        code,
        decimals: crate::report::table::decimals(code),
        periods,
        daily: daily(today, |day| {
            let mut takings = [Int::default(); 2];
            add(
                &mut takings,
                [Family::StoreDay, Family::OrdersDay].map(|f| sums.takings(f, day)),
            );
            takings
        }),
        paths: Paths::of(&sums, today),
        channels,
    }
}

/// Channels with a row of their own: those with the most revenue and spend
/// under all models, in that order. Sales without a touchpoint always have a
/// row.
fn channels<'a>(
    board: &'a PublishedCells,
    brand: &str,
    today: Day,
    code: &str,
) -> Vec<Channel<'a>> {
    let mut weights: BTreeMap<Channel, i128> = BTreeMap::new();
    let by = ["currency", "source", "medium", "campaign"];
    let month = calendar::month(today);
    let days = Window::ThirtyDays.periods(today);
    for (family, periods, value) in [
        (Family::Attribution, days, 1),
        (Family::SpendDay, days, 0),
        (Family::MarkovMonth, Periods::months(month..=month), 2),
    ] {
        for (dims, values) in board.sums(family, brand, periods, &by) {
            if let Some((channel, _)) = channel(&dims).filter(|(_, of)| *of == code) {
                let weight = values.get(value).copied().unwrap_or(0);
                *weights.entry(channel).or_default() += weight.saturating_abs();
            }
        }
    }
    let mut channels: Vec<_> = weights.into_iter().collect();
    // What nobody touched always has its row.
    channels.sort_by_key(|(channel, weight)| (channel[0] != Some("unattributed"), -weight));
    channels
        .into_iter()
        .map(|(channel, _)| channel)
        .take(CHANNELS)
        .collect()
}

impl<'a> Sums<'a, '_> {
    /// Revenue of a family on a day.
    fn takings(&self, family: Family, day: Day) -> i128 {
        let mut sum = 0_i128;
        self.each(family, Periods::days(day..=day), &[], |_, values| {
            sum = sum.saturating_add(values.get(1).copied().unwrap_or(0));
        });
        sum
    }

    /// Spend by channel on some days.
    fn spend(&self, days: Periods) -> Rows<1> {
        let mut spend = Rows::default();
        let by = ["source", "medium", "campaign"];
        self.each(Family::SpendDay, days, &by, |dims, values| {
            if let [cost, ..] = values {
                spend.add(self.at(dims), [*cost]);
            }
        });
        spend
    }

    /// Sums of some days.
    fn period(&self, days: Periods) -> Period<'a> {
        let mut period = Period {
            spend: self.spend(days),
            ..Period::default()
        };
        let by = ["source", "medium", "campaign", "kind", "model"];
        self.each(Family::Attribution, days, &by, |dims, values| {
            if let ([.., kind, model], &[conversions, value]) = (dims, values)
                && let Some(model) = word(model)
            {
                let credit = credit(kind, conversions, value);
                period
                    .models
                    .entry(model)
                    .or_default()
                    .add(self.at(dims), credit);
            }
        });
        self.each(Family::OrdersDay, days, &[], |_, values| {
            if let &[orders, value, ..] = values {
                add(&mut period.orders, [orders, value]);
            }
        });
        self.each(Family::StoreDay, days, &["store"], |dims, values| {
            if let ([_, store], &[sales, value, ..]) = (dims, values) {
                period.tills.add(place(self.stores, store), [sales, value]);
            }
        });
        period
    }

    /// Sums of the current calendar month under the Markov model.
    fn month(&self, today: Day) -> Period<'a> {
        let month = calendar::month(today);
        let (_, _, of_month) = calendar::civil(today);
        let first = today.saturating_sub(of_month.cast_signed() - 1);
        let mut credits = Rows::default();
        let by = ["source", "medium", "campaign", "kind"];
        self.each(
            Family::MarkovMonth,
            Periods::months(month..=month),
            &by,
            |dims, values| {
                if let ([.., kind], &[_, conversions, value]) = (dims, values) {
                    credits.add(self.at(dims), credit(kind, conversions, value));
                }
            },
        );
        Period {
            models: BTreeMap::from([(MARKOV, credits)]),
            spend: self.spend(Periods::days(first..=today)),
            ..Period::default()
        }
    }
}

/// A credit in the order of [`Period::models`].
fn credit(kind: &Dim, conversions: i128, value: i128) -> [i128; 4] {
    match word(kind) {
        Some("order") => [conversions, 0, value, 0],
        _ => [0, conversions, 0, value],
    }
}
