//! A view: the contributions of a table that a pattern counts, by channel, and the weights of their unions.
//!
//! Which sales count depends on the cells of revenue: a sale that none of them covers is in no published number. The weight
//! of a set of channels is computed once and kept, because a decision looks at the same sets again and again, and a
//! takeover changes one name at a time.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::attribution::Model;
use crate::record::Day;
use crate::release::pattern::{CellName, Class, cell_of};
use crate::release::revenue_names::RevenueNames;
use crate::release::table::{ChannelName, Place, Table};
use crate::release::weight::{Rule, Weight};

/// What a decision asks about a set of contributions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Judgment {
    /// Whether there are none.
    pub(super) is_empty: bool,
    /// Whether the set may be published.
    pub(super) is_safe: bool,
    /// Whether it may be published as a cell of the month, which is spread over days.
    pub(super) is_month_safe: bool,
    /// The contributors behind it.
    pub(super) contributors: u64,
}

impl Judgment {
    fn of(weight: &Weight, rule: &Rule) -> Judgment {
        let is_safe = weight.is_safe(rule);
        Judgment {
            is_empty: weight.is_empty(),
            is_safe,
            is_month_safe: is_safe && weight.is_spread(),
            contributors: weight.contributors(),
        }
    }
}

/// One credit: who gets it on which day, and what.
#[derive(Clone, Copy)]
struct Contribution {
    model: Model,
    who: u64,
    is_vouched: bool,
    day: Day,
    value: i128,
}

/// Channels by index, in the order of their names.
pub(super) type ChannelSet = Vec<u32>;

/// The weights of sets of channels.
type Judgments = FxHashMap<(Class, ChannelSet), Judgment>;

/// The contributions that a pattern's cells of revenue count.
pub(super) struct View<'a> {
    rule: &'a Rule,
    /// The names of the channels, sorted.
    pub(super) channels: Vec<ChannelName>,
    /// The contributions of each channel under the shared and the single-touch models.
    contributions: Vec<[Vec<Contribution>; 2]>,
    judgments: RefCell<Judgments>,
}

impl<'a> View<'a> {
    /// The view of a table under some cells of revenue.
    pub(super) fn new(rule: &'a Rule, table: &Table, revenue: &RevenueNames) -> View<'a> {
        let mut channels = table.channels.clone();
        channels.sort_unstable();
        channels.dedup();
        let index: Vec<usize> = table
            .channels
            .iter()
            .filter_map(|name| channels.binary_search(name).ok())
            .collect();
        let mut contributions = vec![<[Vec<Contribution>; 2]>::default(); channels.len()];
        let mut covered: BTreeMap<(Day, u32), bool> = BTreeMap::new();
        for sale in &table.sales {
            let is_covered = *covered
                .entry((sale.day, sale.place))
                .or_insert_with(|| revenue.cell_of(sale.day, &table.place(sale)).is_some());
            if !is_covered {
                continue;
            }
            for credit in &sale.credits {
                let of = index.get(credit.channel as usize);
                let Some(of) = of.and_then(|at| contributions.get_mut(*at)) else {
                    continue;
                };
                let [shared, single] = of;
                let of = match rule.shared.contains(&credit.model) {
                    true => shared,
                    false if rule.single.contains(&credit.model) => single,
                    false => continue,
                };
                of.push(Contribution {
                    model: credit.model,
                    who: sale.who,
                    is_vouched: sale.is_vouched,
                    day: sale.day,
                    value: credit.value,
                });
            }
        }
        View {
            rule,
            channels,
            contributions,
            judgments: RefCell::default(),
        }
    }

    /// The channels with contributions under any model, by index.
    pub(super) fn present(&self) -> impl Iterator<Item = (u32, &ChannelName)> {
        let all = self.channels.iter().zip(&self.contributions).enumerate();
        all.filter(|(_, (_, of))| of.iter().any(|of| !of.is_empty()))
            .map(|(at, (name, _))| (at as u32, name))
    }

    /// Judges the union of some channels under the models of a class. The channels are sorted.
    pub(super) fn judge(&self, class: Class, channels: &[u32]) -> Judgment {
        let key = (class, channels.to_vec());
        if let Some(judgment) = self.judgments.borrow().get(&key) {
            return *judgment;
        }
        let mut weight = Weight::default();
        for at in channels {
            let Some([shared, single]) = self.contributions.get(*at as usize) else {
                continue;
            };
            let of = match class {
                Class::Shared => shared,
                Class::Single => single,
            };
            for of in of {
                weight.add(Some(of.model), of.who, of.is_vouched, of.day, of.value);
            }
        }
        let judgment = Judgment::of(&weight, self.rule);
        self.judgments.borrow_mut().insert(key, judgment);
        judgment
    }

    /// The channels of each named cell, and those that no name covers.
    pub(super) fn cells(
        &self,
        names: &BTreeSet<CellName>,
    ) -> (BTreeMap<CellName, ChannelSet>, ChannelSet) {
        let mut cells: BTreeMap<CellName, ChannelSet> = BTreeMap::new();
        let mut rest = ChannelSet::new();
        for (at, channel) in self.present() {
            match cell_of(names, channel) {
                Some(name) => cells.entry(name).or_default().push(at),
                None => rest.push(at),
            }
        }
        (cells, rest)
    }

    /// Which of the cells hold nothing but conversions without touchpoints.
    pub(super) fn cells_of_nobody(
        &self,
        names: &BTreeSet<CellName>,
    ) -> impl Iterator<Item = CellName> {
        let (cells, _) = self.cells(names);
        let of_nobody = cells
            .into_iter()
            .filter(|(_, channels)| channels.iter().all(|at| self.is_nobody(*at)));
        of_nobody.map(|(name, _)| name)
    }

    fn is_nobody(&self, at: u32) -> bool {
        let channel = self.channels.get(at as usize);
        channel.is_some_and(ChannelName::is_nobody)
    }

    /// The channels without touchpoints whose numbers a reader has by themselves if he has the cells of all these patterns:
    /// whatever pieces their cells have in common that hold nothing else.
    pub(super) fn of_nobody(&self, patterns: &[&BTreeSet<CellName>]) -> BTreeSet<u32> {
        let mut pieces: BTreeMap<Vec<Option<CellName>>, ChannelSet> = BTreeMap::new();
        for (at, channel) in self.present() {
            let cells = patterns.iter().map(|names| cell_of(names, channel));
            pieces.entry(cells.collect()).or_default().push(at);
        }
        pieces.retain(|_, channels| channels.iter().all(|at| self.is_nobody(*at)));
        pieces.into_values().flatten().collect()
    }
}

/// The weights of sets of places and days, computed once for each set.
pub(super) struct RevenueView<'a> {
    rule: &'a Rule,
    table: &'a Table,
    sales: BTreeMap<(Day, Place), Vec<usize>>,
    judgments: RefCell<FxHashMap<Vec<(Day, Place)>, Judgment>>,
}

impl<'a> RevenueView<'a> {
    /// The view of a table.
    pub(super) fn new(rule: &'a Rule, table: &'a Table) -> RevenueView<'a> {
        let mut sales: BTreeMap<(Day, Place), Vec<usize>> = BTreeMap::new();
        for (at, sale) in table.sales.iter().enumerate() {
            let of = sales.entry((sale.day, table.place(sale))).or_default();
            of.push(at);
        }
        RevenueView {
            rule,
            table,
            sales,
            judgments: RefCell::default(),
        }
    }

    /// The places and days with sales, in order.
    pub(super) fn place_days(&self) -> impl Iterator<Item = &(Day, Place)> {
        self.sales.keys()
    }

    /// Judges the union of some places and days, which come in order.
    pub(super) fn judge<'b>(&self, of: impl IntoIterator<Item = &'b (Day, Place)>) -> Judgment {
        let key: Vec<(Day, Place)> = of.into_iter().cloned().collect();
        if let Some(judgment) = self.judgments.borrow().get(&key) {
            return *judgment;
        }
        let mut weight = Weight::default();
        let sales = key.iter().filter_map(|key| self.sales.get(key));
        for sale in sales.flatten().filter_map(|at| self.table.sales.get(*at)) {
            weight.add(None, sale.who, sale.is_vouched, sale.day, sale.value);
        }
        let judgment = Judgment {
            is_safe: weight.is_counted(self.rule),
            ..Judgment::of(&weight, self.rule)
        };
        self.judgments.borrow_mut().insert(key, judgment);
        judgment
    }
}
