//! Moments: a state of a month under some cells of revenue, and what of it is unsafe in a pattern.
//!
//! A takeover looks at two of them, the last publication and the next one, and changes one name at a time. What is computed
//! of a state is kept as long as the cells of revenue count the same sales.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::record::Day;
use crate::release::pattern::{CellName, Class, Pattern, cell_of};
use crate::release::revenue_names::{RevenueName, RevenueNames};
use crate::release::table::{ChannelName, Place, Table};
use crate::release::view::{ChannelSet, RevenueView, View};
use crate::release::weight::Rule;

/// What is counted in cells that must not be published, or in none though it must be in one.
#[derive(Clone, Default)]
pub(super) struct Unsafe {
    pub(super) revenue: BTreeSet<(Day, Place)>,
    pub(super) channels: BTreeSet<ChannelName>,
}

impl Unsafe {
    /// Whether all of it was unsafe before.
    pub(super) fn is_in(&self, before: &Unsafe) -> bool {
        self.revenue.is_subset(&before.revenue) && self.channels.is_subset(&before.channels)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.revenue.is_empty() && self.channels.is_empty()
    }
}

/// A state of the month under some cells of revenue.
#[derive(Clone)]
pub(super) struct Moment<'a> {
    rule: &'a Rule,
    table: &'a Table,
    /// The places and days that no cell of revenue covers.
    uncovered: Vec<(Day, Place)>,
    pub(super) view: Rc<View<'a>>,
    pub(super) revenue: Rc<RevenueView<'a>>,
}

impl<'a> Moment<'a> {
    pub(super) fn new(rule: &'a Rule, table: &'a Table, names: &RevenueNames) -> Moment<'a> {
        let revenue = RevenueView::new(rule, table);
        Moment {
            rule,
            table,
            uncovered: uncovered(&revenue, names),
            view: Rc::new(View::new(rule, table, names)),
            revenue: Rc::new(revenue),
        }
    }

    /// The same state under other cells of revenue. What is computed of it is kept as long as they count the same sales.
    pub(super) fn under(&self, names: &RevenueNames) -> Moment<'a> {
        let uncovered = uncovered(&self.revenue, names);
        if uncovered == self.uncovered {
            return self.clone();
        }
        Moment {
            uncovered,
            view: Rc::new(View::new(self.rule, self.table, names)),
            ..self.clone()
        }
    }

    /// The places and days in cells of revenue that are unsafe. Sales that none covers are no part of the group.
    pub(super) fn unsafe_revenue(&self, names: &RevenueNames) -> BTreeSet<(Day, Place)> {
        let mut cells: BTreeMap<RevenueName, Vec<&(Day, Place)>> = BTreeMap::new();
        for key in self.revenue.place_days() {
            if let Some(name) = names.cell_of(key.0, &key.1) {
                cells.entry(name).or_default().push(key);
            }
        }
        let cells = cells.into_values();
        let cells = cells.filter(|keys| !self.revenue.judge(keys.iter().copied()).is_safe);
        cells.flatten().cloned().collect()
    }

    /// The cells of credits of a class that are unsafe or not spread over days, with their channels. Those of the single-touch
    /// models are so if they are without what a reader knows of conversions without touchpoints.
    pub(super) fn unsafe_cells(
        &self,
        class: Class,
        pattern: &Pattern,
    ) -> BTreeMap<CellName, ChannelSet> {
        let nobody = match class {
            Class::Shared => BTreeSet::new(),
            Class::Single => self.view.of_nobody(&[&pattern.shared]),
        };
        let is_safe = |channels: &ChannelSet| {
            let judgment = self.view.judge(class, channels);
            judgment.is_empty || judgment.is_month_safe
        };
        let (mut cells, _) = self.view.cells(pattern.credits(class));
        cells.retain(|_, channels| {
            let of_somebody = channels.iter().filter(|at| !nobody.contains(at));
            !is_safe(channels) || !is_safe(&of_somebody.copied().collect())
        });
        cells
    }

    /// The channels in unsafe cells, and those without a cell.
    pub(super) fn unsafe_channels(&self, class: Class, pattern: &Pattern) -> BTreeSet<ChannelName> {
        let (_, rest) = self.view.cells(pattern.credits(class));
        let rest = Some(&rest).filter(|rest| !self.view.judge(class, rest).is_empty);
        let cells = self.unsafe_cells(class, pattern);
        let channels = cells.values().chain(rest).flatten();
        let channels = channels.filter_map(|at| self.view.channels.get(*at as usize));
        channels.cloned().collect()
    }

    /// What is unsafe under the cells of revenue and of the shared models.
    pub(super) fn unsafe_shared(&self, pattern: &Pattern) -> Unsafe {
        Unsafe {
            revenue: self.unsafe_revenue(&pattern.revenue),
            channels: self.unsafe_channels(Class::Shared, pattern),
        }
    }

    /// Whether each cell of the single-touch models is a union of cells of the shared ones.
    pub(super) fn is_union(
        &self,
        shared: &BTreeSet<CellName>,
        single: &BTreeSet<CellName>,
    ) -> bool {
        let mut of_shared: BTreeMap<Option<CellName>, Option<CellName>> = BTreeMap::new();
        self.view.present().all(|(_, channel)| {
            let (from, to) = (cell_of(shared, channel), cell_of(single, channel));
            *of_shared.entry(from).or_insert_with(|| to.clone()) == to
        })
    }

    /// Takes out the cells of the single-touch models that part a cell of the shared ones. What no cell covers then is the
    /// rest of the month.
    pub(super) fn unite(&self, shared: &BTreeSet<CellName>, single: &mut BTreeSet<CellName>) {
        let mut parts: BTreeMap<Option<CellName>, BTreeSet<CellName>> = BTreeMap::new();
        for (_, channel) in self.view.present() {
            let of = parts.entry(cell_of(shared, channel)).or_default();
            of.extend(cell_of(single, channel));
        }
        for names in parts.into_values().filter(|names| names.len() > 1) {
            single.retain(|name| *name == CellName::Month || !names.contains(name));
        }
        let (_, rest) = self.view.cells(single);
        if !rest.is_empty() {
            single.insert(CellName::Month);
        }
    }

    /// Takes out the names that count nothing in this state, which is the one under the pattern's cells of revenue. A restart
    /// knows the published cells alone: it would forget these names, and place what comes later otherwise.
    pub(super) fn prune(&self, pattern: &mut Pattern) {
        let place_days = self.revenue.place_days();
        let cells = place_days.filter_map(|key| pattern.revenue_of(key.0, &key.1));
        let cells: BTreeSet<RevenueName> = cells.collect();
        pattern.revenue.retain(|name| cells.contains(name));
        for (class, names) in [
            (Class::Shared, &mut pattern.shared),
            (Class::Single, &mut pattern.single),
        ] {
            let (cells, _) = self.view.cells(names);
            names.retain(|name| {
                let channels = cells.get(name);
                channels.is_some_and(|channels| !self.view.judge(class, channels).is_empty)
            });
        }
    }

    /// Whether the cells of revenue and of the shared models may be published.
    pub(super) fn shared_stands(&self, pattern: &Pattern) -> bool {
        self.unsafe_shared(pattern).is_empty()
    }

    /// Whether the cells of the single-touch models may be published beside them.
    pub(super) fn single_stands(&self, pattern: &Pattern) -> bool {
        self.unsafe_channels(Class::Single, pattern).is_empty()
            && self.is_union(&pattern.shared, &pattern.single)
    }
}

/// The places and days that no cell of revenue covers, in order.
pub(super) fn uncovered(view: &RevenueView<'_>, names: &RevenueNames) -> Vec<(Day, Place)> {
    let uncovered = view
        .place_days()
        .filter(|key| names.cell_of(key.0, &key.1).is_none());
    uncovered.cloned().collect()
}
