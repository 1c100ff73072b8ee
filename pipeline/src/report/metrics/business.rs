//! Business metrics: released cells, summed over windows.
//!
//! A series exists only in a window with a released cell of its labels: what is
//! hidden is absent, and never 0. All sums are integers; they are capped first,
//! and only then divided and converted.

use std::collections::{BTreeMap, BTreeSet};

use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};
use tributary_operators::cell::{Dim, Family, NO_VALUE, Unit};
use tributary_operators::currency;
use tributary_operators::record::Day;

use super::cap::{self, Amount, Points};
use super::label::{Label, REST};
use super::table::{Id, Row, TABLE, row};
use super::whole::WholeCredits;
use crate::report::published_cells::{Periods, PublishedCells, Window, is_rest};
use crate::report::released_share::{Part, is_gate_sum, names_a_channel, released_share};

/// Millionths in a conversion.
const MILLION: f64 = 1e6;

/// A brand on a day.
#[derive(Clone, Copy, Debug)]
pub struct BrandDay<'a> {
    /// Name of the brand.
    pub name: &'a str,
    /// Its current day.
    pub today: Day,
    /// Whether its release gate may hide cells.
    pub hides: bool,
    /// The last day whose visits all count; `None` if none of them wait for their
    /// day to be settled.
    pub settled: Option<Day>,
}

/// Business metrics of every brand as metric families.
pub fn families(
    board: &PublishedCells,
    brands: &[BrandDay<'_>],
    max_series: usize,
) -> Vec<MetricFamily> {
    let mut all: BTreeMap<Id, Points> = BTreeMap::new();
    for of in brands {
        let mut gauges = Gauges {
            board,
            brand: of.name,
            today: of.today,
            hides: of.hides,
            settled: of.settled,
            points: BTreeMap::new(),
        };
        for family in Family::ALL {
            gauges.sums_of(family);
        }
        gauges.returns();
        gauges.active_passes();
        gauges.match_ratio();
        gauges.shares();
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

/// Sums of a family in a window, by dimensions.
struct Sums<'a> {
    /// The family.
    family: Family,
    /// Name of the window; empty for a family without periods.
    window: &'static str,
    /// Names of the dimensions.
    by: &'a [&'a str],
    /// The dimensions.
    dims: Vec<&'a Dim>,
    /// The sums of the family's values.
    values: Vec<i128>,
}

impl Sums<'_> {
    /// A dimension by name; [`Dim::Null`] if the family does not have it.
    fn dim(&self, name: &str) -> &Dim {
        let at = self.by.iter().position(|by| *by == name);
        at.and_then(|at| self.dims.get(at))
            .map_or(&Dim::Null, |dim| *dim)
    }
}

/// Metrics of one brand while they are computed.
struct Gauges<'a> {
    /// The released cells.
    board: &'a PublishedCells,
    /// Name of the brand.
    brand: &'a str,
    /// Its current day.
    today: Day,
    /// Whether its release gate may hide cells.
    hides: bool,
    /// The last day whose visits all count, if they wait for it.
    settled: Option<Day>,
    /// The sums so far.
    points: BTreeMap<Id, Points>,
}

impl<'a> Gauges<'a> {
    /// Adds the values of a family to the metrics that sum them.
    fn sums_of(&mut self, family: Family) {
        let of_row =
            |row: &'static Row| row.sums.iter().map(move |(of, values)| (row, *of, *values));
        let rows = TABLE
            .iter()
            .flat_map(of_row)
            .filter(|(_, of, _)| *of == family);
        let rows: Vec<_> = rows.map(|(row, _, names)| (row, names)).collect();
        if rows.is_empty() {
            return;
        }
        let labels = rows.iter().flat_map(|(row, _)| row.labels);
        let by: BTreeSet<&str> = labels.flat_map(|label| label.dims()).copied().collect();
        let by: Vec<&str> = by.into_iter().collect();
        let all: BTreeSet<_> = rows.iter().flat_map(|(row, _)| windows(row)).collect();
        for window in all {
            let is_of = |row: &Row| windows(row).contains(&window);
            let rows = rows.iter().filter(|(row, _)| is_of(row));
            let rows: Vec<_> = rows.copied().collect();
            let periods = window.map_or(Periods::default(), |window| window.periods(self.today));
            let board = self.board;
            for (dims, values) in board.sums(family, self.brand, periods, &by) {
                let sums = Sums {
                    family,
                    window: window.map_or("", Window::name),
                    by: &by,
                    dims,
                    values,
                };
                for (row, names) in &rows {
                    self.add_sums(&sums, row, names);
                }
            }
        }
    }

    /// Adds the values with these `names` to a metric. A value that the cells do not
    /// have is left out.
    fn add_sums(&mut self, sums: &Sums<'_>, row: &Row, names: &[&str]) {
        let family = sums.family;
        let words = row.labels.iter().find_map(|label| label.of_values());
        for (name, answer) in names.iter().zip(words.unwrap_or(&[""])) {
            let at = family.values().iter().position(|value| value == name);
            let value = at.and_then(|at| sums.values.get(at)).copied();
            let Some(value) = value.filter(|value| *value != NO_VALUE) else {
                continue;
            };
            let scale = match family.unit(name) {
                // Visits have no value, which is not a value of zero.
                Some(Unit::Minor) if *sums.dim("currency") == Dim::Null => continue,
                Some(Unit::Minor) => minor(word(sums.dim("currency"))),
                Some(Unit::Millionths | Unit::Ppm) => MILLION,
                _ => 1.0,
            };
            let labels = row.labels.iter().map(|label| match label {
                Label::Brand => self.brand.to_owned(),
                Label::Window | Label::MonthWindow | Label::AnyWindow => sums.window.to_owned(),
                label if label.of_values().is_some() => (*answer).to_owned(),
                Label::Channel => {
                    let names = ["source", "medium", "campaign"].map(|name| sums.dim(name));
                    channel(is_credit(family), names)
                }
                label => {
                    let words = label.dims().iter().map(|name| word(sums.dim(name)));
                    words.collect::<Vec<_>>().join("/")
                }
            });
            let labels = labels.collect();
            let points = self.points.entry(row.id).or_default();
            cap::add(points, labels, Amount::plain(value, scale));
        }
    }

    /// ROAS and cost per conversion, of channels with spend of which nothing is
    /// hidden in the window: both numbers are of the same channel, days and currency.
    fn returns(&mut self) {
        for window in Window::MONTHS {
            let periods = window.periods(self.today);
            let board = self.board;
            let by = ["source", "medium", "campaign", "currency"];
            let costs = board.sums(Family::SpendDay, self.brand, periods, &by);
            let by = ["source", "medium", "campaign", "currency", "model"];
            let credits = board.sums(Family::Attribution, self.brand, periods, &by);
            let whole = WholeCredits::read(board, self.brand, window, self.today, self.hides);
            self.cost_of_visits(window, &costs, &credits, &whole);
            for (dims, credit) in &credits {
                let (&[source, medium, campaign, currency, model], &[conversions, value]) =
                    (&dims[..], &credit[..])
                else {
                    continue;
                };
                let spent = costs.get(&vec![source, medium, campaign, currency]);
                let cost = spent.and_then(|spent| spent.first()).copied().unwrap_or(0);
                let names = [source, medium, campaign];
                if cost <= 0
                    || !names_a_channel(source, medium, campaign)
                    || !whole.is_whole(model, currency, names)
                {
                    continue;
                }
                let channel = channel(true, [source, medium, campaign]);
                let code = word(currency);
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

    /// The cost of a visit, of channels with spend of which nothing is hidden in the window. Visits have no currency, so that each
    /// currency of the spend has a cost. Spend of days whose visits do not all count yet would be divided by too few of them.
    fn cost_of_visits(
        &mut self,
        window: Window,
        costs: &BTreeMap<Vec<&'a Dim>, Vec<i128>>,
        credits: &BTreeMap<Vec<&'a Dim>, Vec<i128>>,
        whole: &WholeCredits<'a>,
    ) {
        let end = *window.days(self.today).end();
        if self.settled.is_some_and(|settled| settled < end) {
            return;
        }
        for (of, cost) in costs {
            let (&[source, medium, campaign, currency], &[cost, ..]) = (&of[..], &cost[..]) else {
                continue;
            };
            if cost <= 0 || !names_a_channel(source, medium, campaign) {
                continue;
            }
            let code = word(currency);
            let scale = minor(code) / MILLION;
            let name = channel(true, [source, medium, campaign]);
            for (dims, credit) in credits {
                let (&[s, m, c, Dim::Null, model], &[visits, ..]) = (&dims[..], &credit[..]) else {
                    continue;
                };
                let names = [source, medium, campaign];
                if [s, m, c] != names || !whole.is_whole(model, &Dim::Null, names) {
                    continue;
                }
                let labels = [self.brand, window.name(), word(model), &name, code];
                let labels = labels.map(str::to_owned).to_vec();
                let each = Amount::ratio(cost, visits, cost, scale);
                cap::add(
                    self.points.entry(Id::CostPerVisit).or_default(),
                    labels,
                    each,
                );
            }
        }
    }

    /// The active passes of each platform, on the newest day with a published cell.
    fn active_passes(&mut self) {
        let by = ["day", "platform"];
        let board = self.board;
        let all = board.sums(
            Family::WalletDay,
            self.brand,
            Periods::days(0..=Day::MAX),
            &by,
        );
        let active = Family::WalletDay.values().iter();
        let Some(at) = active.clone().position(|value| *value == "active") else {
            return;
        };
        let mut newest: BTreeMap<&str, (Day, i128)> = BTreeMap::new();
        for (dims, values) in &all {
            let (&[Dim::Day(day), platform], Some(active)) = (&dims[..], values.get(at)) else {
                continue;
            };
            let of = newest.entry(word(platform)).or_insert((*day, *active));
            if of.0 <= *day {
                *of = (*day, *active);
            }
        }
        for (platform, (_, active)) in newest {
            let labels = vec![self.brand.to_owned(), platform.to_owned()];
            let points = self.points.entry(Id::WalletActive).or_default();
            cap::add(points, labels, Amount::plain(active, 1.0));
        }
    }

    /// The share of the stays that partners saw in a week which were matched with a visit.
    fn match_ratio(&mut self) {
        let periods = Window::Week.periods(self.today);
        let sums = self
            .board
            .sums(Family::VisitMatch, self.brand, periods, &[]);
        for values in sums.values() {
            if let [stays, matched, ..] = values[..]
                && stays > 0
            {
                let points = self.points.entry(Id::MatchRatio).or_default();
                let labels = vec![self.brand.to_owned()];
                cap::add(points, labels, Amount::ratio(matched, stays, stays, 1.0));
            }
        }
    }

    /// The shares of the published money that single channels and stores show.
    fn shares(&mut self) {
        for part in Part::ALL {
            for window in part.windows() {
                let shares = released_share(self.board, self.brand, part, *window, self.today);
                for (code, share) in shares {
                    let Some(tenths) = share.tenths() else {
                        continue;
                    };
                    let labels = [self.brand, part.name(), window.name(), code];
                    let labels = labels.map(str::to_owned).to_vec();
                    let points = self.points.entry(Id::ReleasedShare).or_default();
                    cap::add(points, labels, Amount::plain(tenths.into(), 10.0));
                }
            }
        }
    }
}

/// The windows of a metric; one `None` for a metric without a window.
fn windows(row: &Row) -> Vec<Option<Window>> {
    let windows = row.labels.iter().flat_map(|label| label.windows());
    let windows: Vec<_> = windows.map(|window| Some(*window)).collect();
    match windows.is_empty() {
        true => vec![None],
        false => windows,
    }
}

/// Whether the channels of a family are credited with conversions.
fn is_credit(family: Family) -> bool {
    matches!(family, Family::Attribution | Family::MarkovMonth)
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

/// A channel as a label value. Credits of several sources that the release gate
/// publishes together are [`REST`].
fn channel(is_credit: bool, [source, medium, campaign]: [&Dim; 3]) -> String {
    let is_several = [source, medium, campaign].into_iter().all(is_rest)
        || is_credit && is_gate_sum(source, medium, campaign);
    match is_several {
        true => REST.to_owned(),
        false => format!("{}/{}/{}", word(source), word(medium), word(campaign)),
    }
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
