//! Joining: what becomes of a published cell that has become too small, and for which the decided pattern has no place.
//!
//! A cell of revenue joins the weakest other cells of its day, or else of its month, under a coarser name. Where the name covers
//! sales that stay out, which a reader would see who knows the cells, the new one counts what has joined and nothing else
//! ([`crate::release::revenue_names`]). A cell of credits becomes a part of the coarser one that covers it, and of the rest of
//! the month in the end, which the weakest others join until it is safe.
//!
//! Whole cells move, so that no reader learns more than their sum, and the month waits only if all that is published of it
//! together may not be.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::Day;
use crate::release::moment::Moment;
use crate::release::pattern::{CellName, Class, Pattern};
use crate::release::pieces::revenue_pieces_are_safe;
use crate::release::revenue_names::{Member, Members, RevenueName, RevenueNames};
use crate::release::table::Place;

/// What a cell counts that others join.
#[derive(Clone, Copy)]
pub(super) enum Extent {
    /// All that its name covers.
    Name,
    /// What was counted before.
    Members,
}

/// A pattern with its unsafe cells of revenue joined. `None` if there is nothing to join, or not enough.
pub(super) fn joined_revenue(
    used: &Pattern,
    pattern: &Pattern,
    left: &[BTreeSet<(Day, Place)>; 2],
    states: [&Moment<'_>; 2],
    extents: &[Extent],
) -> Option<Pattern> {
    let [then, now] = states.map(|of| &*of.revenue);
    let mut next = pattern.clone();
    for (day, place) in left.iter().flatten() {
        let Some(cell) = next.revenue_of(*day, place) else {
            continue;
        };
        if is_safe_cell(&next.revenue, &cell, states) {
            continue;
        }
        let of_day = RevenueName::Day(*day, place.kind);
        let coarser = [of_day, RevenueName::Month(place.kind)];
        let coarser = coarser.into_iter().filter(|name| *name >= cell);
        let ways = coarser.flat_map(|name| {
            let extents = extents.iter();
            extents.map(move |extent| (name.clone(), *extent))
        });
        let mut ways = ways.filter_map(|(name, extent)| {
            let mut candidate = next.clone();
            candidate.revenue = join(&next.revenue, &cell, (&name, extent), states)?;
            revenue_pieces_are_safe(used, &candidate, then, now).then_some(candidate)
        });
        let found = ways.next()?;
        drop(ways);
        next = found;
    }
    (next.revenue != pattern.revenue).then_some(next)
}

/// Some cells of revenue, of which one has joined a coarser one, and after it the weakest others that the coarser one covers,
/// until it is safe in both states; `None` if it never is.
fn join(
    before: &RevenueNames,
    cell: &RevenueName,
    (name, extent): (&RevenueName, Extent),
    states: [&Moment<'_>; 2],
) -> Option<RevenueNames> {
    let [_, now] = states;
    let mut parts: BTreeMap<RevenueName, Vec<&(Day, Place)>> = BTreeMap::new();
    for key in now
        .revenue
        .place_days()
        .filter(|key| name.covers(key.0, &key.1))
    {
        if let Some(part) = before.cell_of(key.0, &key.1) {
            parts.entry(part).or_default().push(key);
        }
    }
    let mut finer = before.clone();
    finer.remove(cell);
    // What is left of its day would cover it.
    if let (Some(day), None) = (cell.day(), name.day()) {
        finer.remove(&RevenueName::Day(day, cell.kind()));
    }
    parts.retain(|part, _| part != name && finer.contains(part));
    let weighed = parts.into_iter();
    let weighed = weighed.map(|(part, keys)| (now.revenue.judge(keys).contributors, part));
    let mut weakest: BTreeSet<(u64, RevenueName)> = weighed.collect();
    let with = |finer: &RevenueNames| {
        let mut names = finer.clone();
        names.insert(name.clone());
        if let Extent::Members = extent {
            let members = members(before, &names, name, states);
            names.insert_members(name.clone(), members);
        }
        is_safe_cell(&names, name, states).then_some(names)
    };
    // Where all together are not safe, no step can be.
    let mut all = finer.clone();
    all.retain(|part| !weakest.iter().any(|(_, of)| of == part));
    with(&all)?;
    loop {
        if let Some(names) = with(&finer) {
            return Some(names);
        }
        let (_, part) = weakest.pop_first()?;
        finer.remove(&part);
    }
}

/// What a cell counts that was counted before.
fn members(
    before: &RevenueNames,
    names: &RevenueNames,
    name: &RevenueName,
    states: [&Moment<'_>; 2],
) -> Members {
    let all = states.into_iter().flat_map(|of| of.revenue.place_days());
    let joined = all.filter(|(day, place)| {
        before.cell_of(*day, place).is_some() && names.cell_of(*day, place).as_ref() == Some(name)
    });
    let joined = joined.map(|(day, place)| Member::of(*day, place));
    let earlier = before.members(name).into_iter().flatten().copied();
    joined.chain(earlier).collect()
}

/// Whether a cell of revenue is safe, or empty, in both states.
fn is_safe_cell(names: &RevenueNames, cell: &RevenueName, states: [&Moment<'_>; 2]) -> bool {
    states.iter().all(|of| {
        let keys = of.revenue.place_days();
        let keys: Vec<_> = keys
            .filter(|(day, place)| names.cell_of(*day, place).as_ref() == Some(cell))
            .collect();
        keys.is_empty() || of.revenue.judge(keys).is_safe
    })
}

/// A pattern with its unsafe cells of credits of a class joined. Cells of conversions without touchpoints are the same in all
/// models: the shared ones decide about them.
pub(super) fn joined_credits(
    class: Class,
    mut pattern: Pattern,
    states: [&Moment<'_>; 2],
) -> Pattern {
    let may_move = |name: &CellName| match name {
        CellName::Month => false,
        CellName::Channel(of) => class == Class::Shared || !of.is_nobody(),
        CellName::Source(_) | CellName::SourceMedium(..) => true,
    };
    loop {
        let of_both = states.map(|of| of.unsafe_cells(class, &pattern).into_keys());
        let left: BTreeSet<CellName> = of_both.into_iter().flatten().collect();
        let mut joins: Vec<CellName> = left.iter().filter(|of| may_move(of)).cloned().collect();
        if joins.is_empty() && left.contains(&CellName::Month) {
            let [_, now] = states;
            let (cells, _) = now.view.cells(pattern.credits(class));
            let others = cells.into_iter().filter(|(name, _)| may_move(name));
            let weakest = others.min_by_key(|(name, channels)| {
                let contributors = now.view.judge(class, channels).contributors;
                (name.grain(), contributors, name.clone())
            });
            joins.extend(weakest.map(|(name, _)| name));
        }
        if joins.is_empty() {
            return pattern;
        }
        let names = pattern.credits_mut(class);
        names.retain(|name| !joins.contains(name));
    }
}
