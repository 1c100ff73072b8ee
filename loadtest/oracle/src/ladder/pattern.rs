//! Patterns: the names of the published cells, and whether they may count a state.
//!
//! A pattern is a set of names. Contributions that come later belong where the names place them. Where a total is known
//! outside, what no name counts is the rest of the month, whose name need not be in the pattern; elsewhere it is held back.

use std::collections::{BTreeMap, BTreeSet};

use super::contribution::Contribution;
use super::contributor::Contributor;
use super::name::Name;
use super::threshold::{Set, Threshold};
use crate::rules::Model;

/// A pattern, or the part of it that one ladder has.
pub(super) type Names = BTreeSet<Name>;

/// What becomes of contributions that no name of a pattern counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// They are the rest of the month.
    Published,
    /// Nothing.
    HeldBack,
}

/// How the contributions of a family become cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ladder {
    pub(super) threshold: Threshold,
    pub(super) rest: Rest,
}

impl Ladder {
    /// The cell that counts what has a chain; none where it is held back.
    pub(super) fn place<'a>(&self, names: &Names, chain: &'a [Name]) -> Option<&'a Name> {
        let first = chain.iter().find(|name| names.contains(*name));
        first.or_else(|| chain.last().filter(|_| self.rest == Rest::Published))
    }

    /// The cells of a pattern that count anything.
    pub(super) fn cells<'a>(
        &self,
        names: &Names,
        contributions: &'a [Contribution],
    ) -> BTreeMap<&'a Name, Set<'a>> {
        let mut cells: BTreeMap<&Name, Set> = BTreeMap::new();
        for of in contributions {
            if let Some(name) = self.place(names, &of.chain) {
                cells.entry(name).or_default().push(of);
            }
        }
        cells
    }

    /// Whether every cell is safe. One that counts nothing does not exist.
    pub(super) fn stands(&self, names: &Names, contributions: &[Contribution]) -> bool {
        let cells = self.cells(names, contributions);
        cells.values().all(|set| self.threshold.is_met(set))
    }

    /// Whether a change of patterns shows nothing small: each piece that an old and a new cell have in common, of what was
    /// published, is the whole old cell, or safe both then and now. What was held back must be safe both then and now, too,
    /// if it joins what was published. Where nobody knows a total, a cell may also be withdrawn: nothing else counts what
    /// it counted.
    pub(super) fn keeps_pieces(
        &self,
        [old, new]: [&Names; 2],
        [then, now]: [&[Contribution]; 2],
    ) -> bool {
        let threshold = self.threshold.of_any_days();
        let chains: BTreeSet<_> = then.iter().map(|of| &of.chain).collect();
        let now: Vec<Contribution> = now
            .iter()
            .filter(|of| chains.contains(&of.chain))
            .cloned()
            .collect();
        let now = &now[..];
        let held_back = [then, now].map(|state| self.held_back([old, new], state));
        let (then, mut now) = (self.pieces([old, new], then), self.pieces([old, new], now));
        let joined: BTreeSet<&Name> = then
            .values()
            .flat_map(|of| of.keys().flatten())
            .copied()
            .collect();
        let [was_held_back, is_held_back] = &held_back;
        let is_hidden = joined.into_iter().all(|cell| {
            let none = Set::new();
            let now = is_held_back.get(cell).unwrap_or(&none);
            let then = was_held_back.get(cell).unwrap_or(&none);
            then.is_empty() || threshold.is_met(then) && threshold.is_met(now)
        });
        is_hidden
            && then.into_iter().all(|(cell, pieces)| {
                let is_whole = pieces.len() == 1;
                let mut now = now.remove(cell).unwrap_or_default();
                pieces.into_iter().all(|(piece, then)| {
                    let now = now.remove(&piece).unwrap_or_default();
                    is_whole || threshold.is_met(&then) && threshold.is_met(&now)
                })
            })
    }

    /// What no old cell counts, by the new cell that does.
    fn held_back<'a>(
        &self,
        [old, new]: [&Names; 2],
        contributions: &'a [Contribution],
    ) -> BTreeMap<&'a Name, Set<'a>> {
        let mut cells: BTreeMap<&Name, Set> = BTreeMap::new();
        for of in contributions {
            if self.place(old, &of.chain).is_none()
                && let Some(cell) = self.place(new, &of.chain)
            {
                cells.entry(cell).or_default().push(of);
            }
        }
        cells
    }

    /// Whether a change of patterns shows nothing small of an earlier release: each piece of one of its cells is the whole
    /// cell, was safe, or `k_delta` contributors have changed the other pieces of that cell since, so that it cannot be
    /// had by subtracting them.
    pub(super) fn keeps_earlier(
        &self,
        [old, new]: [&Names; 2],
        [then, now]: [&[Contribution]; 2],
        k_delta: u64,
    ) -> bool {
        let threshold = self.threshold.of_any_days();
        let (then, now) = (self.pieces([old, new], then), self.pieces([old, new], now));
        let none = BTreeMap::new();
        then.iter().all(|(cell, pieces)| {
            let now = now.get(cell).unwrap_or(&none);
            let is_kept = |(piece, set): (&Option<&Name>, &Set)| {
                let changed = changed(&others(pieces, piece), &others(now, piece));
                threshold.is_met(set) || changed >= k_delta.max(1)
            };
            pieces.len() == 1 || pieces.iter().all(is_kept)
        })
    }

    /// What old and new cells have in common, by old cell and by new one; no new cell where it is held back by now.
    fn pieces<'a>(
        &self,
        [old, new]: [&Names; 2],
        contributions: &'a [Contribution],
    ) -> BTreeMap<&'a Name, BTreeMap<Option<&'a Name>, Set<'a>>> {
        let mut pieces: BTreeMap<&Name, BTreeMap<Option<&Name>, Set>> = BTreeMap::new();
        for of in contributions {
            if let Some(cell) = self.place(old, &of.chain) {
                let piece = self.place(new, &of.chain);
                let pieces = pieces.entry(cell).or_default();
                pieces.entry(piece).or_default().push(of);
            }
        }
        pieces
    }

    /// The names of a pattern that count anything.
    pub(super) fn used(&self, names: &Names, contributions: &[Contribution]) -> Names {
        let cells = self.cells(names, contributions).into_keys();
        cells
            .filter(|name| names.contains(*name))
            .cloned()
            .collect()
    }
}

/// What every contributor gives: model, cells and weight, sorted.
type Shares<'a> = BTreeMap<Contributor, Vec<(Option<Model>, &'a [Name], i128)>>;

/// What contributors give to all pieces but one.
fn others<'a>(pieces: &BTreeMap<Option<&'a Name>, Set<'a>>, but: &Option<&Name>) -> Shares<'a> {
    let mut shares = Shares::new();
    for (piece, set) in pieces {
        for of in set.iter().filter(|_| piece != but) {
            let share = (of.model, &of.chain[..], of.weight);
            shares.entry(of.who).or_default().push(share);
        }
    }
    shares.values_mut().for_each(|of| of.sort());
    shares
}

/// How many contributors give something else than they did.
fn changed(then: &Shares, now: &Shares) -> u64 {
    let all: BTreeSet<&Contributor> = then.keys().chain(now.keys()).collect();
    let others = all.into_iter().filter(|who| then.get(who) != now.get(who));
    others.count() as u64
}
