//! The summary as text: tables for a terminal, in whole units of the currency.

use std::fmt::Write;

use tributary_operators::release::REST;

use super::{Channels, MODELS, Sum, Summary, add, as_channel};
use crate::report::channel_name::{is_together, title};
use crate::report::published_cells::Month;
use crate::report::table::{Align, Table};

impl Summary {
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
                    // Sales of which a part is hidden are no numerator.
                    _ if !store.is_whole => String::new(),
                    // Hidden visits are not counted.
                    (Some(visits), Some(sales)) => {
                        let bound = if self.hides { "≤ " } else { "" };
                        format!("{bound}{}", whole(sales * 100, visits))
                    }
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
            let ratio = match (line.cost, value) {
                (cost, _) if cost < 100 * self.unit() => String::new(),
                (_, None) if !is_whole => String::new(),
                _ if is_together(&as_channel(name)) => String::new(),
                // Another part of the revenue may be in what is published of several together.
                (cost, value) => {
                    let bound = if is_whole { "" } else { "≥ " };
                    format!("{bound}{:.1}×", value.unwrap_or(0) as f64 / cost as f64)
                }
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

    /// A number as text; blank if it is hidden.
    fn number(&self, sum: Sum, by: i128) -> String {
        match sum {
            Some(sum) => whole(sum, by),
            None if self.hides => String::new(),
            None => whole(0, by),
        }
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
