//! Pieces: what an old and a new cell have in common.
//!
//! A reader of two publications takes the pieces of a cell that he has off it, and what is left is another one. So each piece
//! must be safe then and now, unless the old cell moves as a whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::Day;
use crate::release::pattern::{CellName, Class, Pattern, cell_of};
use crate::release::revenue_names::RevenueName;
use crate::release::table::Place;
use crate::release::view::{ChannelSet, RevenueView, View};

/// What each old cell has in common with each new one, `None` for what no new cell covers.
type Pieces<Name, Set> = BTreeMap<Name, BTreeMap<Option<Name>, Set>>;

/// Whether each piece that an old and a new cell of credits have in common is safe then and now, or the whole of the
/// old cell. Conversions without touchpoints are the same in every model: a reader takes off the cells of the single-touch
/// models what he knows of them by the shared ones, from the old cells (the first of `known`) or from both (the second).
pub(super) fn pieces_are_safe(
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
pub(super) fn revenue_pieces_are_safe(
    old: &Pattern,
    new: &Pattern,
    then: &RevenueView<'_>,
    now: &RevenueView<'_>,
) -> bool {
    let mut pieces: Pieces<RevenueName, Vec<&(Day, Place)>> = Pieces::new();
    for key in then.place_days() {
        if let Some(cell) = old.revenue_of(key.0, &key.1) {
            let pieces = pieces.entry(cell).or_default();
            let piece = pieces.entry(new.revenue_of(key.0, &key.1)).or_default();
            piece.push(key);
        }
    }
    let known: BTreeSet<&RevenueName> =
        pieces.values().flat_map(BTreeMap::keys).flatten().collect();
    let mut comes_in: BTreeMap<RevenueName, Vec<&(Day, Place)>> = BTreeMap::new();
    for key in now.place_days() {
        if old.revenue_of(key.0, &key.1).is_none()
            && let Some(cell) = new
                .revenue_of(key.0, &key.1)
                .filter(|cell| known.contains(cell))
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
