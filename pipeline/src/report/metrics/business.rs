//! Business metrics: released cells, summed over rolling windows.
//!
//! A series that a window no longer has is 0 while a longer window still has
//! it, so that a dashboard shows a decrease and not a gap. All sums are
//! integers; they are capped first, and only then divided and converted.

use std::collections::{BTreeMap, BTreeSet};

use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};
use tributary_operators::calendar;
use tributary_operators::cell::{Dim, Family, Unit};
use tributary_operators::currency;
use tributary_operators::record::Day;

use super::cap::{self, Amount, Points};
use super::label::{CONTACTS, Label};
use super::table::{Id, Row, TABLE, row};
use crate::report::published_cells::{Periods, PublishedCells, Window};

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
        for family in Family::ALL {
            gauges.sums_of(family);
        }
        gauges.returns();
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
    /// Sums of a family in every window, by dimensions. Each window has the
    /// dimensions of the longest one, with 0 where it has no cell.
    fn windows(&self, family: Family, by: &[&str]) -> Vec<(&'static str, Vec<&'a Dim>, Vec<i128>)> {
        let board = self.board;
        let sums = |window: Window| board.sums(family, self.brand, window.periods(self.today), by);
        let [shorter @ .., longest] = Window::TOTALS;
        let longest_sums = sums(longest);
        let mut found = Vec::new();
        for window in shorter {
            let mut own = sums(window);
            for dims in longest_sums.keys() {
                let values = own.remove(dims);
                let values = values.unwrap_or_else(|| vec![0; family.values().len()]);
                found.push((window.name(), dims.clone(), values));
            }
        }
        let longest_sums = longest_sums.into_iter();
        found.extend(longest_sums.map(|(dims, values)| (longest.name(), dims, values)));
        found
    }

    /// Sums of a family by dimensions in its periods: the windows of days, the
    /// current month, or everything.
    fn periods(&self, family: Family, by: &[&str]) -> Vec<(&'static str, Vec<&'a Dim>, Vec<i128>)> {
        if family.is_daily() {
            return self.windows(family, by);
        }
        let month = calendar::month(self.today);
        let board = self.board;
        let sums = board.sums(family, self.brand, Periods::months(month..=month), by);
        let sums = sums.into_iter();
        sums.map(|(dims, values)| ("", dims, values)).collect()
    }

    /// Adds the values of a family to the metrics that sum them.
    fn sums_of(&mut self, family: Family) {
        let of_row =
            |row: &'static Row| row.sums.iter().map(move |(of, values)| (row, *of, *values));
        let rows = TABLE
            .iter()
            .flat_map(of_row)
            .filter(|(_, of, _)| *of == family);
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            return;
        }
        let labels = rows.iter().flat_map(|(row, ..)| row.labels);
        let by: BTreeSet<&str> = labels.flat_map(|label| label.dims()).copied().collect();
        let by: Vec<&str> = by.into_iter().collect();
        for (window, dims, values) in self.periods(family, &by) {
            let text = |name: &str| {
                let at = by.iter().position(|by| *by == name);
                at.and_then(|at| dims.get(at)).map_or("-", |dim| word(dim))
            };
            for (row, _, names) in &rows {
                for (name, contact) in names.iter().zip(CONTACTS) {
                    let at = family.values().iter().position(|value| value == name);
                    let value = at.and_then(|at| values.get(at)).copied().unwrap_or(0);
                    let scale = match family.unit(name) {
                        Some(Unit::Minor) => minor(text("currency")),
                        Some(Unit::Millionths | Unit::Ppm) => MILLION,
                        _ => 1.0,
                    };
                    let labels = row.labels.iter().map(|label| match label {
                        Label::Brand => self.brand.to_owned(),
                        Label::Window => window.to_owned(),
                        Label::Contact => contact.to_owned(),
                        label => {
                            let words = label.dims().iter().map(|name| text(name));
                            words.collect::<Vec<_>>().join("/")
                        }
                    });
                    let points = self.points.entry(row.id).or_default();
                    cap::add(points, labels.collect(), Amount::plain(value, scale));
                }
            }
        }
    }

    /// ROAS and cost per conversion. A model that credits nobody in a window has no
    /// value there; a channel that it does not credit has a ROAS of 0.
    fn returns(&mut self) {
        for window in Window::TOTALS {
            let days = window.periods(self.today);
            let by = ["source", "medium", "campaign", "currency"];
            let costs = self.board.sums(Family::SpendDay, self.brand, days, &by);
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
                    let labels = [self.brand, window.name(), word(model), &channel, code];
                    let roas = Amount::ratio(value, cost, cost, 1.0);
                    let scale = minor(code) / MILLION;
                    let each = Amount::ratio(cost, conversions, cost, scale);
                    for (id, amount) in [(Id::Roas, roas), (Id::CostPerConversion, each)] {
                        let labels = labels.map(str::to_owned).to_vec();
                        cap::add(self.points.entry(id).or_default(), labels, amount);
                    }
                }
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
