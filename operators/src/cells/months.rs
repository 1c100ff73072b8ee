//! Months: the sums of the Markov chains, and what was told of them.
//!
//! A month holds the null paths of its persons, and for every kind and currency its converting paths. The chains are
//! solved when the month is released, never before.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::attribution::markov::{self, Edges};
use crate::cells::Told;
use crate::engine::Diff;
use crate::label::{Channel, Dictionary};
use crate::record::{BrandId, Currency, SaleKind};
use crate::sums::{CellKey, Month, Sums};

/// The chains of one month.
#[derive(Default)]
pub(super) struct MonthChains {
    null: Edges,
    null_reach: FxHashMap<Channel, i64>,
    groups: BTreeMap<(SaleKind, Currency), Converting>,
}

/// The converting paths of one kind and currency.
#[derive(Default)]
struct Converting {
    edges: Edges,
    reach: FxHashMap<Channel, i64>,
    conversions: i128,
    value: i128,
    told: BTreeMap<Channel, Told>,
}

/// What becomes of one channel's cell at a release.
pub(super) struct Outcome {
    pub(super) kind: SaleKind,
    pub(super) currency: Currency,
    pub(super) channel: Channel,
    pub(super) was: Told,
    pub(super) now: Told,
}

/// The month that a key is a part of; none for a cell of its own.
pub(super) fn month_of(key: &CellKey) -> Option<(BrandId, Month)> {
    match key {
        CellKey::ConvertingEdge { group, .. }
        | CellKey::ConvertingReach { group, .. }
        | CellKey::Converted { group } => Some((group.brand, group.month)),
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

impl MonthChains {
    /// Adds to a part of the month.
    pub(super) fn add(&mut self, key: &CellKey, sums: &Sums, diff: Diff) {
        let times = (sums.values[0] * i128::from(diff)) as i64;
        let persons = sums.contributors * diff;
        match key {
            CellKey::NullEdge { from, to, .. } => bump(&mut self.null, (*from, *to), times),
            CellKey::NullReach { channel, .. } => bump(&mut self.null_reach, *channel, persons),
            CellKey::ConvertingEdge { group, from, to } => {
                let edges = &mut self
                    .groups
                    .entry((group.kind, group.currency))
                    .or_default()
                    .edges;
                bump(edges, (*from, *to), times);
            }
            CellKey::ConvertingReach { group, channel } => {
                let reach = &mut self
                    .groups
                    .entry((group.kind, group.currency))
                    .or_default()
                    .reach;
                bump(reach, *channel, persons);
            }
            CellKey::Converted { group } => {
                let converting = self.groups.entry((group.kind, group.currency)).or_default();
                converting.conversions += sums.values[0] * i128::from(diff);
                converting.value += sums.values[1] * i128::from(diff);
            }
            _ => {}
        }
    }

    /// Whether nothing is held of the month.
    pub(super) fn is_empty(&self) -> bool {
        self.null.is_empty() && self.groups.is_empty()
    }

    /// Solves the chains, and says of every channel what was told and what is. Behind a cell stand the persons
    /// whose converting or null paths hold the channel.
    pub(super) fn release(&mut self, k: u64, words: &Dictionary) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for ((kind, currency), converting) in &mut self.groups {
            let mut now = BTreeMap::new();
            if converting.conversions > 0 {
                let Converting {
                    edges,
                    conversions,
                    value,
                    ..
                } = &*converting;
                for credit in markov::solve(edges, &self.null, *conversions, *value, words) {
                    let of = |reach: &FxHashMap<Channel, i64>| {
                        reach.get(&credit.channel).copied().unwrap_or(0)
                    };
                    let persons = of(&converting.reach) + of(&self.null_reach);
                    let effect = i128::from(credit.effect_ppm);
                    let values = [effect, credit.millionths, credit.value, 0, 0];
                    now.insert(credit.channel, Told::of(values, persons, k));
                }
            }
            let mut was = std::mem::replace(&mut converting.told, now);
            for (channel, now) in &converting.told {
                let (kind, currency, channel) = (*kind, *currency, *channel);
                let was = was.remove(&channel).unwrap_or_default();
                outcomes.push(Outcome {
                    kind,
                    currency,
                    channel,
                    was,
                    now: *now,
                });
            }
            for (channel, was) in was {
                let (kind, currency, now) = (*kind, *currency, Told::Nothing);
                outcomes.push(Outcome {
                    kind,
                    currency,
                    channel,
                    was,
                    now,
                });
            }
        }
        self.groups.retain(|_, group| group.conversions > 0);
        outcomes
    }

    /// What was told last of every channel.
    pub(super) fn told(&self) -> impl Iterator<Item = (SaleKind, Currency, Channel, Told)> {
        self.groups
            .iter()
            .flat_map(|((kind, currency), converting)| {
                converting
                    .told
                    .iter()
                    .map(|(channel, told)| (*kind, *currency, *channel, *told))
            })
    }
}
