//! Summary of the demo: revenue by channel, the attribution models compared,
//! store visits and sales.
//!
//! It is computed from released cells alone, like everything else that leaves
//! the process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};
use tributary_operators::cell::{Cell, Dim, Family};

use crate::report::table::{Align, Table};

/// Attribution models in the order of the columns.
const MODELS: [&str; 7] = [
    "first",
    "last",
    "last_non_direct",
    "linear",
    "position",
    "time_decay",
    "shapley",
];

/// Number of channels in the tables.
const CHANNELS: usize = 12;

/// Totals of a store.
#[derive(Default)]
struct Store {
    /// Number of visits.
    visits: i128,
    /// Number of devices that passed without a visit.
    passers_by: i128,
    /// Total duration of visits in seconds.
    dwell: i128,
    /// Number of sales.
    transactions: i128,
    /// Revenue in minor units.
    revenue: i128,
}

/// Totals of a channel.
#[derive(Default)]
struct ChannelLine {
    /// Attributed revenue in minor units by model, including Markov.
    value: BTreeMap<&'static str, i128>,
    /// In-store conversions under the linear model, in millionths.
    store_millionths: i128,
    /// Online conversions under the linear model, in millionths.
    online_millionths: i128,
    /// Spend in minor units.
    cost: i128,
}

/// Content of the summary, for one currency.
#[derive(Default)]
pub struct Summary {
    /// ISO 4217 code.
    currency: String,
    /// Days with sales.
    days: BTreeSet<i32>,
    /// Totals by store.
    stores: BTreeMap<String, Store>,
    /// Totals by channel.
    channels: BTreeMap<String, ChannelLine>,
    /// Number of online orders.
    orders: i128,
    /// Online revenue in minor units.
    online_revenue: i128,
    /// Number of persons.
    persons: i128,
    /// Number of identifiers.
    identifiers: i128,
    /// Number of links between identifiers.
    links: i128,
    /// Paths to a sale with their number of conversions, most frequent first.
    paths: Vec<(i128, String)>,
}

impl Summary {
    /// Sums the cells of one brand in its main currency; other currencies are
    /// omitted.
    pub fn of(cells: &[Cell]) -> Summary {
        let mut summary = Summary {
            currency: main_currency(cells),
            ..Summary::default()
        };
        let mut paths: BTreeMap<String, i128> = BTreeMap::new();
        for cell in cells {
            let foreign =
                !matches!(cell.text("currency"), "") && cell.text("currency") != summary.currency;
            if !foreign {
                summary.add(cell, &mut paths);
            }
        }
        summary.paths = paths.into_iter().map(|(path, n)| (n, path)).collect();
        summary
            .paths
            .sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        summary
    }

    /// Adds a cell. Paths are collected separately, to be sorted.
    fn add(&mut self, cell: &Cell, paths: &mut BTreeMap<String, i128>) {
        match cell.family {
            Family::StoreDay => {
                self.days.extend(cell.day());
                let store = self
                    .stores
                    .entry(cell.text("store").to_owned())
                    .or_default();
                store.transactions += cell.value("transactions");
                store.revenue += cell.value("revenue_minor");
            }
            Family::Visits => {
                let store = self
                    .stores
                    .entry(cell.text("store").to_owned())
                    .or_default();
                store.visits += cell.value("visits");
                store.passers_by += cell.value("passers_by");
                store.dwell += cell.value("dwell_seconds");
            }
            Family::OrdersDay => {
                self.days.extend(cell.day());
                self.orders += cell.value("orders");
                self.online_revenue += cell.value("revenue_minor");
            }
            Family::Attribution => {
                let Some(model) = MODELS.iter().find(|model| **model == cell.text("model")) else {
                    return;
                };
                let line = self.channels.entry(channel(cell)).or_default();
                *line.value.entry(model).or_default() += cell.value("value_minor");
                if *model == "linear" {
                    let millionths = cell.value("conversions_millionths");
                    match cell.text("kind") {
                        "order" => line.online_millionths += millionths,
                        _ => line.store_millionths += millionths,
                    }
                }
            }
            Family::MarkovMonth => {
                let line = self.channels.entry(channel(cell)).or_default();
                *line.value.entry("markov").or_default() += cell.value("value_minor");
            }
            Family::SpendDay => {
                self.channels.entry(channel(cell)).or_default().cost += cell.value("cost_minor");
            }
            Family::Identity => {
                self.persons = cell.value("persons");
                self.identifiers = cell.value("identifiers");
                self.links = cell.value("links");
            }
            Family::Paths => {
                if let Some(Dim::Path(steps)) = cell.dim("path") {
                    let steps: Vec<String> = steps
                        .iter()
                        .map(|step| {
                            let words: Vec<&str> = step.iter().flatten().map(|w| &**w).collect();
                            words.join("/")
                        })
                        .collect();
                    *paths.entry(steps.join(" → ")).or_default() += cell.value("conversions");
                }
            }
            Family::CampaignDay | Family::PathLength | Family::PathDays | Family::Assists => {}
        }
    }

    /// Channels in the tables: by revenue under the linear model, followed by those
    /// without a touchpoint.
    fn ranking(&self) -> Vec<(&String, &ChannelLine)> {
        let linear = |line: &ChannelLine| line.value.get("linear").copied().unwrap_or(0);
        let mut lines: Vec<_> = self
            .channels
            .iter()
            .filter(|(name, _)| !name.starts_with("unattributed"))
            .collect();
        lines.sort_by(|a, b| linear(b.1).cmp(&linear(a.1)).then(a.0.cmp(b.0)));
        lines.truncate(CHANNELS);
        lines.extend(
            self.channels
                .iter()
                .filter(|(name, _)| name.starts_with("unattributed")),
        );
        lines
    }

    /// The summary as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "\nRevenue by channel, in store and online");
        let _ = writeln!(
            out,
            "(linear model: each sale is shared equally among the touchpoints of the previous 30 days)\n"
        );
        let mut table = Table::new(&[
            ("channel", Align::Left),
            ("in-store sales", Align::Right),
            ("online orders", Align::Right),
            ("revenue", Align::Right),
            ("spend", Align::Right),
            ("ROAS", Align::Right),
        ]);
        for (name, line) in self.ranking() {
            let value = line.value.get("linear").copied().unwrap_or(0);
            // A cost of cents says nothing about a return.
            let ratio = match line.cost {
                cost if cost < 100 * self.unit() => String::new(),
                cost => format!("{:.1}×", value as f64 / cost as f64),
            };
            table.row([
                name.clone(),
                whole(line.store_millionths, 1_000_000),
                whole(line.online_millionths, 1_000_000),
                self.money(value),
                if line.cost == 0 {
                    String::new()
                } else {
                    self.money(line.cost)
                },
                ratio,
            ]);
        }
        let _ = writeln!(out, "{table}");

        let _ = writeln!(
            out,
            "Revenue by channel under each attribution model, in {}\n",
            self.currency
        );
        let mut columns = vec![("channel", Align::Left)];
        columns.extend(
            [
                "first",
                "last",
                "non-direct",
                "linear",
                "position",
                "decay",
                "shapley",
                "markov",
            ]
            .map(|name| (name, Align::Right)),
        );
        let mut table = Table::new(&columns);
        for (name, line) in self.ranking() {
            let value = |model| whole(line.value.get(model).copied().unwrap_or(0), self.unit());
            let mut row = vec![name.clone()];
            row.extend(MODELS.iter().chain(&["markov"]).map(|model| value(*model)));
            table.row(row);
        }
        let _ = writeln!(out, "{table}");

        let _ = writeln!(out, "Store visits and in-store revenue\n");
        let mut table = Table::new(&[
            ("store", Align::Left),
            ("passers-by", Align::Right),
            ("visits", Align::Right),
            ("capture rate", Align::Right),
            ("avg. dwell", Align::Right),
            ("sales", Align::Right),
            ("per 100 visits", Align::Right),
            ("revenue", Align::Right),
        ]);
        for (name, store) in &self.stores {
            table.row([
                name.clone(),
                whole(store.passers_by, 1),
                whole(store.visits, 1),
                percent(store.visits, store.visits + store.passers_by),
                match store.visits {
                    0 => String::new(),
                    visits => format!("{} min", store.dwell / visits / 60),
                },
                whole(store.transactions, 1),
                match store.visits {
                    0 => String::new(),
                    visits => whole(store.transactions * 100, visits),
                },
                self.money(store.revenue),
            ]);
        }
        table.row([
            "online".to_owned(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            whole(self.orders, 1),
            String::new(),
            self.money(self.online_revenue),
        ]);
        let _ = writeln!(out, "{table}");

        if !self.paths.is_empty() {
            let _ = writeln!(out, "Most common paths to a sale\n");
            let mut table = Table::new(&[("sales", Align::Right), ("path", Align::Left)]);
            for (count, path) in self.paths.iter().take(6) {
                table.row([whole(*count, 1), path.clone()]);
            }
            let _ = writeln!(out, "{table}");
        }
        let _ = writeln!(
            out,
            "{} identifiers were resolved to {} persons through {} links. No number above identifies a person.",
            whole(self.identifiers, 1),
            whole(self.persons, 1),
            whole(self.links, 1),
        );
        out
    }

    /// The summary as JSON.
    pub fn json(&self) -> Value {
        let channels: Vec<Value> = self
            .ranking()
            .into_iter()
            .map(|(name, line)| {
                let values: BTreeMap<&str, i64> = line
                    .value
                    .iter()
                    .map(|(model, value)| (*model, *value as i64))
                    .collect();
                json!({
                    "channel": name, "value_minor": values, "cost_minor": line.cost as i64,
                    "store_conversions_millionths": line.store_millionths as i64,
                    "online_conversions_millionths": line.online_millionths as i64,
                })
            })
            .collect();
        let stores: Vec<Value> = self
            .stores
            .iter()
            .map(|(name, store)| {
                json!({
                    "store": name, "visits": store.visits as i64,
                    "passers_by": store.passers_by as i64, "dwell_seconds": store.dwell as i64,
                    "transactions": store.transactions as i64, "revenue_minor": store.revenue as i64,
                })
            })
            .collect();
        json!({
            "currency": self.currency, "days": self.days.len(), "channels": channels, "stores": stores,
            "online": {"orders": self.orders as i64, "revenue_minor": self.online_revenue as i64},
            "identity": {
                "persons": self.persons as i64, "identifiers": self.identifiers as i64,
                "links": self.links as i64,
            },
        })
    }

    /// Number of minor units in a major one.
    fn unit(&self) -> i128 {
        10i128.pow(crate::report::table::decimals(&self.currency))
    }

    /// An amount in whole major units, with the currency.
    fn money(&self, minor: i128) -> String {
        format!("{} {}", whole(minor, self.unit()), self.currency)
    }
}

/// The currency with the most revenue.
fn main_currency(cells: &[Cell]) -> String {
    let mut takings: BTreeMap<&str, i128> = BTreeMap::new();
    for cell in cells {
        if cell.family.row().is_total {
            *takings.entry(cell.text("currency")).or_default() += cell.value("revenue_minor");
        }
    }
    let most = takings.into_iter().max_by_key(|(_, value)| *value);
    most.map_or_else(|| "EUR".to_owned(), |(currency, _)| currency.to_owned())
}

/// Name of a cell's channel.
fn channel(cell: &Cell) -> String {
    let words = ["source", "medium", "campaign"].map(|name| cell.text(name));
    words
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("/")
}

/// A quotient rounded to a whole number, with thousands separators.
fn whole(value: i128, by: i128) -> String {
    let by = by.max(1);
    crate::report::table::thousands((2 * value + by).div_euclid(2 * by))
}

/// A share in whole percent; empty without a denominator.
fn percent(part: i128, of: i128) -> String {
    if of == 0 {
        String::new()
    } else {
        format!("{} %", (200 * part + of) / (2 * of))
    }
}
