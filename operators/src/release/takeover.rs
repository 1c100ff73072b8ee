//! Takeover: moving a published pattern towards a newly decided one.
//!
//! A reader sees two publications and knows their difference. If a cell that passes `k` appeared at once, it would show
//! what it held just below `k`, and what made it grow. So a pattern stays, and moves by one difference at a time, each only if
//! the result stands both on what was last published and on what holds now, and if each piece that an old and a new cell have
//! in common was safe then and is safe now, or is the whole of an old cell.
//!
//! Days that were never published fall in first: nobody knows anything of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::Day;
use crate::release::pattern::{CellName, Pattern, RevenueName, cell_of};
use crate::release::table::{Table, Word};
use crate::release::view::{ChannelSet, Class, RevenueView, View};
use crate::release::weight::Rule;

/// The two states between which a pattern moves.
struct Moment<'a> {
    view: View<'a>,
    revenue: RevenueView<'a>,
}

impl<'a> Moment<'a> {
    fn new(rule: &'a Rule, table: &'a Table, revenue: &BTreeSet<RevenueName>) -> Moment<'a> {
        Moment {
            view: View::new(rule, table, revenue),
            revenue: RevenueView::new(rule, table),
        }
    }

    /// Whether every cell of revenue is safe or empty. Sales that none covers are no part of the group.
    fn revenue_stands(&self, names: &BTreeSet<RevenueName>) -> bool {
        let mut cells: BTreeMap<RevenueName, Vec<&(Day, Word)>> = BTreeMap::new();
        for key in self.revenue.store_days() {
            if let Some(name) = revenue_cell(names, key) {
                cells.entry(name).or_default().push(key);
            }
        }
        cells
            .into_values()
            .all(|keys| self.revenue.judge(keys).is_safe)
    }

    /// Whether every cell of credits is safe and of two days, or empty, and none is left without a cell.
    fn credits_stand(&self, class: Class, names: &BTreeSet<CellName>) -> bool {
        let (cells, rest) = self.view.cells(names);
        self.view.judge(class, &rest).is_empty
            && cells.values().all(|channels| {
                let judgment = self.view.judge(class, channels);
                judgment.is_empty || judgment.is_month_safe
            })
    }

    /// Whether each cell of the single-touch models is a union of cells of the shared ones.
    fn is_union(&self, shared: &BTreeSet<CellName>, single: &BTreeSet<CellName>) -> bool {
        let mut of_shared: BTreeMap<Option<CellName>, Option<CellName>> = BTreeMap::new();
        self.view.present().all(|(_, channel)| {
            let (from, to) = (cell_of(shared, channel), cell_of(single, channel));
            *of_shared.entry(from).or_insert_with(|| to.clone()) == to
        })
    }

    fn shared_stands(&self, pattern: &Pattern) -> bool {
        self.revenue_stands(&pattern.revenue) && self.credits_stand(Class::Shared, &pattern.shared)
    }

    fn single_stands(&self, pattern: &Pattern) -> bool {
        self.credits_stand(Class::Single, &pattern.single)
            && self.is_union(&pattern.shared, &pattern.single)
    }
}

impl Rule {
    /// Whether a pattern may be published on a table.
    pub fn stands(&self, pattern: &Pattern, table: &Table) -> bool {
        let moment = Moment::new(self, table, &pattern.revenue);
        !pattern.shared.is_empty() && moment.shared_stands(pattern) && moment.single_stands(pattern)
    }

    /// The pattern in use, moved towards a decided one as far as no difference between the two publications reveals
    /// anything. `then` is the table as it was last published, `now` as it would be published next. The result need not
    /// stand on it: the month is then published neither in the old nor in the new pattern, and waits.
    pub fn take_over(
        &self,
        used: &Pattern,
        decided: &Pattern,
        then: &Table,
        now: &Table,
    ) -> Pattern {
        let mut pattern = used.clone();
        self.add_days(&mut pattern, then, now);
        let (mut before, mut after) = (
            Moment::new(self, then, &pattern.revenue),
            Moment::new(self, now, &pattern.revenue),
        );
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for name in difference(&pattern.revenue, &decided.revenue) {
                let mut candidate = pattern.clone();
                toggle(&mut candidate.revenue, &name);
                let (was, is) = (
                    Moment::new(self, then, &candidate.revenue),
                    Moment::new(self, now, &candidate.revenue),
                );
                if was.shared_stands(&candidate)
                    && is.shared_stands(&candidate)
                    && revenue_pieces_are_safe(&pattern, &candidate, &was.revenue, &is.revenue)
                {
                    (pattern, before, after, moved) = (candidate, was, is, true);
                }
            }
            for name in difference(&pattern.shared, &decided.shared) {
                let mut candidate = pattern.clone();
                toggle(&mut candidate.shared, &name);
                if [&before, &after]
                    .iter()
                    .all(|of| of.shared_stands(&candidate))
                    && pieces_are_safe(
                        Class::Shared,
                        (&pattern.shared, &candidate.shared),
                        &before.view,
                        &after.view,
                    )
                {
                    (pattern, moved) = (candidate, true);
                }
            }
        }
        moved = true;
        while std::mem::take(&mut moved) {
            for name in difference(&pattern.single, &decided.single) {
                let mut candidate = pattern.clone();
                toggle(&mut candidate.single, &name);
                if [&before, &after]
                    .iter()
                    .all(|of| of.single_stands(&candidate))
                    && pieces_are_safe(
                        Class::Single,
                        (&pattern.single, &candidate.single),
                        &before.view,
                        &after.view,
                    )
                {
                    (pattern, moved) = (candidate, true);
                }
            }
        }
        pattern
    }

    /// Adds the cells of revenue of days that were not published before.
    fn add_days(&self, pattern: &mut Pattern, then: &Table, now: &Table) {
        let known: BTreeSet<Day> = then.sales.iter().map(|sale| sale.day).collect();
        let view = RevenueView::new(self, now);
        let days: BTreeSet<Day> = now.sales.iter().map(|sale| sale.day).collect();
        for day in days.difference(&known) {
            self.decide_day(&view, *day, &mut pattern.revenue);
        }
    }
}

/// The cell of revenue of a store and day, if any.
fn revenue_cell(names: &BTreeSet<RevenueName>, (day, store): &(Day, Word)) -> Option<RevenueName> {
    let covering = RevenueName::covering(*day, store);
    covering.into_iter().find(|name| names.contains(name))
}

/// The names in which two patterns differ, in order.
fn difference<T: Ord + Clone>(used: &BTreeSet<T>, decided: &BTreeSet<T>) -> Vec<T> {
    used.symmetric_difference(decided).cloned().collect()
}

fn toggle<T: Ord + Clone>(names: &mut BTreeSet<T>, name: &T) {
    if !names.remove(name) {
        names.insert(name.clone());
    }
}

/// Whether each piece that an old and a new cell of credits have in common is safe then and now, or the whole of the
/// old cell.
fn pieces_are_safe(
    class: Class,
    (old, new): (&BTreeSet<CellName>, &BTreeSet<CellName>),
    then: &View<'_>,
    now: &View<'_>,
) -> bool {
    let mut pieces: BTreeMap<CellName, BTreeMap<Option<CellName>, ChannelSet>> = BTreeMap::new();
    for (at, channel) in then.present() {
        if let Some(cell) = cell_of(old, channel) {
            let pieces = pieces.entry(cell).or_default();
            pieces.entry(cell_of(new, channel)).or_default().push(at);
        }
    }
    let same = |channels: &ChannelSet| -> ChannelSet {
        let names = channels
            .iter()
            .filter_map(|at| then.channels.get(*at as usize));
        let found = names.filter_map(|name| now.channels.binary_search(name).ok());
        found.map(|at| at as u32).collect()
    };
    pieces.values().all(|pieces| {
        pieces.len() == 1
            || pieces.values().all(|channels| {
                let was = then.judge(class, channels);
                was.is_empty || was.is_safe && now.judge(class, &same(channels)).is_safe
            })
    })
}

/// The same for cells of revenue.
fn revenue_pieces_are_safe(
    old: &Pattern,
    new: &Pattern,
    then: &RevenueView<'_>,
    now: &RevenueView<'_>,
) -> bool {
    let mut pieces: BTreeMap<RevenueName, BTreeMap<Option<RevenueName>, Vec<&(Day, Word)>>> =
        BTreeMap::new();
    for key in then.store_days() {
        if let Some(cell) = revenue_cell(&old.revenue, key) {
            let pieces = pieces.entry(cell).or_default();
            let piece = pieces.entry(revenue_cell(&new.revenue, key)).or_default();
            piece.push(key);
        }
    }
    pieces.values().all(|pieces| {
        pieces.len() == 1
            || pieces.values().all(|keys| {
                then.judge(keys.iter().copied()).is_safe && now.judge(keys.iter().copied()).is_safe
            })
    })
}
