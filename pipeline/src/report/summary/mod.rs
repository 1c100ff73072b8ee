//! Summary of the demo: revenue by channel, the attribution models compared,
//! store visits and sales.
//!
//! It is computed from released cells alone, like everything else that leaves
//! the process. Channels have tables by calendar month, to yesterday, because
//! the release gate publishes their credits by month. A number of which nothing
//! is published is blank in [`text`], and `null` in [`json`]. A ratio of numbers of
//! which a part is hidden says which bound it is (≥, ≤), or is blank, as on the live
//! page.

mod json;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::calendar;
use tributary_operators::cell::{Cell, Dim, Dimension, Family};
use tributary_operators::record::{Day, SaleKind};
use tributary_operators::release::REST;

use crate::report::cell_query::{CellQuery, Format, MOST_ROWS, Wanted, run};
use crate::report::channel_name::{Channel, contains, is_together};
use crate::report::published_cells::{Month, PublishedCells};

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
    /// Whether all sales that may belong to the store are released under its name.
    is_whole: bool,
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
    /// omitted. `today` is the current day of the brand, of which nothing may be
    /// released yet. `hides` is whether the release gate may hide cells.
    pub fn of(cells: &[Cell], today: Day, hides: bool) -> Summary {
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
        summary.find_whole_stores(cells, today);
        summary.paths = paths.into_iter().map(|(path, n)| (n, path)).collect();
        summary
            .paths
            .sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        summary
    }

    /// Finds the stores whose released sales are all of theirs, as a query does: of
    /// the others, what the gate hides or releases together with more is missing.
    fn find_whole_stores(&mut self, cells: &[Cell], today: Day) {
        let mut published = PublishedCells::default();
        cells.iter().for_each(|cell| published.apply(cell));
        let currency = Wanted::Is(Dim::Text(self.currency.as_str().into()));
        let query = CellQuery {
            family: Family::StoreDay,
            from: None,
            to: None,
            filters: vec![(Dimension::Currency, vec![currency])],
            group_by: Some(vec![Dimension::Store]),
            sort: None,
            limit: MOST_ROWS,
            after: None,
            compare: false,
            format: Format::Json,
        };
        let Some(at) = query
            .columns()
            .iter()
            .position(|of| *of == Dimension::Store)
        else {
            return;
        };
        for brand in published.brands() {
            let found = run(&published, &brand, &query, today, self.hides);
            for row in found.into_iter().flat_map(|answer| answer.rows) {
                if let Some(Dim::Text(name)) = row.dims.get(at)
                    && let Some(store) = self.stores.get_mut(&**name)
                {
                    let coverage = row.numbers.and_then(|numbers| numbers.coverage);
                    store.is_whole = &**name != REST && (!self.hides || coverage == Some(10));
                }
            }
        }
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
            Family::ScanDay
            | Family::RedemptionDay
            | Family::WalletDay
            | Family::NoticeDay
            | Family::VisitMatch
            | Family::VisitLift => {}
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
