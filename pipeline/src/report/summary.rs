//! Summary of the demo: revenue by channel, the attribution models compared,
//! store visits and sales.
//!
//! It is computed from released cells alone, like everything else that leaves
//! the process. Channels have tables by calendar month, to yesterday, because
//! the release gate publishes their credits by month. A number of which nothing
//! is published is blank, and `null` in JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Value, json};
use tributary_operators::calendar;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::record::{Day, SaleKind};
use tributary_operators::release::REST;

use crate::report::channel_name::{Channel, contains, is_together, title};
use crate::report::published_cells::Month;
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

/// A sum; `None` if nothing is published of it.
type Sum = Option<i128>;

/// Adds to a sum.
fn add(sum: &mut Sum, more: i128) {
    *sum = Some(sum.unwrap_or(0).saturating_add(more));
}

/// Totals of a store.
#[derive(Default)]
struct Store {
    /// Number of visits.
    visits: Sum,
    /// Number of devices that passed without a visit.
    passers_by: Sum,
    /// Total duration of visits in seconds.
    dwell: Sum,
    /// Number of sales.
    transactions: Sum,
    /// Revenue in minor units.
    revenue: Sum,
}

/// Totals of a channel in a month.
#[derive(Default)]
struct ChannelLine {
    /// Attributed revenue in minor units by model, including Markov.
    value: BTreeMap<&'static str, i128>,
    /// In-store conversions under the linear model, in millionths.
    store_millionths: Sum,
    /// Online conversions under the linear model, in millionths.
    online_millionths: Sum,
    /// Spend in minor units.
    cost: i128,
}

/// Source, medium and campaign.
type Name = [Option<String>; 3];

/// Totals by channel.
type Channels = BTreeMap<Name, ChannelLine>;

/// Content of the summary, for one currency.
#[derive(Default)]
pub struct Summary {
    /// ISO 4217 code.
    currency: String,
    /// Days with sales.
    days: BTreeSet<i32>,
    /// Totals by store.
    stores: BTreeMap<String, Store>,
    /// Totals by channel, of the last and the current month.
    months: BTreeMap<Month, Channels>,
    /// Whether the release gate may hide cells.
    hides: bool,
    /// Number of online orders.
    orders: Sum,
    /// Online revenue in minor units.
    online_revenue: Sum,
    /// Number of persons.
    persons: Sum,
    /// Number of identifiers.
    identifiers: Sum,
    /// Number of links between identifiers.
    links: Sum,
    /// Paths to a sale with their number of conversions, most frequent first.
    paths: Vec<(i128, String)>,
}

impl Summary {
    /// Sums the cells of one brand in its main currency; other currencies are
    /// omitted. The current day is the last one of a cell. `hides` is whether the
    /// release gate may hide cells.
    pub fn of(cells: &[Cell], hides: bool) -> Summary {
        let today = cells.iter().filter_map(Cell::day).max().unwrap_or(0);
        let mut summary = Summary {
            currency: main_currency(cells),
            hides,
            ..Summary::default()
        };
        let mut paths: BTreeMap<String, i128> = BTreeMap::new();
        for cell in cells {
            let foreign =
                !matches!(cell.text("currency"), "") && cell.text("currency") != summary.currency;
            // Visits have no value, and a summary of revenue is about sales.
            if !foreign && cell.text("kind") != SaleKind::Visit.name() {
                summary.add(cell, today, &mut paths);
            }
        }
        summary.paths = paths.into_iter().map(|(path, n)| (n, path)).collect();
        summary
            .paths
            .sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        summary
    }

    /// Adds a cell. Paths are collected separately, to be sorted.
    fn add(&mut self, cell: &Cell, today: Day, paths: &mut BTreeMap<String, i128>) {
        match cell.family {
            Family::StoreDay => {
                self.days.extend(cell.day());
                let store = self
                    .stores
                    .entry(cell.text("store").to_owned())
                    .or_default();
                add(&mut store.transactions, cell.value("transactions"));
                add(&mut store.revenue, cell.value("revenue_minor"));
            }
            Family::Visits => {
                let store = self
                    .stores
                    .entry(cell.text("store").to_owned())
                    .or_default();
                add(&mut store.visits, cell.value("visits"));
                add(&mut store.passers_by, cell.value("passers_by"));
                add(&mut store.dwell, cell.value("dwell_seconds"));
            }
            Family::OrdersDay => {
                self.days.extend(cell.day());
                add(&mut self.orders, cell.value("orders"));
                add(&mut self.online_revenue, cell.value("revenue_minor"));
            }
            Family::Attribution => {
                let Some(model) = MODELS.iter().find(|model| **model == cell.text("model")) else {
                    return;
                };
                let Some(line) = self.line(cell, today) else {
                    return;
                };
                *line.value.entry(model).or_default() += cell.value("value_minor");
                if *model == "linear" {
                    let millionths = cell.value("conversions_millionths");
                    match cell.text("kind") {
                        "order" => add(&mut line.online_millionths, millionths),
                        _ => add(&mut line.store_millionths, millionths),
                    }
                }
            }
            Family::MarkovMonth => {
                if let Some(line) = self.line(cell, today) {
                    *line.value.entry("markov").or_default() += cell.value("value_minor");
                }
            }
            Family::SpendDay => {
                if let Some(line) = self.line(cell, today) {
                    line.cost += cell.value("cost_minor");
                }
            }
            Family::Identity => {
                add(&mut self.persons, cell.value("persons"));
                add(&mut self.identifiers, cell.value("identifiers"));
                add(&mut self.links, cell.value("links"));
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
            Family::ScanDay | Family::RedemptionDay | Family::WalletDay => {}
            Family::CampaignDay | Family::PathLength | Family::PathDays | Family::Assists => {}
        }
    }

    /// The line of a cell's channel in its month; `None` for a cell of the current
    /// day, or of another month than the last and the current one.
    fn line(&mut self, cell: &Cell, today: Day) -> Option<&mut ChannelLine> {
        let this_month = calendar::month(today);
        let month = cell.dims.iter().find_map(|dim| match dim {
            Dim::Month(month) => Some(*month),
            Dim::Day(day) if *day < today => Some(calendar::month(*day)),
            _ => None,
        })?;
        let is_shown = (this_month - 1..=this_month).contains(&month);
        let channels = is_shown.then(|| self.months.entry(month).or_default())?;
        let name = ["source", "medium", "campaign"].map(|name| match cell.text(name) {
            "" => None,
            text => Some(text.to_owned()),
        });
        Some(channels.entry(name).or_default())
    }

    /// A number as text; blank if it is hidden.
    fn number(&self, sum: Sum, by: i128) -> String {
        match sum {
            Some(sum) => whole(sum, by),
            None if self.hides => String::new(),
            None => whole(0, by),
        }
    }

    /// A number in JSON; null if it is hidden.
    fn value(&self, sum: Sum) -> Value {
        match sum {
            None if self.hides => Value::Null,
            sum => json!(sum.unwrap_or(0) as i64),
        }
    }

    /// Whether all credit of a channel under the linear model is published under
    /// its name: of each kind of sale it has a cell, or no cell of several channels
    /// together can contain the rest.
    fn is_whole(&self, channels: &Channels, name: &Name) -> bool {
        let kinds: [fn(&ChannelLine) -> Sum; 2] =
            [|line| line.store_millionths, |line| line.online_millionths];
        let is_known = |kind: fn(&ChannelLine) -> Sum| {
            let mut published = channels
                .iter()
                .filter(|(_, line)| kind(line).is_some())
                .peekable();
            // Without any credit of a kind, there are no such sales or all are hidden.
            let has_any = published.peek().is_some();
            let mut rests = published.map(|(rest, _)| as_channel(rest));
            channels.get(name).and_then(kind).is_some()
                || has_any && !rests.any(|rest| contains(&rest, &as_channel(name)))
        };
        !self.hides || kinds.into_iter().all(is_known) && !is_together(&as_channel(name))
    }

    /// Channels in the tables: by revenue under the linear model, then what is
    /// published of several together, then those without a touchpoint.
    fn ranking<'a>(&self, channels: &'a Channels) -> Vec<(&'a Name, &'a ChannelLine)> {
        let linear = |line: &ChannelLine| line.value.get("linear").copied().unwrap_or(0);
        let order = |name: &Name| match is_unattributed(name) {
            true => 2,
            false => u8::from(is_together(&as_channel(name))),
        };
        let mut lines: Vec<_> = channels.iter().collect();
        lines.sort_by(|a, b| {
            (order(a.0), linear(b.1))
                .cmp(&(order(b.0), linear(a.1)))
                .then(a.0.cmp(b.0))
        });
        let mut left = CHANNELS;
        lines.retain(|(name, _)| {
            let is_own = order(name) == 0;
            let is_shown = !is_own || left > 0;
            left = left.saturating_sub(usize::from(is_own));
            is_shown
        });
        lines
    }

    /// What channels brought under their own names under the linear model, and in
    /// all: minor units, and the sizes of both for their share.
    fn coverage(channels: &Channels) -> (Sum, [i128; 2]) {
        let (mut brought, mut sizes) = (None, [0, 0]);
        for (name, line) in channels.iter().filter(|(name, _)| !is_unattributed(name)) {
            let Some(value) = line.value.get("linear") else {
                continue;
            };
            sizes[1] += value.abs();
            if !is_together(&as_channel(name)) {
                add(&mut brought, *value);
                sizes[0] += value.abs();
            }
        }
        (brought, sizes)
    }

    /// The coverage of a month as a sentence.
    fn covered(&self, channels: &Channels) -> String {
        match Summary::coverage(channels) {
            (None, _) if self.hides => "Revenue of channels: hidden for privacy.".to_owned(),
            (brought, [own, all]) if own == all => {
                format!("Revenue of channels: {}, all of it.", self.money(brought))
            }
            (brought, [own, all]) => format!(
                "Revenue of channels: {}, {} % of what channels brought: the rest is hidden for privacy.",
                self.money(brought),
                100 * own / all.max(1)
            ),
        }
    }

    /// The revenue and its coverage by month, as a few lines.
    pub fn brief(&self) -> String {
        let mut out = String::new();
        for (month, channels) in &self.months {
            let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
            let _ = writeln!(out, "{year:04}-{month:02}: {}", self.covered(channels));
        }
        let stores = self.stores.values().filter_map(|store| store.revenue);
        let stores: Sum = stores.fold(None, |mut sum, more| {
            add(&mut sum, more);
            sum
        });
        for (name, revenue) in [("In-store", stores), ("Online", self.online_revenue)] {
            if revenue.is_some() || !self.hides {
                let _ = writeln!(out, "{name} revenue: {}.", self.money(revenue));
            }
        }
        out
    }

    /// The summary as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (month, channels) in &self.months {
            self.write_month(&mut out, *month, channels);
        }
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
                match name.as_str() {
                    REST => "all stores (the rest)".to_owned(),
                    name => name.to_owned(),
                },
                self.number(store.passers_by, 1),
                self.number(store.visits, 1),
                percent(
                    store.visits.unwrap_or(0),
                    store.visits.unwrap_or(0) + store.passers_by.unwrap_or(0),
                ),
                match (store.visits, store.dwell) {
                    (None | Some(0), _) | (_, None) => String::new(),
                    (Some(visits), Some(dwell)) => format!("{} min", dwell / visits / 60),
                },
                self.number(store.transactions, 1),
                match (store.visits, store.transactions) {
                    (None | Some(0), _) | (_, None) => String::new(),
                    (Some(visits), Some(sales)) => whole(sales * 100, visits),
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
            self.number(self.orders, 1),
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
        if let (Some(identifiers), Some(persons), Some(links)) =
            (self.identifiers, self.persons, self.links)
        {
            let _ = writeln!(
                out,
                "{} identifiers were resolved to {} persons through {} links.\nNo number above identifies a person.",
                whole(identifiers, 1),
                whole(persons, 1),
                whole(links, 1),
            );
        }
        out
    }

    /// The tables of the channels in a month.
    fn write_month(&self, out: &mut String, month: Month, channels: &Channels) {
        let name = format!(
            "{:04}-{:02}",
            month.div_euclid(12),
            month.rem_euclid(12) + 1
        );
        let _ = writeln!(out, "\nRevenue by channel in {name}, in store and online");
        let _ = writeln!(
            out,
            "(to yesterday; linear model: each sale is shared equally among the touchpoints of the previous\n\
             30 days)\n\n{}\n",
            self.covered(channels)
        );
        if channels.values().all(|line| line.value.is_empty()) {
            return;
        }
        let mut table = Table::new(&[
            ("channel", Align::Left),
            ("in-store sales", Align::Right),
            ("online orders", Align::Right),
            ("revenue", Align::Right),
            ("spend", Align::Right),
            ("ROAS", Align::Right),
        ]);
        for (name, line) in self.ranking(channels) {
            let value = line.value.get("linear").copied();
            let is_whole = self.is_whole(channels, name);
            // A cost of cents says nothing about a return.
            let ratio = match line.cost {
                cost if cost < 100 * self.unit() || !is_whole => String::new(),
                cost => format!("{:.1}×", value.unwrap_or(0) as f64 / cost as f64),
            };
            // What is published of several channels together is not their whole.
            let known = |sum: Sum| if is_whole { sum.or(Some(0)) } else { sum };
            table.row([
                title(&as_channel(name)),
                self.number(known(line.store_millionths), 1_000_000),
                self.number(known(line.online_millionths), 1_000_000),
                self.money(known(value)),
                if line.cost == 0 {
                    String::new()
                } else {
                    self.money(Some(line.cost))
                },
                ratio,
            ]);
        }
        let _ = writeln!(out, "{table}");

        let _ = writeln!(
            out,
            "Revenue by channel in {name} under each attribution model, in {}\n",
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
        for (name, line) in self.ranking(channels) {
            let value = |model| self.number(line.value.get(model).copied(), self.unit());
            let mut row = vec![title(&as_channel(name))];
            row.extend(MODELS.iter().chain(&["markov"]).map(|model| value(*model)));
            table.row(row);
        }
        let _ = writeln!(out, "{table}");
    }

    /// The summary as JSON.
    pub fn json(&self) -> Value {
        let months: Vec<Value> = self.months.iter().map(|of| self.month_json(of)).collect();
        let stores: Vec<Value> = self
            .stores
            .iter()
            .map(|(name, store)| {
                json!({
                    "store": name, "visits": self.value(store.visits),
                    "passers_by": self.value(store.passers_by), "dwell_seconds": self.value(store.dwell),
                    "transactions": self.value(store.transactions), "revenue_minor": self.value(store.revenue),
                })
            })
            .collect();
        json!({
            "currency": self.currency, "days": self.days.len(), "months": months, "stores": stores,
            "online": {"orders": self.value(self.orders), "revenue_minor": self.value(self.online_revenue)},
            "identity": {
                "persons": self.value(self.persons), "identifiers": self.value(self.identifiers),
                "links": self.value(self.links),
            },
        })
    }

    /// The channels of a month as JSON.
    fn month_json(&self, (month, channels): (&Month, &Channels)) -> Value {
        let rows = self.ranking(channels).into_iter().map(|(name, line)| {
            let words: Vec<&str> = name.iter().flatten().map(String::as_str).collect();
            let values: BTreeMap<&str, i64> = line
                .value
                .iter()
                .map(|(model, value)| (*model, *value as i64))
                .collect();
            json!({
                "channel": words.join("/"), "value_minor": values, "cost_minor": line.cost as i64,
                "store_conversions_millionths": self.value(line.store_millionths),
                "online_conversions_millionths": self.value(line.online_millionths),
            })
        });
        let rows: Vec<Value> = rows.collect();
        let (brought, [own, all]) = Summary::coverage(channels);
        json!({
            "month": format!("{:04}-{:02}", month.div_euclid(12), month.rem_euclid(12) + 1),
            "channels": rows, "revenue_of_channels_minor": self.value(brought),
            "released_percent": (100 * own).checked_div(all).map(|share| share as i64),
        })
    }

    /// Number of minor units in a major one.
    fn unit(&self) -> i128 {
        10i128.pow(crate::report::table::decimals(&self.currency))
    }

    /// An amount in whole major units, with the currency; blank if it is hidden.
    fn money(&self, minor: Sum) -> String {
        match self.number(minor, self.unit()) {
            hidden if hidden.is_empty() => hidden,
            amount => format!("{amount} {}", self.currency),
        }
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

/// The name with borrowed texts.
fn as_channel(name: &Name) -> Channel<'_> {
    name.each_ref().map(Option::as_deref)
}

/// Whether the channel stands for sales without a touchpoint.
fn is_unattributed(name: &Name) -> bool {
    name.first()
        .is_some_and(|source| source.as_deref() == Some("unattributed"))
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
