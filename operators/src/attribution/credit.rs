//! Credits: a conversion shared out over its path, in integers that add up (invariant I2).
//!
//! Every model gives weights; the weights share 1,000,000 millionths of a conversion, and the value in
//! minor units, by largest remainder: shares are floored, and the units left over go one each to the
//! largest fractions, then to the earlier touch.

use crate::attribution::path::Touch;
use crate::attribution::{Model, decay};
use crate::label::Channel;
use crate::settings::BrandSettings;

/// One conversion, in millionths.
pub const CONVERSION: i128 = 1_000_000;

/// What a channel gets of one conversion under one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The model.
    pub model: Model,
    /// The channel.
    pub channel: Channel,
    /// Millionths of a conversion.
    pub millionths: i128,
    /// Minor units of its value.
    pub value: i128,
}

/// Shares `total` in proportion to the weights, by largest remainder; ties go to the earlier one. All
/// weights zero counts as all equal. `total` is not negative, and `total` times the sum of the weights fits 128 bits.
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

/// The weights that `position` gives to the touches of a path.
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

/// Which parts of a path get how much weight: indices into the distinct channels, and weights.
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

/// Shares a conversion of some value over its path, under every model. Channels come in the order of their
/// first appearance, those without credit left out. An empty path gets nothing.
pub fn credits(path: &[Touch], value: i128, settings: &BrandSettings) -> Vec<Credit> {
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
        let shares = share(CONVERSION, &weights)
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
