//! Takeover: moving a published pattern towards a newly decided one.
//!
//! A reader sees two publications and knows their difference. If a cell that passes `k` appeared at once, it would show
//! what it held just below `k`, and what made it grow. So a pattern stays, and moves by one difference at a time, each only if
//! the result stands both on what was last published and on what holds now, and if each piece that an old and a new cell have
//! in common was safe then and is safe now, or is the whole of an old cell ([`super::pieces`]).
//!
//! Where the pattern no longer stands because several of its cells have become too small, no single difference may mend it.
//! Nobody sees the steps in between, so that a step may then leave unsafe what was unsafe before it, if the result stands in the
//! end. A cell of revenue for which the decided pattern has no place joins another one ([`super::joining`]).
//!
//! Days that were not over at the last publication fall in first: nobody knows anything of them ([`crate::release::published_days`]).

use std::collections::BTreeSet;

use crate::record::Day;
use crate::release::joining::{Extent, joined_credits, joined_revenue};
use crate::release::moment::{Moment, Unsafe, uncovered};
use crate::release::pattern::{CellName, Class, Pattern};
use crate::release::pieces::{pieces_are_safe, revenue_pieces_are_safe};
use crate::release::published_days::PublishedDays;
use crate::release::revenue_names::{RevenueName, RevenueNames};
use crate::release::table::{RevenueKind, Table};
use crate::release::view::RevenueView;
use crate::release::weight::Rule;

/// What a step may leave unsafe.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Steps {
    /// Nothing: the result of each stands.
    Standing,
    /// What was unsafe before: the result of all stands.
    Improving,
}

/// Days, each with what is counted on it.
type Days = BTreeSet<(Day, RevenueKind)>;

impl Rule {
    /// Whether a pattern may be published on a table.
    pub fn stands(&self, pattern: &Pattern, table: &Table) -> bool {
        let moment = Moment::new(self, table, &pattern.revenue);
        !pattern.shared.is_empty() && moment.shared_stands(pattern) && moment.single_stands(pattern)
    }

    /// The pattern in use, moved towards a decided one as far as no difference between the two publications reveals
    /// anything. The states are the table as it was last published, and as it would be published next, and `published_days` says
    /// which days were over then. `None` if nothing may be published now: the month waits.
    pub fn take_over(
        &self,
        used: &Pattern,
        decided: &Pattern,
        states: [&Table; 2],
        published_days: PublishedDays,
    ) -> Option<Pattern> {
        let [_, now] = states;
        let next = |steps| self.take_steps((used, decided), states, published_days, steps);
        let stands = |next: &Pattern| {
            next.revenue.is_empty() || now.sales.is_empty() || self.stands(next, now)
        };
        let mut moved = [Steps::Standing, Steps::Improving].into_iter();
        moved.find_map(|steps| next(steps).filter(stands))
    }

    /// The pattern in use, moved towards a decided one by some steps.
    fn take_steps(
        &self,
        (used, decided): (&Pattern, &Pattern),
        [then, now]: [&Table; 2],
        published_days: PublishedDays,
        steps: Steps,
    ) -> Option<Pattern> {
        let then = &published(used, then);
        let days = new_days(now, published_days);
        let view = &RevenueView::new(self, now);
        let mut held_back = with_rest(used);
        for day in &days {
            self.decide_day(view, *day, &mut held_back.revenue);
        }
        let mut kept = held_back.clone();
        self.add_rest(view, &mut kept.revenue);
        let mut pattern = kept.clone();
        // What was published then, and what there is of it now: every step is judged by its difference to this, because
        // nobody sees the steps in between.
        let (published, remaining) = (
            Moment::new(self, then, &used.revenue),
            Moment::new(self, now, &used.revenue),
        );
        let (mut before, mut after) = (
            published.under(&pattern.revenue),
            remaining.under(&pattern.revenue),
        );
        let mut left = match steps {
            Steps::Standing => <[Unsafe; 2]>::default(),
            Steps::Improving => [&before, &after].map(|of| of.unsafe_shared(&pattern)),
        };
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for name in pattern.revenue.differences(&decided.revenue) {
                // The decided pattern may not know a new day yet.
                if name
                    .day()
                    .is_some_and(|day| days.contains(&(day, name.kind())))
                {
                    continue;
                }
                let Some(revenue) = stepped(&pattern.revenue, &decided.revenue, &name, &after)
                else {
                    continue;
                };
                let candidate = Pattern {
                    revenue,
                    ..pattern.clone()
                };
                // The sums of revenue are small beside the credits of a state.
                let improves = [&before, &after].iter().zip(&left).all(|(of, left)| {
                    let now_left = of.unsafe_revenue(&candidate.revenue);
                    now_left.is_subset(&left.revenue)
                });
                let (then, now) = (&published.revenue, &remaining.revenue);
                if !improves || !revenue_pieces_are_safe(used, &candidate, then, now) {
                    continue;
                }
                let (was, is) = (
                    before.under(&candidate.revenue),
                    after.under(&candidate.revenue),
                );
                if let Some(now_left) = improved([&was, &is], &candidate, &left) {
                    (pattern, before, after, moved) = (candidate, was, is, true);
                    left = now_left;
                }
            }
            for name in difference_of_credits(&pattern.shared, &decided.shared) {
                let mut candidate = pattern.clone();
                toggle(&mut candidate.shared, &name);
                if let Some(now_left) = improved([&before, &after], &candidate, &left)
                    && pieces_are_safe(
                        Class::Shared,
                        (&used.shared, &candidate.shared),
                        &Default::default(),
                        &published.view,
                        &remaining.view,
                    )
                {
                    (pattern, moved, left) = (candidate, true, now_left);
                }
            }
        }
        let moments = [&published, &remaining];
        let complete = |pattern: Pattern, extents: &[Extent]| {
            let pattern = joined(used, pattern, moments, extents);
            let states = [&before, &after].map(|of| of.under(&pattern.revenue));
            let pattern = follow_shared((used, decided), pattern, moments, &states, steps)?;
            let stands = states.iter().all(|of| of.shared_stands(&pattern));
            stands.then_some(pattern)
        };
        // Where the single-touch models cannot follow, the shared ones stay as they were, or are one cell with all.
        let one_cell = |of: &Pattern| Pattern {
            shared: [CellName::Month].into(),
            ..of.clone()
        };
        let of_all = |ways: &[Pattern], extents: &[Extent]| {
            let mut ways = ways.iter().cloned();
            ways.find_map(|pattern| complete(pattern, extents))
        };
        let moved = match steps {
            Steps::Standing => of_all(&[pattern, kept], &[]),
            Steps::Improving => {
                // What no cell covers need not come in.
                let mut ways = vec![pattern, kept, held_back];
                ways.dedup();
                let coarse: Vec<Pattern> = ways.iter().map(one_cell).collect();
                let both = [Extent::Name, Extent::Members];
                of_all(&ways, &both)
                    .or_else(|| of_all(&ways, &[Extent::Members]))
                    .or_else(|| of_all(&coarse, &both))
                    .or_else(|| of_all(&coarse, &[Extent::Members]))
            }
        };
        let mut pattern = moved?;
        remaining.under(&pattern.revenue).prune(&mut pattern);
        Some(pattern)
    }

    /// Adds the rest of the month, if what no cell covers is safe.
    fn add_rest(&self, view: &RevenueView<'_>, names: &mut RevenueNames) {
        let rest = uncovered(view, names);
        for kind in RevenueKind::ALL {
            let rest = rest.iter().filter(|(_, place)| place.kind == kind);
            if view.judge(rest).is_safe {
                names.insert(RevenueName::Month(kind));
            }
        }
    }
}

/// The cells of revenue with one of them as another pattern has it; `None` if that would change nothing, or take away the rest
/// of the month, which has its cell as long as there is any.
fn stepped(
    names: &RevenueNames,
    decided: &RevenueNames,
    name: &RevenueName,
    now: &Moment<'_>,
) -> Option<RevenueNames> {
    let mut next = names.clone();
    if decided.contains(name) {
        next.insert(name.clone());
    } else {
        let is_rest_of_month = name.day().is_none();
        (!is_rest_of_month && next.remove(name)).then_some(())?;
    }
    // That a cell counts all that its name covers, and no longer members alone, is published together with what comes in.
    let comes_in = || {
        let mut keys = now.revenue.place_days();
        keys.any(|(day, place)| {
            names.cell_of(*day, place).is_none() && next.cell_of(*day, place).is_some()
        })
    };
    (names.members(name).is_none() || !next.contains(name) || comes_in()).then_some(next)
}

/// What the two states of a pattern leave unsafe; `None` if that is more than before.
fn improved(
    states: [&Moment<'_>; 2],
    pattern: &Pattern,
    before: &[Unsafe; 2],
) -> Option<[Unsafe; 2]> {
    let left = states.map(|of| of.unsafe_shared(pattern));
    let is_in = left.iter().zip(before).all(|(left, of)| left.is_in(of));
    is_in.then_some(left)
}

/// A pattern with its unsafe cells of revenue, in cells of some extents, and of the shared models joined.
fn joined(
    used: &Pattern,
    mut pattern: Pattern,
    moments: [&Moment<'_>; 2],
    extents: &[Extent],
) -> Pattern {
    if extents.is_empty() {
        return pattern;
    }
    let left = moments.map(|of| of.unsafe_revenue(&pattern.revenue));
    if let Some(joined) = joined_revenue(used, &pattern, &left, moments, extents) {
        pattern = joined;
    }
    let states = moments.map(|of| of.under(&pattern.revenue));
    joined_credits(Class::Shared, pattern, states.each_ref())
}

/// A pattern whose single-touch models follow its shared ones, and move from the pattern in use towards the decided one;
/// `None` if they cannot be published beside them. The moments are those of the last publication and of the next, and the
/// states what the pattern's cells of revenue count of them.
fn follow_shared(
    (used, decided): (&Pattern, &Pattern),
    mut pattern: Pattern,
    [published, remaining]: [&Moment<'_>; 2],
    states: &[Moment<'_>; 2],
    steps: Steps,
) -> Option<Pattern> {
    let known = [
        published.view.of_nobody(&[&used.shared]),
        published.view.of_nobody(&[&used.shared, &pattern.shared]),
    ];
    let keeps_pieces = |pattern: &Pattern| {
        pieces_are_safe(
            Class::Single,
            (&used.single, &pattern.single),
            &known,
            &published.view,
            &remaining.view,
        )
    };
    let stands = |pattern: &Pattern| {
        states.iter().all(|of| of.single_stands(pattern)) && keeps_pieces(pattern)
    };
    let unsafe_of = |pattern: &Pattern| {
        let states = states.each_ref();
        states.map(|of| of.unsafe_channels(Class::Single, pattern))
    };
    // What follows from the shared models alone is done at once, and judged with everything else.
    let wanted = as_shared(&decided.single, &pattern.shared);
    pattern.single = as_shared(&pattern.single, &pattern.shared);
    for state in states {
        state.unite(&pattern.shared, &mut pattern.single);
    }
    let mut left: [BTreeSet<_>; 2] = match steps {
        Steps::Standing => Default::default(),
        Steps::Improving => unsafe_of(&pattern),
    };
    let mut moved = true;
    while std::mem::take(&mut moved) {
        for name in difference_of_credits(&pattern.single, &wanted) {
            let mut candidate = pattern.clone();
            toggle(&mut candidate.single, &name);
            let now_left = unsafe_of(&candidate);
            let improves = now_left
                .iter()
                .zip(&left)
                .all(|(now, before)| now.is_subset(before));
            let is_union = |of: &Moment<'_>| of.is_union(&candidate.shared, &candidate.single);
            if improves && states.iter().all(is_union) && keeps_pieces(&candidate) {
                (pattern, moved, left) = (candidate, true, now_left);
            }
        }
    }
    if steps == Steps::Improving && !stands(&pattern) {
        pattern = joined_credits(Class::Single, pattern, states.each_ref());
    }
    stands(&pattern).then_some(pattern)
}

/// The sales that a pattern published.
fn published(used: &Pattern, then: &Table) -> Table {
    let mut published = then.clone();
    published
        .sales
        .retain(|sale| used.revenue_of(sale.day, &then.place(sale)).is_some());
    published
}

/// The days with sales or stays that were not over at the last publication.
fn new_days(now: &Table, published_days: PublishedDays) -> Days {
    let days = now.sales.iter();
    let days = days.map(|sale| (sale.day, now.place(sale).kind));
    days.filter(|(day, kind)| published_days.is_new(*day, *kind))
        .collect()
}

/// Cells of the single-touch models, with the cells of conversions without touchpoints that the shared models have.
fn as_shared(single: &BTreeSet<CellName>, shared: &BTreeSet<CellName>) -> BTreeSet<CellName> {
    let is_nobody = |name: &&CellName| matches!(name, CellName::Channel(of) if of.is_nobody());
    let own = single.iter().filter(|name| !is_nobody(name));
    own.chain(shared.iter().filter(is_nobody))
        .cloned()
        .collect()
}

/// The names of cells of credits in which two patterns differ, in order. What is left of the month has its cell, whether there
/// is any or not.
fn difference_of_credits(used: &BTreeSet<CellName>, decided: &BTreeSet<CellName>) -> Vec<CellName> {
    let names = used.symmetric_difference(decided);
    names
        .filter(|name| **name != CellName::Month)
        .cloned()
        .collect()
}

/// A pattern in which credits that come later and have no cell of their own are the rest of the month.
fn with_rest(used: &Pattern) -> Pattern {
    let mut pattern = used.clone();
    pattern.shared.insert(CellName::Month);
    pattern.single.insert(CellName::Month);
    pattern
}

fn toggle(names: &mut BTreeSet<CellName>, name: &CellName) {
    if !names.remove(name) {
        names.insert(name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::decide::tests::table;
    use crate::release::table::Place;

    const RULE: fn() -> Rule = || Rule::new(2, 100);

    fn over(through: Day) -> PublishedDays {
        PublishedDays {
            through,
            settles_in: 0,
        }
    }

    fn pattern(revenue: &[RevenueName]) -> Pattern {
        Pattern {
            revenue: revenue.iter().cloned().collect(),
            shared: [CellName::Month].into(),
            single: [CellName::Month].into(),
        }
    }

    fn store_day(day: Day, store: &str) -> RevenueName {
        RevenueName::StoreDay(day, Place::of_sales(Some(store.into())))
    }

    #[test]
    fn two_safe_steps_that_reveal_something_together_are_not_taken() {
        let table = table(&[
            (1, "north", 1, &["g/cpc/a"]),
            (2, "north", 1, &["g/cpc/a"]),
            (3, "south", 1, &["g/cpc/a"]),
            (4, "south", 2, &["g/cpc/a"]),
            (5, "south", 2, &["g/cpc/a"]),
        ]);
        // The day goes up to the month as a whole, and north leaves the month: what is left of the day is one person.
        let used = pattern(&[
            RevenueName::Day(1, RevenueKind::Sale),
            RevenueName::Month(RevenueKind::Sale),
        ]);
        let decided = pattern(&[store_day(1, "north"), RevenueName::Month(RevenueKind::Sale)]);
        let rule = RULE();
        assert!(rule.stands(&used, &table) && rule.stands(&decided, &table));
        let next = rule
            .take_over(&used, &decided, [&table; 2], over(2))
            .unwrap();
        assert!(!next.revenue.contains(&store_day(1, "north")));
    }

    #[test]
    fn a_name_that_counts_nothing_is_forgotten_and_what_comes_later_is_the_rest() {
        let sales: [(u64, &str, Day, &[&str]); 8] = [
            (1, "north", 1, &["g/cpc/a"]),
            (2, "north", 1, &["g/cpc/a"]),
            (3, "north", 2, &["g/cpc/a"]),
            (4, "north", 2, &["g/cpc/a"]),
            (5, "north", 1, &["f/cpc/b"]),
            (6, "north", 1, &["f/cpc/b"]),
            (7, "north", 2, &["f/cpc/b"]),
            (8, "north", 2, &["f/cpc/b"]),
        ];
        let (both, one) = (table(&sales), table(&sales[..4]));
        let used = RULE().decide(&both);
        assert_eq!(used.shared.len(), 2);
        let next = RULE()
            .take_over(&used, &used, [&both, &one], over(2))
            .unwrap();
        assert_eq!(next, RULE().decide(&one));
        // The channel comes again, and belongs to no cell but the rest of the month.
        let again = RULE()
            .take_over(&next, &next, [&one, &both], over(2))
            .unwrap();
        assert!(again.shared.contains(&CellName::Month) && RULE().stands(&again, &both));
    }

    /// Two histories with the same publication and the same sales now. In one of them the persons of the first day are others
    /// than before, so that the old cell must not be divided there. A restart knows the publication and the sales, and cannot
    /// tell the two apart: no rule lets a restarted worker take over what a worker takes over that went on.
    #[test]
    fn what_is_taken_over_depends_on_persons_that_no_published_value_shows() {
        let sales = |first_day: &[u64], second_day: &[u64]| {
            let of = |day: Day, who: &u64| (*who, "north", day, &["g/cpc/a"][..]);
            let first = first_day.iter().map(|who| of(1, who));
            let second = second_day.iter().map(|who| of(2, who));
            let third_day = [7, 8];
            let third = third_day.iter().map(|who| of(3, who));
            table(&first.chain(second).chain(third).collect::<Vec<_>>())
        };
        let now = sales(&[1, 2], &[3, 4]);
        // Of the other one, 5 and 6 were erased, and 1 and 2 came.
        let (same, other) = (now.clone(), sales(&[5], &[3, 4, 6]));
        let used = pattern(&[RevenueName::Month(RevenueKind::Sale)]);
        let decided = pattern(&[store_day(1, "north"), RevenueName::Month(RevenueKind::Sale)]);
        let rule = RULE();
        assert_eq!(rule.values(&used, &same), rule.values(&used, &other));
        assert!(rule.stands(&used, &same) && rule.stands(&used, &other));
        let next = |then| rule.take_over(&used, &decided, [then, &now], over(3));
        assert_eq!(next(&same), Some(decided.clone()));
        assert_eq!(next(&other), Some(used.clone()));
    }

    #[test]
    fn published_sales_do_not_leave_the_group() {
        let table = table(&[
            (1, "north", 1, &["g/cpc/a"]),
            (2, "north", 2, &["g/cpc/a"]),
            (3, "south", 3, &["g/cpc/a"]),
            (4, "south", 3, &["g/cpc/a"]),
            (5, "south", 4, &["g/cpc/a"]),
            (6, "south", 4, &["g/cpc/a"]),
        ]);
        let days = [store_day(3, "south"), store_day(4, "south")];
        let used = pattern(&[&days[..], &[RevenueName::Month(RevenueKind::Sale)]].concat());
        let next = RULE().take_over(&used, &pattern(&days), [&table; 2], over(4));
        assert_eq!(next, Some(used));
    }

    #[test]
    fn a_new_day_is_published_although_the_decision_is_older() {
        let sales: [(u64, &str, Day, &[&str]); 6] = [
            (1, "north", 1, &["g/cpc/a"]),
            (2, "north", 1, &["g/cpc/a"]),
            (3, "north", 2, &["g/cpc/a"]),
            (4, "north", 2, &["g/cpc/a"]),
            (5, "north", 3, &["g/cpc/a"]),
            (6, "north", 3, &["g/cpc/a"]),
        ];
        let (then, now) = (table(&sales[..4]), table(&sales));
        let used = RULE().decide(&then);
        let next = RULE()
            .take_over(&used, &used, [&then, &now], over(2))
            .unwrap();
        assert_eq!(next, RULE().decide(&now));
        assert!(RULE().stands(&next, &now));
    }
}
