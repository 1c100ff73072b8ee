//! Business metrics: released cells, summed over rolling windows.
//!
//! A series that a window no longer has is 0 while a longer window still has
//! it, so that a dashboard shows a decrease and not a gap. All sums are
//! integers; they are capped first, and only then divided and converted.

use std::collections::{BTreeMap, BTreeSet};

use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};
use tributary_operators::calendar;
use tributary_operators::cell::{Dim, Family};
use tributary_operators::currency;
use tributary_operators::record::Day;

use super::cap::{self, Amount, Points};
use super::label::CONTACTS;
use super::table::{Id, row};
use crate::report::published_cells::{PublishedCells, Window};

/// Millionths in a conversion.
const MILLION: f64 = 1e6;

/// Business metrics of every brand as metric families. A brand comes with its
/// current day.
pub fn families(
    board: &PublishedCells,
    brands: &[(&str, Day)],
    max_series: usize,
) -> Vec<MetricFamily> {
    let mut all: BTreeMap<Id, Points> = BTreeMap::new();
    for (brand, today) in brands {
        let mut gauges = Gauges {
            board,
            brand,
            today: *today,
            points: BTreeMap::new(),
        };
        gauges.attribution();
        gauges.contacts();
        gauges.markov();
        gauges.takings();
        gauges.spend();
        gauges.returns();
        gauges.stores();
        gauges.identity();
        for (id, points) in gauges.points {
            all.entry(id)
                .or_default()
                .extend(cap::cap(points, row(id).labels, max_series));
        }
    }
    all.into_iter()
        .map(|(id, points)| family(id, points))
        .filter(|f| !f.get_metric().is_empty())
        .collect()
}

/// Metrics of one brand while they are computed.
struct Gauges<'a> {
    /// The released cells.
    board: &'a PublishedCells,
    /// Name of the brand.
    brand: &'a str,
    /// Its current day.
    today: Day,
    /// The sums so far.
    points: BTreeMap<Id, Points>,
}

impl<'a> Gauges<'a> {
    /// Adds to a metric with the brand and these labels.
    fn add<const N: usize>(&mut self, id: Id, labels: [&str; N], amount: Amount) {
        let labels = std::iter::once(self.brand)
            .chain(labels)
            .map(str::to_owned)
            .collect();
        cap::add(self.points.entry(id).or_default(), labels, amount);
    }

    /// Sums of a family in every window, by dimensions. Each window has the
    /// dimensions of the longest one, with 0 where it has no cell.
    fn windows(&self, family: Family, by: &[&str]) -> Vec<(&'static str, Vec<&'a Dim>, Vec<i128>)> {
        let board = self.board;
        let sums = |window: Window| board.sums(family, self.brand, window.days(self.today), by);
        let longest = sums(Window::Month);
        let mut found = Vec::new();
        for window in Window::ALL {
            let own = if window == Window::Month {
                BTreeMap::new()
            } else {
                sums(window)
            };
            let own = if window == Window::Month {
                &longest
            } else {
                &own
            };
            for dims in longest.keys() {
                let values = own.get(dims).cloned();
                let values = values.unwrap_or_else(|| vec![0; family.values().len()]);
                found.push((window.name(), dims.clone(), values));
            }
        }
        found
    }

    /// Attributed conversions and revenue.
    fn attribution(&mut self) {
        let by = ["model", "source", "medium", "campaign", "kind", "currency"];
        for (window, dims, values) in self.windows(Family::Attribution, &by) {
            let (&[model, source, medium, campaign, kind, currency], &[conversions, value]) =
                (&dims[..], &values[..])
            else {
                continue;
            };
            let (model, kind, currency) = (word(model), word(kind), word(currency));
            let channel = channel(source, medium, campaign);
            let labels = [window, model, &channel, kind];
            self.add(Id::Conversions, labels, Amount::plain(conversions, MILLION));
            let labels = [window, model, &channel, kind, currency];
            self.add(Id::Value, labels, Amount::plain(value, minor(currency)));
        }
    }

    /// Impressions, clicks and views.
    fn contacts(&mut self) {
        let by = ["source", "medium", "campaign"];
        for (window, dims, values) in self.windows(Family::CampaignDay, &by) {
            let &[source, medium, campaign] = &dims[..] else {
                continue;
            };
            let channel = channel(source, medium, campaign);
            for (kind, count) in CONTACTS.into_iter().zip(values) {
                self.add(
                    Id::Contacts,
                    [window, &channel, kind],
                    Amount::plain(count, 1.0),
                );
            }
        }
    }

    /// The Markov model of the current month.
    fn markov(&mut self) {
        let month = calendar::month(self.today);
        let by = ["kind", "currency", "source", "medium", "campaign"];
        for (dims, values) in self
            .board
            .sums(Family::MarkovMonth, self.brand, month..=month, &by)
        {
            let (&[kind, currency, source, medium, campaign], &[effect, conversions, value]) =
                (&dims[..], &values[..])
            else {
                continue;
            };
            let currency = word(currency);
            let channel = channel(source, medium, campaign);
            let labels = [word(kind), currency, &channel];
            self.add(Id::MarkovEffect, labels, Amount::plain(effect, MILLION));
            self.add(
                Id::MarkovConversions,
                labels,
                Amount::plain(conversions, MILLION),
            );
            self.add(
                Id::MarkovValue,
                labels,
                Amount::plain(value, minor(currency)),
            );
        }
    }

    /// In-store and online revenue.
    fn takings(&mut self) {
        for (window, dims, values) in self.windows(Family::StoreDay, &["store", "currency"]) {
            let (&[store, currency], &[sales, takings, _]) = (&dims[..], &values[..]) else {
                continue;
            };
            let (store, currency) = (word(store), word(currency));
            self.add(
                Id::StoreTransactions,
                [window, store],
                Amount::plain(sales, 1.0),
            );
            let takings = Amount::plain(takings, minor(currency));
            self.add(Id::StoreTakings, [window, store, currency], takings);
        }
        for (window, dims, values) in self.windows(Family::OrdersDay, &["currency"]) {
            let (&[currency], &[orders, takings, _]) = (&dims[..], &values[..]) else {
                continue;
            };
            let currency = word(currency);
            self.add(Id::Orders, [window], Amount::plain(orders, 1.0));
            self.add(
                Id::OrderTakings,
                [window, currency],
                Amount::plain(takings, minor(currency)),
            );
        }
    }

    /// Spend of advertising platforms.
    fn spend(&mut self) {
        let by = ["platform", "source", "medium", "campaign", "currency"];
        for (window, dims, values) in self.windows(Family::SpendDay, &by) {
            let (&[platform, source, medium, campaign, currency], &[cost, ..]) =
                (&dims[..], &values[..])
            else {
                continue;
            };
            let (platform, currency) = (word(platform), word(currency));
            let channel = channel(source, medium, campaign);
            let labels = [window, platform, &channel, currency];
            self.add(Id::Spend, labels, Amount::plain(cost, minor(currency)));
        }
    }

    /// ROAS and cost per conversion. A model that credits nobody in a window has no
    /// value there; a channel that it does not credit has a ROAS of 0.
    fn returns(&mut self) {
        for window in Window::ALL {
            let days = window.days(self.today);
            let by = ["source", "medium", "campaign", "currency"];
            let costs = self
                .board
                .sums(Family::SpendDay, self.brand, days.clone(), &by);
            let by = ["model", "source", "medium", "campaign", "currency"];
            let credits = self.board.sums(Family::Attribution, self.brand, days, &by);
            let models: BTreeSet<&Dim> = credits
                .keys()
                .filter_map(|dims| dims.first().copied())
                .collect();
            for (dims, spent) in &costs {
                let (&[source, medium, campaign, currency], Some(&cost)) =
                    (&dims[..], spent.first())
                else {
                    continue;
                };
                if cost <= 0 {
                    continue;
                }
                let (channel, code) = (channel(source, medium, campaign), word(currency));
                for model in &models {
                    let credit = credits.get(&vec![*model, source, medium, campaign, currency]);
                    let (conversions, value) = match credit.map(Vec::as_slice) {
                        Some(&[conversions, value]) => (conversions, value),
                        _ => (0, 0),
                    };
                    let labels = [window.name(), word(model), &channel, code];
                    self.add(Id::Roas, labels, Amount::ratio(value, cost, cost, 1.0));
                    let scale = minor(code) / MILLION;
                    let each = Amount::ratio(cost, conversions, cost, scale);
                    self.add(Id::CostPerConversion, labels, each);
                }
            }
        }
    }

    /// Visits and devices.
    fn stores(&mut self) {
        let ids = [
            Id::Visits,
            Id::PassersBy,
            Id::Dwell,
            Id::Devices,
            Id::RandomDevices,
        ];
        for (window, dims, values) in self.windows(Family::Visits, &["store"]) {
            let &[store] = &dims[..] else { continue };
            for (id, value) in ids.into_iter().zip(values) {
                self.add(id, [window, word(store)], Amount::plain(value, 1.0));
            }
        }
    }

    /// Size of the identity graph.
    fn identity(&mut self) {
        let ids = [
            Id::Persons,
            Id::Identifiers,
            Id::Links,
            Id::Hubs,
            Id::Oversized,
        ];
        let board = self.board;
        for (_, values) in board.cells(Family::Identity, self.brand, 0..=0) {
            for (id, value) in ids.into_iter().zip(values) {
                self.add(id, [], Amount::plain(*value, 1.0));
            }
        }
    }
}

/// Number of minor units in a major one.
fn minor(code: &str) -> f64 {
    let decimals = currency::of(code).map_or(0, |(_, decimals)| decimals);
    10f64.powi(decimals.into())
}

/// A dimension as a label value; `-` if it is absent.
fn word(dim: &Dim) -> &str {
    match dim {
        Dim::Text(word) => word,
        _ => "-",
    }
}

/// A channel as a label value.
fn channel(source: &Dim, medium: &Dim, campaign: &Dim) -> String {
    format!("{}/{}/{}", word(source), word(medium), word(campaign))
}

/// A metric family of the `prometheus` crate.
fn family(id: Id, points: Points) -> MetricFamily {
    let row = row(id);
    let series = points.into_iter().filter_map(|(values, amount)| {
        let mut gauge = Gauge::default();
        gauge.set_value(amount.value()?);
        let labels = row.labels.iter().zip(values).map(|(label, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(label.name().to_owned());
            pair.set_value(value);
            pair
        });
        let mut metric = Metric::from_gauge(gauge);
        metric.set_label(labels.collect());
        Some(metric)
    });
    let mut family = MetricFamily::default();
    family.set_name(row.full_name());
    family.set_help(row.help.to_owned());
    family.set_field_type(MetricType::GAUGE);
    family.set_metric(series.collect());
    family
}

#[cfg(test)]
mod tests;
