//! Credits: how the rule models divide a conversion, in integers that add up (invariant I2).
//!
//! Each model assigns integer weights to the touchpoints of a path, or to its distinct channels.
//! The weights divide two totals separately: one conversion, that is 1,000,000 millionths, and the
//! value of the conversion in minor units. Both divisions use the largest remainder method
//! (Hamilton's method of apportionment): every share is rounded down, and the remaining units go
//! one each to the shares with the largest fractions, ties to the earlier one. So the shares of a
//! conversion always add up to it, under every model, and a retraction computes the same shares
//! again.

use crate::attribution::path::Touch;
use crate::attribution::{Model, decay};
use crate::label::Channel;
use crate::settings::BrandSettings;

/// One conversion, in millionths.
pub const CONVERSION: i128 = 1_000_000;

/// The share of one channel in one conversion under one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The model that assigns the share.
    pub model: Model,
    /// The channel that receives it.
    pub channel: Channel,
    /// The share in millionths of a conversion, from 0 to [`CONVERSION`].
    pub millionths: i128,
    /// The share of the value of the conversion, in minor units of its currency.
    pub value: i128,
}

/// Divides `total` in proportion to `weights` by the largest remainder method.
///
/// The result has one share per weight, in the order of the weights, and adds up to `total`. Ties
/// between equal fractions go to the earlier weight. If all weights are zero they count as equal;
/// no weights produce no shares. A negative `total` counts as zero.
///
/// `total` times the largest weight must fit into 128 bits: 10^15 minor units times 2^40 leave room
/// for a path of 2^38 touchpoints. Takes O(n log n) steps if units remain, O(n) otherwise.
pub fn share(total: i128, weights: &[u128]) -> Vec<i128> {
    let sum: u128 = weights.iter().sum();
    if sum == 0 {
        return match weights {
            [] => Vec::new(),
            _ => share(total, &vec![1; weights.len()]),
        };
    }
    let total = total.max(0) as u128;
    // Most products fit a machine word, and words are divided much faster.
    let narrow = |number: u128| u64::try_from(number).ok();
    let divide = |product: u128| match (narrow(product), narrow(sum)) {
        (Some(product), Some(sum)) => ((product / sum).into(), (product % sum).into()),
        _ => (product / sum, product % sum),
    };
    let parts = weights.iter().map(|weight| divide(total * weight));
    let (mut shares, fractions): (Vec<u128>, Vec<u128>) = parts.unzip();
    let spare = (total - shares.iter().sum::<u128>()) as usize;
    if spare > 0 {
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(fractions[*at]));
        for at in order.into_iter().take(spare) {
            shares[at] += 1;
        }
    }
    shares.into_iter().map(|share| share as i128).collect()
}

/// The weights of [`Model::Position`] for a path of `touches` touchpoints.
///
/// `weights` are those of the first touchpoint, of all middle ones together, and of the last. One
/// touchpoint receives everything; two are weighted by the first and last weight.
fn position_weights(weights: [u32; 3], touches: usize) -> Vec<u128> {
    let [first, middle, last] = weights.map(u128::from);
    match touches {
        0 => Vec::new(),
        1 => vec![1],
        2 => vec![first, last],
        n => {
            // The middle is shared by n - 2, so everything is taken n - 2 times.
            let others = n as u128 - 2;
            let mut weights = vec![middle; n];
            weights[0] = first * others;
            weights[n - 1] = last * others;
            weights
        }
    }
}

/// The recipients of a conversion under a model and their weights: indices into `distinct`, which
/// may repeat, in the order of the path.
///
/// `distinct` contains the channels of the path in the order of their first touchpoint, and
/// `channel_of` the index of the channel of each touchpoint. The path is not empty.
fn weigh(
    model: Model,
    path: &[Touch],
    channel_of: &[usize],
    distinct: &[Channel],
    settings: &BrandSettings,
) -> (Vec<usize>, Vec<u128>) {
    let touches = path.len();
    let one = |at: usize| (channel_of[at..=at].to_vec(), vec![1]);
    let all = |weights| (channel_of.to_vec(), weights);
    match model {
        Model::First => one(0),
        Model::Last => one(touches - 1),
        Model::LastNonDirect => one(path
            .iter()
            .rposition(|t| t.channel != Channel::direct())
            .unwrap_or(touches - 1)),
        Model::Linear => all(vec![1; touches]),
        Model::Position => all(position_weights(settings.position, touches)),
        Model::TimeDecay => {
            let end = path[touches - 1].ts;
            let weight = |t: &Touch| u128::from(decay::weight(end - t.ts, settings.half_life));
            all(path.iter().map(weight).collect())
        }
        Model::Shapley => ((0..distinct.len()).collect(), vec![1; distinct.len()]),
    }
}

/// Divides a conversion of `weight` millionths, worth `value` minor units, among the channels of its path, under every
/// model.
///
/// The credits are ordered by model, then by the first touchpoint of the channel. Channels without
/// a share are left out. For each model the credits add up to `weight` and to `value`; an
/// empty path produces no credits. Takes O(touchpoints · distinct channels) steps.
pub fn credits(path: &[Touch], weight: i128, value: i128, settings: &BrandSettings) -> Vec<Credit> {
    let mut credits = Vec::new();
    if path.is_empty() {
        return credits;
    }
    let mut distinct: Vec<Channel> = Vec::new();
    let mut channel_of = Vec::with_capacity(path.len());
    for touch in path {
        let at = distinct
            .iter()
            .position(|channel| *channel == touch.channel);
        channel_of.push(at.unwrap_or_else(|| {
            distinct.push(touch.channel);
            distinct.len() - 1
        }));
    }
    for model in Model::ALL {
        let (parts, weights) = weigh(model, path, &channel_of, &distinct, settings);
        let mut sums = vec![(0, 0); distinct.len()];
        let shares = share(weight, &weights)
            .into_iter()
            .zip(share(value, &weights));
        for (part, (millionths, value)) in parts.into_iter().zip(shares) {
            sums[part].0 += millionths;
            sums[part].1 += value;
        }
        for (channel, (millionths, value)) in distinct.iter().zip(sums) {
            if (millionths, value) != (0, 0) {
                credits.push(Credit {
                    model,
                    channel: *channel,
                    millionths,
                    value,
                });
            }
        }
    }
    credits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest remainder method, ties included.
    #[test]
    fn spare_units_go_to_the_largest_fraction_then_the_earlier() {
        assert_eq!(share(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(share(10, &[1, 2, 4]), [1, 3, 6]);
        assert_eq!(share(2, &[1, 1, 1]), [1, 1, 0]);
        assert_eq!(share(0, &[1, 1]), [0, 0]);
        assert_eq!(share(5, &[0, 0]), [3, 2]);
        assert_eq!(share(5, &[]), [0i128; 0]);
        let large = 1_000_000_000_000_000;
        assert_eq!(
            share(large, &[u128::from(decay::WHOLE); 200])
                .iter()
                .sum::<i128>(),
            large
        );
    }

    /// Position weights for one to four touchpoints.
    #[test]
    fn position_shares_the_middle() {
        let shares = |n| share(100, &position_weights([40, 20, 40], n));
        assert_eq!(shares(1), [100]);
        assert_eq!(shares(2), [50, 50]);
        assert_eq!(shares(3), [40, 20, 40]);
        assert_eq!(shares(4), [40, 10, 10, 40]);
        assert_eq!(share(100, &position_weights([20, 20, 60], 2)), [25, 75]);
    }
}
