//! Takeover: moving a published pattern towards a newly decided one.
//!
//! A reader sees two publications and knows their difference. If a cell that passes `k` appeared at once, it would show
//! what it held just below `k`, and what made it grow. So a pattern stays, and moves by one difference at a time, each only if
//! the result stands both on what was last published and on what holds now, and if each piece that an old and a new cell have
//! in common was safe then and is safe now, or is the whole of an old cell.
//!
//! Where the pattern no longer stands because several of its cells have become too small, no single difference may mend it.
//! Nobody sees the steps in between, so that a step may then leave unsafe what was unsafe before it, if the result stands in the
//! end. A cell of revenue for which the decided pattern has no place joins another one ([`joined`]).
//!
//! Days that were not over at the last publication fall in first: nobody knows anything of them ([`crate::release::published_days`]).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::record::Day;
use crate::release::pattern::{CellName, Pattern, RevenueName, cell_of};
use crate::release::published_days::PublishedDays;
use crate::release::table::{ChannelName, Place, RevenueKind, Table};
use crate::release::view::{ChannelSet, Class, RevenueView, View};
use crate::release::weight::Rule;

/// What each old cell has in common with each new one, `None` for what no new cell covers.
type Pieces<Name, Set> = BTreeMap<Name, BTreeMap<Option<Name>, Set>>;

/// What a step may leave unsafe.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Steps {
    /// Nothing: the result of each stands.
    Standing,
    /// What was unsafe before: the result of all stands.
    Improving,
}

/// What is counted in cells that must not be published, or in none though it must be in one.
#[derive(Clone, Default)]
struct Unsafe {
    revenue: BTreeSet<(Day, Place)>,
    channels: BTreeSet<ChannelName>,
}

impl Unsafe {
    /// Whether all of it was unsafe before.
    fn is_in(&self, before: &Unsafe) -> bool {
        self.revenue.is_subset(&before.revenue) && self.channels.is_subset(&before.channels)
    }
}

/// Days, each with what is counted on it.
type Days = BTreeSet<(Day, RevenueKind)>;

/// A state of the month under some cells of revenue.
#[derive(Clone)]
struct Moment<'a> {
    rule: &'a Rule,
    table: &'a Table,
    /// The places and days that no cell of revenue covers.
    uncovered: Vec<(Day, Place)>,
    view: Rc<View<'a>>,
    revenue: Rc<RevenueView<'a>>,
}

impl<'a> Moment<'a> {
    fn new(rule: &'a Rule, table: &'a Table, names: &BTreeSet<RevenueName>) -> Moment<'a> {
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
    fn under(&self, names: &BTreeSet<RevenueName>) -> Moment<'a> {
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

    /// Whether every cell of revenue is safe or empty. Sales that none covers are no part of the group.
    fn revenue_stands(&self, names: &BTreeSet<RevenueName>) -> bool {
        let mut cells: BTreeMap<RevenueName, Vec<&(Day, Place)>> = BTreeMap::new();
        for key in self.revenue.place_days() {
            if let Some(name) = revenue_cell(names, key) {
                cells.entry(name).or_default().push(key);
            }
        }
        cells
            .into_values()
            .all(|keys| self.revenue.judge(keys).is_safe)
    }

    /// Whether every cell of credits is safe and spread over days, or empty, and none is left without a cell.
    fn credits_stand(&self, class: Class, names: &BTreeSet<CellName>) -> bool {
        let (cells, rest) = self.view.cells(names);
        self.view.judge(class, &rest).is_empty
            && cells.values().all(|channels| {
                let judgment = self.view.judge(class, channels);
                judgment.is_empty || judgment.is_month_safe
            })
    }

    /// What is unsafe under the cells of revenue.
    fn unsafe_revenue(&self, names: &BTreeSet<RevenueName>) -> BTreeSet<(Day, Place)> {
        let mut cells: BTreeMap<RevenueName, Vec<&(Day, Place)>> = BTreeMap::new();
        for key in self.revenue.place_days() {
            if let Some(name) = revenue_cell(names, key) {
                cells.entry(name).or_default().push(key);
            }
        }
        let cells = cells.into_values();
        let cells = cells.filter(|keys| !self.revenue.judge(keys.iter().copied()).is_safe);
        cells.flatten().cloned().collect()
    }

    /// The channels that are unsafe under the cells of credits.
    fn unsafe_channels(&self, class: Class, names: &BTreeSet<CellName>) -> BTreeSet<ChannelName> {
        let (cells, rest) = self.view.cells(names);
        let is_unsafe = |channels: &&ChannelSet| {
            let judgment = self.view.judge(class, channels);
            !judgment.is_empty && !judgment.is_month_safe
        };
        let rest = Some(&rest).filter(|rest| !self.view.judge(class, rest).is_empty);
        let channels = cells.values().filter(is_unsafe).chain(rest).flatten();
        let channels = channels.filter_map(|at| self.view.channels.get(*at as usize));
        channels.cloned().collect()
    }

    /// What is unsafe under the cells of revenue and of the shared models.
    fn unsafe_shared(&self, pattern: &Pattern) -> Unsafe {
        Unsafe {
            revenue: self.unsafe_revenue(&pattern.revenue),
            channels: self.unsafe_channels(Class::Shared, &pattern.shared),
        }
    }

    /// The channels that are unsafe under the cells of the single-touch models, with those without touchpoints or without them.
    fn unsafe_single(&self, pattern: &Pattern) -> BTreeSet<ChannelName> {
        let mut found = self.unsafe_channels(Class::Single, &pattern.single);
        let nobody = self.view.of_nobody(&[&pattern.shared]);
        let (cells, _) = self.view.cells(&pattern.single);
        for mut channels in cells.into_values() {
            channels.retain(|at| !nobody.contains(at));
            let judgment = self.view.judge(Class::Single, &channels);
            if !judgment.is_empty && !judgment.is_month_safe {
                let channels = channels.iter();
                let names = channels.filter_map(|at| self.view.channels.get(*at as usize));
                found.extend(names.cloned());
            }
        }
        found
    }

    /// Whether each cell of the single-touch models is a union of cells of the shared ones.
    fn is_union(&self, shared: &BTreeSet<CellName>, single: &BTreeSet<CellName>) -> bool {
        let mut of_shared: BTreeMap<Option<CellName>, Option<CellName>> = BTreeMap::new();
        self.view.present().all(|(_, channel)| {
            let (from, to) = (cell_of(shared, channel), cell_of(single, channel));
            *of_shared.entry(from).or_insert_with(|| to.clone()) == to
        })
    }

    /// Takes out the cells of the single-touch models that part a cell of the shared ones. What no cell covers then is the
    /// rest of the month.
    fn unite(&self, shared: &BTreeSet<CellName>, single: &mut BTreeSet<CellName>) {
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
    fn prune(&self, pattern: &mut Pattern) {
        let place_days = self.revenue.place_days();
        let cells = place_days.filter_map(|key| revenue_cell(&pattern.revenue, key));
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

    fn shared_stands(&self, pattern: &Pattern) -> bool {
        self.revenue_stands(&pattern.revenue) && self.credits_stand(Class::Shared, &pattern.shared)
    }

    fn single_stands(&self, pattern: &Pattern) -> bool {
        let nobody = self.view.of_nobody(&[&pattern.shared]);
        let (cells, _) = self.view.cells(&pattern.single);
        self.credits_stand(Class::Single, &pattern.single)
            && self.is_union(&pattern.shared, &pattern.single)
            && cells.into_values().all(|mut channels| {
                channels.retain(|at| !nobody.contains(at));
                let judgment = self.view.judge(Class::Single, &channels);
                judgment.is_empty || judgment.is_month_safe
            })
    }
}

impl Rule {
    /// Whether a pattern may be published on a table.
    pub fn stands(&self, pattern: &Pattern, table: &Table) -> bool {
        let moment = Moment::new(self, table, &pattern.revenue);
        !pattern.shared.is_empty() && moment.shared_stands(pattern) && moment.single_stands(pattern)
    }

    /// The pattern in use, moved towards a decided one as far as no difference between the two publications reveals
    /// anything. `then` is the table as it was last published, `now` as it would be published next, and
    /// `published_days` says which days were over then. The result need not stand on it: the month is then published neither in the old nor in the new pattern, and waits. So it does if there is
    /// no result.
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
        let step_by_step = next(Steps::Standing);
        if step_by_step.as_ref().is_some_and(stands) {
            return step_by_step;
        }
        let all_at_once = next(Steps::Improving).filter(stands);
        all_at_once.or(step_by_step)
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
        let used_and_rest = with_rest(used);
        let mut pattern = used_and_rest.clone();
        self.add_days(&mut pattern, &days, now);
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
            for name in difference(&pattern.revenue, &decided.revenue) {
                // The decided pattern may not know a new day yet.
                if name
                    .day()
                    .is_some_and(|day| days.contains(&(day, name.kind())))
                {
                    continue;
                }
                // What is left of the month has its cell as long as there is any.
                if name.day().is_none() && pattern.revenue.contains(&name) {
                    continue;
                }
                let mut candidate = pattern.clone();
                toggle(&mut candidate.revenue, &name);
                // The sums of revenue are small beside the credits of a state.
                let (then, now) = (&published.revenue, &remaining.revenue);
                if !revenue_pieces_are_safe(used, &candidate, then, now)
                    || steps == Steps::Standing
                        && ![&before, &after]
                            .iter()
                            .all(|of| of.revenue_stands(&candidate.revenue))
                {
                    continue;
                }
                let (was, is) = (
                    before.under(&candidate.revenue),
                    after.under(&candidate.revenue),
                );
                if let Some(now_left) = improved([&was, &is], &candidate, &left, steps) {
                    (pattern, before, after, moved) = (candidate, was, is, true);
                    left = now_left;
                }
            }
            for name in difference_of_credits(&pattern.shared, &decided.shared) {
                let mut candidate = pattern.clone();
                toggle(&mut candidate.shared, &name);
                if let Some(now_left) = improved([&before, &after], &candidate, &left, steps)
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
        if steps == Steps::Improving
            && let Some(candidate) = joined(used, &pattern, &left, moments)
        {
            let states = [&before, &after].map(|of| of.under(&candidate.revenue));
            if states.iter().all(|of| of.shared_stands(&candidate)) {
                [before, after] = states;
                pattern = candidate;
            }
        }
        let moved = follow_shared((used, decided), pattern, moments, [before, after], steps);
        let mut pattern = moved.or_else(|| {
            // The single-touch models cannot follow: the shared ones stay as they were.
            let mut kept = used_and_rest;
            self.add_days(&mut kept, &days, now);
            let states = moments.map(|of| of.under(&kept.revenue));
            follow_shared((used, decided), kept, moments, states, steps)
        })?;
        remaining.under(&pattern.revenue).prune(&mut pattern);
        Some(pattern)
    }

    /// Adds the cells of revenue of days that were not published before. What no cell covers then comes in as the rest of
    /// the month as soon as it is safe.
    fn add_days(&self, pattern: &mut Pattern, days: &Days, now: &Table) {
        let view = RevenueView::new(self, now);
        for day in days {
            self.decide_day(&view, *day, &mut pattern.revenue);
        }
        let rest = uncovered(&view, &pattern.revenue);
        for kind in RevenueKind::ALL {
            let rest = rest.iter().filter(|(_, place)| place.kind == kind);
            if view.judge(rest).is_safe {
                pattern.revenue.insert(RevenueName::Month(kind));
            }
        }
    }
}

/// What the two states of a pattern leave unsafe; `None` if that is more than a step may leave.
fn improved(
    states: [&Moment<'_>; 2],
    pattern: &Pattern,
    before: &[Unsafe; 2],
    steps: Steps,
) -> Option<[Unsafe; 2]> {
    if steps == Steps::Standing {
        let stands = states.iter().all(|of| of.shared_stands(pattern));
        return stands.then(Default::default);
    }
    let left = states.map(|of| of.unsafe_shared(pattern));
    let is_in = left.iter().zip(before).all(|(left, of)| left.is_in(of));
    is_in.then_some(left)
}

/// The pattern with the unsafe cells of revenue joined, for which the decided pattern has no place: in a cell of their day with
/// the weakest other ones of it, or in that of the month with the weakest of all, until that cell is safe. Whole cells move, so
/// that no reader learns more than their sum. `None` if there is nothing to join, or not enough.
fn joined(
    used: &Pattern,
    pattern: &Pattern,
    left: &[Unsafe; 2],
    [then, now]: [&Moment<'_>; 2],
) -> Option<Pattern> {
    let mut next = pattern.clone();
    for (day, place) in left.iter().flat_map(|of| &of.revenue) {
        let key = (*day, place.clone());
        let Some(cell) = revenue_cell(&next.revenue, &key).filter(|of| of.day().is_some()) else {
            continue;
        };
        if is_safe_cell(&next.revenue, &cell, [then, now]) {
            continue;
        }
        let of_day = RevenueName::Day(*day, place.kind);
        let joins = [of_day, RevenueName::Month(place.kind)];
        let joins = joins.into_iter().filter(|join| *join != cell);
        let joined = joins
            .filter_map(|join| {
                let candidate = join_in(&next.revenue, &cell, &join, [then, now])?;
                let candidate = Pattern {
                    revenue: candidate,
                    ..next.clone()
                };
                let [then, now] = [then, now].map(|of| &*of.revenue);
                revenue_pieces_are_safe(used, &candidate, then, now).then_some(candidate)
            })
            .next();
        next = joined?;
    }
    (next.revenue != pattern.revenue).then_some(next)
}

/// Some cells of revenue, of which one has joined a coarser one, and after it the weakest others that the coarser one covers,
/// until it is safe in both states; `None` if it never is.
fn join_in(
    names: &BTreeSet<RevenueName>,
    cell: &RevenueName,
    join: &RevenueName,
    states: [&Moment<'_>; 2],
) -> Option<BTreeSet<RevenueName>> {
    let mut names = names.clone();
    names.remove(cell);
    // What is left of its day would cover it.
    if let (Some(day), None) = (cell.day(), join.day()) {
        names.remove(&RevenueName::Day(day, cell.kind()));
    }
    names.insert(join.clone());
    let [_, now] = states;
    let mut covered: BTreeMap<RevenueName, Vec<&(Day, Place)>> = BTreeMap::new();
    for key in now.revenue.place_days() {
        let is_of_join = key.1.kind == join.kind() && join.day().is_none_or(|day| day == key.0);
        if is_of_join && let Some(name) = revenue_cell(&names, key).filter(|name| name != join) {
            covered.entry(name).or_default().push(key);
        }
    }
    let weighed = covered.into_iter();
    let weighed = weighed.map(|(name, keys)| (now.revenue.judge(keys).contributors, name));
    let mut weakest: BTreeSet<(u64, RevenueName)> = weighed.collect();
    while !is_safe_cell(&names, join, states) {
        let (_, name) = weakest.pop_first()?;
        names.remove(&name);
    }
    Some(names)
}

/// Whether a cell of revenue is safe, or empty, in both states.
fn is_safe_cell(
    names: &BTreeSet<RevenueName>,
    cell: &RevenueName,
    states: [&Moment<'_>; 2],
) -> bool {
    states.iter().all(|of| {
        let keys = of.revenue.place_days();
        let mut keys = keys
            .filter(|key| revenue_cell(names, key).as_ref() == Some(cell))
            .peekable();
        keys.peek().is_none() || of.revenue.judge(keys).is_safe
    })
}

/// A pattern whose single-touch models follow its shared ones, and move from the pattern in use towards the decided one;
/// `None` if they cannot be published beside them. The moments are those of the last publication and of the next, and the
/// states what the pattern's cells of revenue count of them.
fn follow_shared(
    (used, decided): (&Pattern, &Pattern),
    mut pattern: Pattern,
    [published, remaining]: [&Moment<'_>; 2],
    states: [Moment<'_>; 2],
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
    let unsafe_of = |pattern: &Pattern| states.each_ref().map(|of| of.unsafe_single(pattern));
    // What follows from the shared models alone is done at once, and judged with everything else.
    let wanted = as_shared(&decided.single, &pattern.shared);
    pattern.single = as_shared(&pattern.single, &pattern.shared);
    for state in &states {
        state.unite(&pattern.shared, &mut pattern.single);
    }
    let mut left = match steps {
        Steps::Standing => Default::default(),
        Steps::Improving => unsafe_of(&pattern),
    };
    let mut moved = true;
    while std::mem::take(&mut moved) {
        for name in difference_of_credits(&pattern.single, &wanted) {
            let mut candidate = pattern.clone();
            toggle(&mut candidate.single, &name);
            if steps == Steps::Standing {
                if stands(&candidate) {
                    (pattern, moved) = (candidate, true);
                }
                continue;
            }
            let now_left = unsafe_of(&candidate);
            let is_in = |(now, before): (&BTreeSet<_>, &BTreeSet<_>)| now.is_subset(before);
            let is_union = |of: &Moment<'_>| of.is_union(&candidate.shared, &candidate.single);
            if now_left.iter().zip(&left).all(is_in)
                && states.iter().all(is_union)
                && keeps_pieces(&candidate)
            {
                (pattern, moved, left) = (candidate, true, now_left);
            }
        }
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

/// The places and days that no cell of revenue covers, in order.
fn uncovered(view: &RevenueView<'_>, names: &BTreeSet<RevenueName>) -> Vec<(Day, Place)> {
    let uncovered = view
        .place_days()
        .filter(|key| revenue_cell(names, key).is_none());
    uncovered.cloned().collect()
}

/// The cell of revenue of a place and day, if any.
fn revenue_cell(names: &BTreeSet<RevenueName>, (day, place): &(Day, Place)) -> Option<RevenueName> {
    let covering = RevenueName::covering(*day, place);
    covering.into_iter().find(|name| names.contains(name))
}

/// Cells of the single-touch models, with the cells of conversions without touchpoints that the shared models have.
fn as_shared(single: &BTreeSet<CellName>, shared: &BTreeSet<CellName>) -> BTreeSet<CellName> {
    let is_nobody = |name: &&CellName| matches!(name, CellName::Channel(of) if of.is_nobody());
    let own = single.iter().filter(|name| !is_nobody(name));
    own.chain(shared.iter().filter(is_nobody))
        .cloned()
        .collect()
}

/// The names in which two patterns differ, in order.
fn difference<T: Ord + Clone>(used: &BTreeSet<T>, decided: &BTreeSet<T>) -> Vec<T> {
    used.symmetric_difference(decided).cloned().collect()
}

/// The same of cells of credits. What is left of the month has its cell, whether there is any or not.
fn difference_of_credits(used: &BTreeSet<CellName>, decided: &BTreeSet<CellName>) -> Vec<CellName> {
    let mut names = difference(used, decided);
    names.retain(|name| *name != CellName::Month);
    names
}

/// A pattern in which credits that come later and have no cell of their own are the rest of the month.
fn with_rest(used: &Pattern) -> Pattern {
    let mut pattern = used.clone();
    pattern.shared.insert(CellName::Month);
    pattern.single.insert(CellName::Month);
    pattern
}

fn toggle<T: Ord + Clone>(names: &mut BTreeSet<T>, name: &T) {
    if !names.remove(name) {
        names.insert(name.clone());
    }
}

/// Whether each piece that an old and a new cell of credits have in common is safe then and now, or the whole of the
/// old cell. Conversions without touchpoints are the same in every model: a reader takes off the cells of the single-touch
/// models what he knows of them by the shared ones, from the old cells (the first of `known`) or from both (the second).
fn pieces_are_safe(
    class: Class,
    (old, new): (&BTreeSet<CellName>, &BTreeSet<CellName>),
    known: &[BTreeSet<u32>; 2],
    then: &View<'_>,
    now: &View<'_>,
) -> bool {
    let mut pieces: Pieces<CellName, ChannelSet> = Pieces::new();
    let mut newly_known: BTreeSet<CellName> = BTreeSet::new();
    let [known_before, known_after] = known;
    for (at, channel) in then.present() {
        let Some(cell) = cell_of(old, channel) else {
            continue;
        };
        if known_before.contains(&at) {
            continue;
        }
        if known_after.contains(&at) {
            newly_known.insert(cell);
            continue;
        }
        let pieces = pieces.entry(cell).or_default();
        pieces.entry(cell_of(new, channel)).or_default().push(at);
    }
    let same = |channels: &ChannelSet| -> ChannelSet {
        let names = channels
            .iter()
            .filter_map(|at| then.channels.get(*at as usize));
        let found = names.filter_map(|name| now.channels.binary_search(name).ok());
        found.map(|at| at as u32).collect()
    };
    pieces.iter().all(|(cell, pieces)| {
        (pieces.len() == 1 && !newly_known.contains(cell))
            || pieces.values().all(|channels| {
                let was = then.judge(class, channels);
                was.is_empty || was.is_safe && now.judge(class, &same(channels)).is_safe
            })
    })
}

/// The same for cells of revenue. No piece may leave the group either: the columns would show the difference, what each
/// channel got of the sales that left. And what no old cell covered may come into a cell with pieces of others only if it is safe
/// by itself: who knows the pieces sees it.
fn revenue_pieces_are_safe(
    old: &Pattern,
    new: &Pattern,
    then: &RevenueView<'_>,
    now: &RevenueView<'_>,
) -> bool {
    let mut pieces: Pieces<RevenueName, Vec<&(Day, Place)>> = Pieces::new();
    for key in then.place_days() {
        if let Some(cell) = revenue_cell(&old.revenue, key) {
            let pieces = pieces.entry(cell).or_default();
            let piece = pieces.entry(revenue_cell(&new.revenue, key)).or_default();
            piece.push(key);
        }
    }
    let known: BTreeSet<&RevenueName> =
        pieces.values().flat_map(BTreeMap::keys).flatten().collect();
    let mut comes_in: BTreeMap<RevenueName, Vec<&(Day, Place)>> = BTreeMap::new();
    for key in now.place_days() {
        if revenue_cell(&old.revenue, key).is_none()
            && let Some(cell) = revenue_cell(&new.revenue, key).filter(|cell| known.contains(cell))
        {
            comes_in.entry(cell).or_default().push(key);
        }
    }
    let is_enough = comes_in.into_values().all(|keys| now.judge(keys).is_safe);
    is_enough
        && pieces.values().all(|pieces| {
            !pieces.contains_key(&None)
                && (pieces.len() == 1
                    || pieces.values().all(|keys| {
                        then.judge(keys.iter().copied()).is_safe
                            && now.judge(keys.iter().copied()).is_safe
                    }))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::decide::tests::table;

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
