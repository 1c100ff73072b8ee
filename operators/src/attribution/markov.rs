//! The Markov model: what a channel's removal would cost a month.
//!
//! Anderl, Becker, von Wangenheim and Schumann 2016 (International Journal of Research in Marketing
//! 33), order 1, removal with redirection to null. The dataflow keeps the transitions of converting and
//! null paths as sums, which are linear and retract exactly; the chain is solved only when a month's
//! cells are written. The effects in parts per million are the weights that share the month's
//! attributed conversions and their value by largest remainder, ties in the order of the channels' words.

use rustc_hash::FxHashMap;

use crate::attribution::credit::{CONVERSION, share};
use crate::attribution::solve::Chain;
use crate::label::{Channel, Dictionary};

/// The transitions of one kind of path, counted.
pub type Edges = FxHashMap<(Channel, Channel), i64>;

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
}

/// Solves the chain of converting and null paths and shares out the conversions with a touch and
/// their value. The default channel is the start as origin, and as destination the conversion in
/// `converting` and the end in `null`.
pub fn solve(
    converting: &Edges,
    null: &Edges,
    conversions: i128,
    value: i128,
    words: &Dictionary,
) -> Vec<MonthCredit> {
    let end = Channel::default();
    let mut channels: Vec<Channel> = converting
        .keys()
        .chain(null.keys())
        .flat_map(|(from, to)| [*from, *to])
        .filter(|channel| *channel != end)
        .collect();
    channels.sort_unstable();
    channels.dedup();
    channels.sort_by(|a, b| channel_words(a, words).cmp(&channel_words(b, words)));
    let index: FxHashMap<Channel, usize> = channels
        .iter()
        .enumerate()
        .map(|(at, channel)| (*channel, at))
        .collect();

    let n = channels.len();
    let mut chain = Chain {
        start: vec![0; n],
        between: vec![vec![0; n]; n],
        converted: vec![0; n],
        lost: vec![0; n],
    };
    for (edges, is_null) in [(converting, false), (null, true)] {
        for ((from, to), count) in edges {
            match (index.get(from), index.get(to)) {
                (None, Some(to)) => chain.start[*to] += count,
                (Some(from), Some(to)) => chain.between[*from][*to] += count,
                (Some(from), None) if is_null => chain.lost[*from] += count,
                (Some(from), None) => chain.converted[*from] += count,
                (None, None) => {}
            }
        }
    }
    let effects = chain.removal_effects();
    let weights: Vec<u128> = effects
        .iter()
        .map(|effect| (*effect).max(0) as u128)
        .collect();
    let millionths = share(conversions * CONVERSION, &weights);
    let values = share(value, &weights);
    channels
        .into_iter()
        .zip(effects)
        .zip(millionths.into_iter().zip(values))
        .map(|((channel, effect_ppm), (millionths, value))| MonthCredit {
            channel,
            effect_ppm,
            millionths,
            value,
        })
        .collect()
}

/// The words of a channel in the order that breaks ties: source, medium, campaign, absent ones first.
fn channel_words<'a>(channel: &Channel, words: &'a Dictionary) -> [Option<&'a str>; 3] {
    [channel.source, channel.medium, channel.campaign]
        .map(|label| words.word(label).map(|word| &**word))
}
