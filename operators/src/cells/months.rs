//! Months: the aggregates from which the Markov chains are solved.
//!
//! A month holds the null paths of its persons, and for every kind and currency its converting paths and the parts that its
//! days suppress ([`crate::cells::disclosure`]). A chain is solved only when its month is released, by another thread
//! ([`crate::cells::solver`]). The solution stays valid until the aggregates change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::aggregate::{Aggregate, CellKey, Lacks, Month, MonthGroup};
use crate::attribution::credit::CONVERSION;
use crate::attribution::markov::{Edges, MonthChain, MonthCredit, Reach, Solved};
use crate::cell::ReleaseGroup;
use crate::cells::disclosure::MonthDisclosure;
use crate::engine::Diff;
use crate::label::{Channel, LabelNames};
use crate::record::{BrandId, Day, SaleKind};

/// The null paths of one month, which enter the chains of its groups.
#[derive(Default)]
pub(super) struct NullPaths {
    /// By the conversions that the persons lack, in the order of [`Lacks::ALL`].
    parts: [NullPart; 3],
    /// The last finished day, for a month that is released by the ladder; otherwise all days count.
    through: Option<Day>,
    /// The contributors that changed since the groups were notified, as in [`Aggregate::changed`].
    pub(super) changed: u128,
    /// The groups of the month.
    pub(super) groups: BTreeSet<MonthGroup>,
}

/// The null paths of persons who lack the same conversions.
#[derive(Default)]
struct NullPart {
    /// Their transitions, up to a day.
    edges: Arc<Edges>,
    /// What each later day changes.
    later: BTreeMap<Day, Edges>,
    /// The persons with a null path through each channel.
    reach: Arc<Reach>,
}

impl NullPart {
    fn is_empty(&self) -> bool {
        self.edges.is_empty() && self.later.is_empty() && self.reach.is_empty()
    }
}

/// The converting paths of one month, kind and currency, and the solution of their chain.
#[derive(Default)]
pub(super) struct Chain {
    /// The transitions of converting paths.
    edges: Arc<Edges>,
    /// The persons with a converting path through each channel.
    reach: Arc<Reach>,
    /// The number, value and persons of the conversions with a touchpoint, and the contributors
    /// that changed any part of the chain.
    converted: Aggregate,
    /// The revenue of the days of the month, which adds up to it.
    days: MonthDisclosure,
    /// The solution, or `None` if the aggregates changed since the chain was solved.
    solved: Option<Solved>,
}

/// The month of a part of null paths, or `None` for any other key.
pub(super) fn null_month(key: &CellKey) -> Option<(BrandId, Month)> {
    match key.release_group() {
        ReleaseGroup::NullPaths(brand, month) => Some((brand, month)),
        _ => None,
    }
}

/// The transitions of null paths, and the persons behind each channel; see [`NullPaths::parts`].
pub(super) type NullParts = [(Arc<Edges>, Arc<Reach>); 2];

/// Adds to a count, and removes it at zero.
fn bump<K: std::hash::Hash + Eq + Copy>(counts: &mut FxHashMap<K, i64>, key: K, by: i64) {
    let count = counts.entry(key).or_default();
    *count += by;
    if *count == 0 {
        counts.remove(&key);
    }
}

impl NullPaths {
    /// Adds a change of a part of the null paths, `diff` times.
    pub(super) fn add(&mut self, key: &CellKey, sums: &Aggregate, diff: Diff) {
        self.changed |= sums.changed;
        let (CellKey::NullEdge { lacks, .. } | CellKey::NullReach { lacks, .. }) = key else {
            return;
        };
        let [both, sales, visits] = &mut self.parts;
        let part = match lacks {
            Lacks::Both => both,
            Lacks::Sales => sales,
            Lacks::Visits => visits,
        };
        match key {
            CellKey::NullEdge { from, to, day, .. } => {
                let times = (sums.values[0] * i128::from(diff)) as i64;
                if self.through.is_some_and(|through| *day <= through) {
                    bump(Arc::make_mut(&mut part.edges), (*from, *to), times);
                    return;
                }
                let edges = part.later.entry(*day).or_default();
                bump(edges, (*from, *to), times);
                if edges.is_empty() {
                    part.later.remove(day);
                }
            }
            CellKey::NullReach { channel, .. } => {
                bump(
                    Arc::make_mut(&mut part.reach),
                    *channel,
                    sums.contributors * diff,
                );
            }
            _ => {}
        }
    }

    /// Counts all days up to one. A day that counts once counts for good.
    pub(super) fn count_through(&mut self, through: Day) {
        for part in &mut self.parts {
            for (_, edges) in part.later.extract_if(..=through, |_, _| true) {
                let all = Arc::make_mut(&mut part.edges);
                for (edge, times) in edges {
                    bump(all, edge, times);
                }
            }
        }
        self.through = self.through.max(Some(through));
    }

    /// The transitions of the null paths of a kind of conversions, and the persons behind each channel: those of persons who lack
    /// all conversions, and those of persons who lack this kind. They are shared, not copied: the chain adds them up.
    pub(super) fn parts(&self, kind: SaleKind) -> NullParts {
        let parts = Lacks::ALL.iter().zip(&self.parts);
        let mut of_kind = parts
            .filter(|(lacks, _)| lacks.is_null_of(kind))
            .map(|(_, part)| (part.edges.clone(), part.reach.clone()));
        [(); 2].map(|()| of_kind.next().unwrap_or_default())
    }

    /// Whether there are no null paths and no groups.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.iter().all(NullPart::is_empty) && self.groups.is_empty()
    }
}

impl Chain {
    /// Adds a change of a part of the chain, `diff` times. Returns whether the key is such a part.
    pub(super) fn add(&mut self, key: &CellKey, sums: &Aggregate, diff: Diff) -> bool {
        match key {
            CellKey::ConvertingEdge { from, to, .. } => {
                let times = (sums.values[0] * i128::from(diff)) as i64;
                bump(Arc::make_mut(&mut self.edges), (*from, *to), times);
            }
            CellKey::ConvertingReach { channel, .. } => {
                bump(
                    Arc::make_mut(&mut self.reach),
                    *channel,
                    sums.contributors * diff,
                );
            }
            CellKey::Converted { .. } => self.converted.add(sums, diff),
            CellKey::Taken {
                store,
                day,
                credited,
                who,
                ..
            } => {
                // This changes no value of the month, so that it hides nobody else's change.
                self.days.add((*store, *day), *credited, *who, sums, diff);
                return true;
            }
            _ => return false,
        }
        self.touched_by(sums.changed);
        true
    }

    /// Notes the contributors of a change, and discards the solution.
    pub(super) fn touched_by(&mut self, changed: u128) {
        self.converted.changed |= changed;
        self.solved = None;
    }

    /// The contributors that changed the chain since the group was last published.
    pub(super) fn changed(&self) -> u128 {
        self.converted.changed
    }

    /// Resets the contributors that changed the chain.
    pub(super) fn clear_changes(&mut self) {
        self.converted.changed = 0;
    }

    /// Whether the chain has no aggregates.
    pub(super) fn is_empty(&self) -> bool {
        self.edges.is_empty()
            && self.reach.is_empty()
            && self.converted.is_zero()
            && self.days.is_empty()
    }

    /// The persons with a converting path; 0 if publishing the month would reveal what one of its
    /// days suppresses.
    pub(super) fn persons(&self, k: i64) -> i64 {
        match k <= 1 || self.days.is_safe(k) {
            true => self.converted.contributors,
            false => 0,
        }
    }

    /// The input of the chain, or `None` if it is solved. The aggregates are shared, not copied.
    pub(super) fn unsolved(
        &self,
        kind: SaleKind,
        null: Option<&NullPaths>,
        max_channels: usize,
        words: &Arc<LabelNames>,
    ) -> Option<MonthChain> {
        let [conversions, value, ..] = self.converted.values;
        let null = null.map(|null| null.parts(kind)).unwrap_or_default();
        // The paths of visits count in millionths.
        let (unit, null_weight) = match kind {
            SaleKind::Visit => (1, CONVERSION as i64),
            SaleKind::Order | SaleKind::Transaction => (CONVERSION, 1),
        };
        self.solved.is_none().then(|| MonthChain {
            null_weight,
            converting: self.edges.clone(),
            null,
            converting_reach: self.reach.clone(),
            millionths: conversions * unit,
            value,
            max_channels,
            words: words.clone(),
        })
    }

    /// Stores the solution.
    pub(super) fn solve(&mut self, solved: Solved) {
        self.solved = Some(solved);
    }

    /// The number of channels merged into larger ones.
    pub(super) fn folded(&self) -> u64 {
        self.solved.as_ref().map_or(0, |solved| solved.folded)
    }

    /// The credits of each channel as aggregates: effect, conversions in millionths, and value. The
    /// contributors are the persons with a converting or a null path through the channel.
    pub(super) fn credits(&self) -> impl Iterator<Item = (Channel, Aggregate)> {
        let credits = self.solved.iter().flat_map(|solved| &solved.credits);
        credits.map(|credit| {
            let MonthCredit {
                channel,
                effect_ppm,
                millionths,
                value,
                persons,
            } = *credit;
            let mut sums =
                Aggregate::of(&[effect_ppm.into(), millionths, value]).with_contributors(persons);
            sums.changed = self.converted.changed;
            (channel, sums)
        })
    }
}
