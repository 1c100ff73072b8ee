//! Months: the aggregates from which the Markov chains are solved.
//!
//! A month holds the null paths of its persons, and for every kind and currency its converting paths and the parts that its
//! days suppress ([`crate::cells::disclosure`]). A chain is solved only when its month is released, by another thread
//! ([`crate::cells::solver`]). The solution stays valid until the aggregates change.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::aggregate::{Aggregate, CellKey, Month, MonthGroup};
use crate::attribution::markov::{Edges, MonthChain, MonthCredit, Reach, Solved};
use crate::cells::disclosure::MonthDisclosure;
use crate::engine::Diff;
use crate::label::{Channel, LabelNames};
use crate::record::BrandId;

/// The null paths of one month, and the groups that they enter.
#[derive(Default)]
pub(super) struct NullPaths {
    edges: Arc<Edges>,
    reach: Arc<Reach>,
    /// The contributors that changed since the groups were notified.
    pub(super) changed: u128,
    pub(super) groups: BTreeSet<MonthGroup>,
}

/// The converting paths of one kind and currency.
#[derive(Default)]
pub(super) struct Chain {
    edges: Arc<Edges>,
    reach: Arc<Reach>,
    /// The conversions with a touch, their value and persons; and who has changed any part of the chain.
    converted: Aggregate,
    /// The days of the month, which add up to it.
    days: MonthDisclosure,
    /// What the sums come to; none where they have changed since it was solved.
    solved: Option<Solved>,
}

/// The month of a null path's part; none for any other key.
pub(super) fn null_month(key: &CellKey) -> Option<(BrandId, Month)> {
    match key {
        CellKey::NullEdge { brand, month, .. } | CellKey::NullReach { brand, month, .. } => {
            Some((*brand, *month))
        }
        _ => None,
    }
}

fn bump<K: std::hash::Hash + Eq + Copy>(counts: &mut FxHashMap<K, i64>, key: K, by: i64) {
    let count = counts.entry(key).or_default();
    *count += by;
    if *count == 0 {
        counts.remove(&key);
    }
}

impl NullPaths {
    /// Adds to a part of the null paths.
    pub(super) fn add(&mut self, key: &CellKey, sums: &Aggregate, diff: Diff) {
        self.changed |= sums.changed;
        match key {
            CellKey::NullEdge { from, to, .. } => {
                let times = (sums.values[0] * i128::from(diff)) as i64;
                bump(Arc::make_mut(&mut self.edges), (*from, *to), times);
            }
            CellKey::NullReach { channel, .. } => {
                bump(
                    Arc::make_mut(&mut self.reach),
                    *channel,
                    sums.contributors * diff,
                );
            }
            _ => {}
        }
    }

    /// The transitions, and the persons behind each channel.
    pub(super) fn parts(&self) -> (Arc<Edges>, Arc<Reach>) {
        (self.edges.clone(), self.reach.clone())
    }

    /// Whether nothing is held of the month.
    pub(super) fn is_empty(&self) -> bool {
        self.edges.is_empty() && self.reach.is_empty() && self.groups.is_empty()
    }
}

impl Chain {
    /// Adds to a part of the chain. Returns whether the key is one.
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

    /// Notes that somebody has changed it.
    pub(super) fn touched_by(&mut self, changed: u128) {
        self.converted.changed |= changed;
        self.solved = None;
    }

    /// The contributors that changed since it was last published.
    pub(super) fn changed(&self) -> u128 {
        self.converted.changed
    }

    /// Forgets who has changed it.
    pub(super) fn clear_changes(&mut self) {
        self.converted.changed = 0;
    }

    /// Whether nothing is held of it.
    pub(super) fn is_empty(&self) -> bool {
        self.edges.is_empty()
            && self.reach.is_empty()
            && self.converted.is_zero()
            && self.days.is_empty()
    }

    /// The persons with a converting path; none where the month would show what its days hide.
    pub(super) fn persons(&self, k: i64) -> i64 {
        match k <= 1 || self.days.is_safe(k) {
            true => self.converted.contributors,
            false => 0,
        }
    }

    /// What is to be solved; none where that has been done.
    pub(super) fn unsolved(
        &self,
        null: Option<&NullPaths>,
        max_channels: usize,
        words: &Arc<LabelNames>,
    ) -> Option<MonthChain> {
        let [conversions, value, ..] = self.converted.values;
        let null = null.map(|null| (null.edges.clone(), null.reach.clone()));
        let (null, null_reach) = null.unwrap_or_default();
        self.solved.is_none().then(|| MonthChain {
            converting: self.edges.clone(),
            null,
            converting_reach: self.reach.clone(),
            null_reach,
            conversions,
            value,
            max_channels,
            words: words.clone(),
        })
    }

    /// Takes what was solved.
    pub(super) fn solve(&mut self, solved: Solved) {
        self.solved = Some(solved);
    }

    /// The number of channels merged into larger ones.
    pub(super) fn folded(&self) -> u64 {
        self.solved.as_ref().map_or(0, |solved| solved.folded)
    }

    /// What the chain gives each channel. Behind its cell stand the persons whose converting or null paths hold it.
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
