//! The Markov model: what a channel's removal would cost a month.
//!
//! Anderl, Becker, von Wangenheim and Schumann 2016 (International Journal of Research in Marketing
//! 33), order 1, removal with redirection to null. The dataflow keeps the transitions of converting and
//! null paths as sums, which are linear and retract exactly; the chain is solved only when a month's
//! cells are written. The effects in parts per million are the weights that share the month's
//! attributed conversions and their value by largest remainder, ties in the order of the channels' words.
//!
//! A [`MonthChain`] is all that it takes, to be solved wherever there is time: what it shares with the month is copied only
//! if the month changes before it is dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::attribution::credit::{CONVERSION, share};
use crate::attribution::elimination::Chain;
use crate::attribution::fold::{Visits, fold, name};
use crate::attribution::solve::removal_effects;
use crate::label::{Channel, LabelNames};

/// The transitions of one kind of path, counted. The default channel is the start as origin, and as destination the
/// conversion or the end without one.
pub type Edges = FxHashMap<(Channel, Channel), i64>;

/// The persons whose paths of one kind hold a channel.
pub type Reach = FxHashMap<Channel, i64>;

/// What a month's chain is solved from.
#[derive(Clone, Debug)]
pub struct MonthChain {
    /// The transitions of converting paths.
    pub converting: Arc<Edges>,
    /// The transitions of null paths.
    pub null: Arc<Edges>,
    /// The persons with converting paths.
    pub converting_reach: Arc<Reach>,
    /// The persons with null paths.
    pub null_reach: Arc<Reach>,
    /// The conversions with a touch.
    pub conversions: i128,
    /// Their value, minor units.
    pub value: i128,
    /// How many channels the chain has at most.
    pub max_channels: usize,
    /// The words of the channels.
    pub words: Arc<LabelNames>,
}

/// What one channel gets of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthCredit {
    /// The channel.
    pub channel: Channel,
    /// Its removal effect, parts per million.
    pub effect_ppm: i64,
    /// Its share of the conversions with a touch, millionths.
    pub millionths: i128,
    /// Its share of their value, minor units.
    pub value: i128,
    /// The persons whose paths hold it. Of several channels in one those of the one that has the most: at least so many.
    pub persons: i64,
}

/// What a month's chain gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Solved {
    /// What each channel gets, in the order of their words.
    pub credits: Vec<MonthCredit>,
    /// How many channels of the month are not among them, but went up into larger ones.
    pub folded: u64,
}

impl MonthChain {
    /// Solves the chain and shares out the conversions with a touch and their value.
    pub fn solve(&self) -> Solved {
        if self.conversions <= 0 {
            return Solved::default();
        }
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
        let millionths = share(self.conversions * CONVERSION, &weights);
        let values = share(self.value, &weights);
        let mut persons = vec![0; channels.len()];
        for channel in visits.keys() {
            let of = |reach: &Reach| reach.get(channel).copied().unwrap_or(0);
            let all = of(&self.converting_reach) + of(&self.null_reach);
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

    /// Both kinds of transitions, and whether they are those of null paths.
    fn edges(&self) -> [(&Edges, bool); 2] {
        [(&self.converting, false), (&self.null, true)]
    }

    /// The chain of `n` states, of which `at` says which one a channel is; the start and the ends are none.
    fn chain(&self, n: usize, at: impl Fn(&Channel) -> Option<usize>) -> Chain {
        let mut between = vec![BTreeMap::new(); n];
        let (mut converted, mut lost) = (vec![0; n], vec![0; n]);
        for (edges, is_null) in self.edges() {
            for ((from, to), count) in edges {
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
        let between = between.into_iter().map(|row| row.into_iter().collect());
        Chain {
            between: between.collect(),
            converted,
            lost,
        }
    }
}

#[cfg(test)]
mod tests;
