//! The Markov model: the conversions that a month would lose without a channel.
//!
//! The paths of a month define an absorbing Markov chain of order 1: its states are the channels,
//! and two more absorb, the conversion and *null*, the end without one. The removal effect of a
//! channel is the share of conversions that are lost if every path through it leads to null instead
//! (Anderl, Becker, von Wangenheim and Schumann 2016, *Mapping the customer journey*, International
//! Journal of Research in Marketing 33). The effects, in parts per million, are the weights that
//! divide the conversions of the month and their value by largest remainder
//! ([`share`](super::credit::share)), with ties in the order of the channels' names.
//!
//! Transition counts are sums over paths. The dataflow maintains them and retracts from them
//! exactly; only the chain itself is solved again, and only when a month is released. A
//! [`MonthChain`] is a self-contained copy of the input, so that any thread can solve it: the
//! aggregates are shared with the month, and are copied only if the month changes before the chain
//! is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::attribution::credit::share;
use crate::attribution::elimination::Chain;
use crate::attribution::fold::{Visits, fold, name};
use crate::attribution::solve::removal_effects;
use crate::label::{Channel, LabelNames};

/// Transition counts of one kind of path, by origin and destination.
///
/// The default channel stands for the start of a path as the origin, and for its end (the
/// conversion or null) as the destination.
pub type Edges = FxHashMap<(Channel, Channel), i64>;

/// The number of persons with a path of one kind through each channel.
pub type Reach = FxHashMap<Channel, i64>;

/// The input of the chain of one month, conversion kind and currency.
#[derive(Clone, Debug)]
pub struct MonthChain {
    /// The transitions of the paths that end in a conversion.
    pub converting: Arc<Edges>,
    /// The persons with converting paths, by channel.
    pub converting_reach: Arc<Reach>,
    /// The transitions of the paths that end without one, and the persons with such paths, by channel: of two groups of persons.
    pub null: [(Arc<Edges>, Arc<Reach>); 2],
    /// How many converting transitions a transition of a null path weighs.
    pub null_weight: i64,
    /// The conversions that have a touchpoint, in millionths of a conversion.
    pub millionths: i128,
    /// The value of these conversions, in minor units.
    pub value: i128,
    /// The maximum number of channels in the chain. Channels beyond it are merged; see `fold`.
    pub max_channels: usize,
    /// The names of the channels, which decide ties.
    pub words: Arc<LabelNames>,
}

/// The share of one channel in the conversions of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthCredit {
    /// The channel, or several that were merged, with `*` for the dimensions that they do not
    /// share.
    pub channel: Channel,
    /// The removal effect, in parts per million, rounded half up.
    pub effect_ppm: i64,
    /// The share of the conversions that have a touchpoint, in millionths of a conversion.
    pub millionths: i128,
    /// The share of the value of these conversions, in minor units.
    pub value: i128,
    /// The persons with a path through the channel. For merged channels this is a lower bound: the
    /// number of the merged channel with the most persons.
    pub persons: i64,
}

/// The solution of a month's chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solved {
    /// The shares of all channels, in the order of their names. They add up to the conversions and
    /// to the value.
    pub credits: Vec<MonthCredit>,
    /// The number of channels of the month that were merged into larger ones.
    pub folded: u64,
}

impl MonthChain {
    /// Solves the chain, and divides the conversions that have a touchpoint and their value.
    ///
    /// Without conversions there are no credits. The result is a function of the counts and names
    /// alone: it does not depend on the machine or on the iteration order of the maps. With `n`
    /// channels after merging it takes at most O(n³) steps, and far fewer for sparse chains; see
    /// `elimination`.
    pub fn solve(&self) -> Solved {
        if self.millionths <= 0 {
            return Solved::default();
        }
        let visits = self.visits();
        let becomes = fold(&visits, self.max_channels, &self.words);
        let node = |channel: &Channel| becomes.get(channel).copied().unwrap_or(*channel);
        let mut channels: Vec<Channel> = visits.keys().map(node).collect();
        channels.sort_unstable();
        channels.dedup();
        channels.sort_by_cached_key(|channel| name(*channel, &self.words));
        let places = channels.iter().copied().zip(0..);
        let index: FxHashMap<Channel, usize> = places.collect();
        let at = |channel: &Channel| index.get(&node(channel)).copied();

        let effects = removal_effects(&self.chain(channels.len(), at));
        let weights: Vec<u128> = effects
            .iter()
            .map(|effect| (*effect).max(0) as u128)
            .collect();
        let millionths = share(self.millionths, &weights);
        let values = share(self.value, &weights);
        let mut persons = vec![0; channels.len()];
        for channel in visits.keys() {
            let of = |reach: &Reach| reach.get(channel).copied().unwrap_or(0);
            let null = self.null.iter().map(|(_, reach)| of(reach));
            let all = of(&self.converting_reach) + null.sum::<i64>();
            if let Some(most) = at(channel).and_then(|at| persons.get_mut(at)) {
                *most = all.max(*most);
            }
        }
        let shares = millionths.into_iter().zip(values);
        let credits = channels.into_iter().zip(effects).zip(shares).zip(persons);
        Solved {
            credits: credits
                .map(
                    |(((channel, effect_ppm), (millionths, value)), persons)| MonthCredit {
                        channel,
                        effect_ppm,
                        millionths,
                        value,
                        persons,
                    },
                )
                .collect(),
            folded: becomes.len() as u64,
        }
    }

    /// The channels that are merged into larger ones, each with its replacement.
    pub fn folded(&self) -> FxHashMap<Channel, Channel> {
        fold(&self.visits(), self.max_channels, &self.words)
    }

    /// The transitions into each channel.
    fn visits(&self) -> FxHashMap<Channel, Visits> {
        let end = Channel::default();
        let mut visits: FxHashMap<Channel, Visits> = FxHashMap::default();
        for (edges, is_null) in self.edges() {
            for ((from, to), count) in edges {
                if *from != end {
                    visits.entry(*from).or_default();
                }
                if *to != end {
                    let (converting, null) = visits.entry(*to).or_default();
                    *(if is_null { null } else { converting }) += count;
                }
            }
        }
        visits
    }

    /// All transitions, each with whether it is that of null paths.
    fn edges(&self) -> [(&Edges, bool); 3] {
        let [(one, _), (other, _)] = &self.null;
        [(&self.converting, false), (one, true), (other, true)]
    }

    /// The chain with `n` states. `at` returns the state of a channel; the start and the ends have
    /// none.
    ///
    /// Transitions from a state to itself are left out, since they change no probability of
    /// absorption.
    fn chain(&self, n: usize, at: impl Fn(&Channel) -> Option<usize>) -> Chain {
        let mut between = vec![BTreeMap::new(); n];
        let (mut converted, mut lost) = (vec![0; n], vec![0; n]);
        for (edges, is_null) in self.edges() {
            let weight = if is_null { self.null_weight } else { 1 };
            for ((from, to), count) in edges {
                let count = count * weight;
                match (at(from), at(to)) {
                    (Some(from), Some(to)) if from != to => {
                        *between[from].entry(to).or_default() += count;
                    }
                    (Some(from), None) if is_null => lost[from] += count,
                    (Some(from), None) => converted[from] += count,
                    _ => {}
                }
            }
        }
        // A common factor changes no probability, and counts stay small without it.
        let mut counts: Vec<&mut i64> = between.iter_mut().flat_map(BTreeMap::values_mut).collect();
        counts.extend(converted.iter_mut().chain(&mut lost));
        let factor = counts.iter().fold(0, |factor, count| gcd(factor, **count));
        if factor > 1 {
            counts.into_iter().for_each(|count| *count /= factor);
        }
        let between = between.into_iter().map(|row| row.into_iter().collect());
        Chain {
            between: between.collect(),
            converted,
            lost,
        }
    }
}

/// The greatest common divisor of two counts; 0 for two zeros.
fn gcd(one: i64, other: i64) -> i64 {
    let (mut one, mut other) = (one.abs(), other.abs());
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

#[cfg(test)]
mod tests;
