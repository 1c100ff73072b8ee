//! The Markov model: removal effects of a chain of order 1, as exact fractions.
//!
//! The transitions are counted over paths: start → first channel → … → last channel → conversion or
//! null. The removal effect of a channel is the share of the conversion probability that is lost if
//! every transition into the channel leads to null instead (Anderl, Becker, von Wangenheim and
//! Schumann 2016, International Journal of Research in Marketing 33).
//!
//! What is lost is exactly what would have passed through the channel c. With P the probability of
//! a conversion from the start,
//!
//! ```text
//! effect(c) = P(the chain reaches c) · P(conversion | it is in c) / P
//! ```
//!
//! Let A be the matrix whose row i contains the number of departures from i to other states on the
//! diagonal, and minus the number of transitions i → j beside it (self-loops are left out: they
//! change no probability). Let b be the transitions to conversion, s those from the start, and G
//! the adjugate of A. Then P(conversion | i) is proportional to `(G b)[i]`, the expected number of
//! visits to c from the start to `(s G)[c]`, and from c itself to `G[c][c]`; the quotient of the
//! last two is the probability of reaching c. All common factors cancel:
//!
//! ```text
//! effect(c) = (s G)[c] · (G b)[c] / (G[c][c] · (s G b))
//! ```
//!
//! Every path ends, so A is a nonsingular M-matrix: its leading principal minors are positive, and
//! the elimination can proceed down the diagonal without pivoting. It is the fraction-free
//! elimination of Bareiss (1968, *Sylvester's identity and multistep integer-preserving Gaussian
//! elimination*): all divisions are exact, and all numbers stay integers.

use std::collections::{BTreeMap, BTreeSet};

use num_bigint::BigInt;
use num_traits::{One, ToPrimitive, Zero};

use crate::wide;

/// A removal effect: an exact fraction from 0 to 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The numerator, not reduced.
    pub numerator: BigInt,
    /// The denominator, positive.
    pub denominator: BigInt,
}

impl Effect {
    /// The effect in parts per million, rounded half up.
    ///
    /// ```
    /// use tributary_oracle::markov::Effect;
    ///
    /// let effect = Effect { numerator: 1.into(), denominator: 2_000_000.into() };
    /// assert_eq!(effect.ppm(), 1);
    /// ```
    pub fn ppm(&self) -> u64 {
        let doubled = &self.numerator * 2_000_000 + &self.denominator;
        let rounded: BigInt = doubled / (&self.denominator * 2);
        rounded.to_u64().unwrap_or(0)
    }
}

/// The largest number of channels for which exact fractions are short enough.
const MAX_EXACT_CHANNELS: usize = 40;

/// The removal effect of every channel in the paths, in parts per million, rounded half up: by
/// exact fractions, or for many channels by [`wide`].
pub(crate) fn effects_ppm<C: Ord + Clone>(
    converting: &PathCounts<C>,
    null: &PathCounts<C>,
) -> BTreeMap<C, u64> {
    let paths = converting.keys().chain(null.keys());
    let channels: BTreeSet<&C> = paths.flatten().collect();
    if channels.len() <= MAX_EXACT_CHANNELS {
        let effects = removal_effects(converting, null).into_iter();
        return effects
            .map(|(channel, effect)| (channel, effect.ppm()))
            .collect();
    }
    let chain = Chain::count(&channels, converting, null);
    let effects = wide::effects_ppm(&chain.matrix(), &chain.starts, &chain.conversions);
    channels.into_iter().cloned().zip(effects).collect()
}

/// The number of times that each path was taken; channels are ordered oldest first.
pub type PathCounts<C> = BTreeMap<Vec<C>, u64>;

/// The removal effect of every channel in the paths: those of `converting` end in a conversion,
/// those of `null` do not. Empty paths are ignored. If nothing converts, all effects are zero.
/// Takes O(n³) steps on integers that grow with the number of channels n.
///
/// ```
/// use std::collections::BTreeMap;
/// use tributary_oracle::markov::removal_effects;
///
/// // Twice a → b → conversion, once b → conversion, once a → null: P = 3/4.
/// let converting = BTreeMap::from([(vec!['a', 'b'], 2), (vec!['b'], 1)]);
/// let null = BTreeMap::from([(vec!['a'], 1)]);
/// let effects = removal_effects(&converting, &null);
/// // Without a only b → conversion remains: 1/4, so that two thirds are lost.
/// assert_eq!(effects[&'a'].ppm(), 666_667);
/// assert_eq!(effects[&'b'].ppm(), 1_000_000);
/// ```
pub fn removal_effects<C: Ord + Clone>(
    converting: &PathCounts<C>,
    null: &PathCounts<C>,
) -> BTreeMap<C, Effect> {
    let paths = converting.keys().chain(null.keys());
    let channels: BTreeSet<&C> = paths.flatten().collect();
    let chain = Chain::count(&channels, converting, null);
    let adjugate = adjugate(&chain.matrix());

    let size = channels.len();
    let to_conversion: Vec<BigInt> = (0..size)
        .map(|from| sum(size, |to| &adjugate[from][to] * &chain.conversions[to]))
        .collect();
    let all = sum(size, |first| &chain.starts[first] * &to_conversion[first]);
    channels
        .into_iter()
        .enumerate()
        .map(|(place, channel)| {
            let stays = sum(size, |first| &chain.starts[first] * &adjugate[first][place]);
            let effect = match all.is_zero() {
                true => Effect {
                    numerator: BigInt::zero(),
                    denominator: BigInt::one(),
                },
                false => Effect {
                    numerator: stays * &to_conversion[place],
                    denominator: &adjugate[place][place] * &all,
                },
            };
            (channel.clone(), effect)
        })
        .collect()
}

/// The sum of `term` over the states.
fn sum(size: usize, term: impl Fn(usize) -> BigInt) -> BigInt {
    (0..size).map(term).sum()
}

/// The transition counts between channels, by index.
struct Chain {
    /// From the start.
    starts: Vec<BigInt>,
    /// From each channel to each channel.
    steps: Vec<Vec<BigInt>>,
    /// From each channel to conversion.
    conversions: Vec<BigInt>,
    /// From each channel to null.
    nulls: Vec<BigInt>,
}

impl Chain {
    /// Counts the transitions of all paths.
    fn count<C: Ord>(
        channels: &BTreeSet<&C>,
        converting: &PathCounts<C>,
        null: &PathCounts<C>,
    ) -> Chain {
        let places: BTreeMap<&C, usize> = channels.iter().copied().zip(0..).collect();
        let size = channels.len();
        let zeros = || vec![BigInt::zero(); size];
        let mut chain = Chain {
            starts: zeros(),
            steps: vec![zeros(); size],
            conversions: zeros(),
            nulls: zeros(),
        };
        let converting = converting.iter().map(|(path, times)| (path, *times, true));
        let null = null.iter().map(|(path, times)| (path, *times, false));
        for (path, times, converts) in converting.chain(null) {
            let path: Vec<usize> = path.iter().filter_map(|c| places.get(c)).copied().collect();
            let (Some(first), Some(last)) = (path.first(), path.last()) else {
                continue;
            };
            chain.starts[*first] += times;
            for step in path.windows(2) {
                chain.steps[step[0]][step[1]] += times;
            }
            match converts {
                true => chain.conversions[*last] += times,
                false => chain.nulls[*last] += times,
            }
        }
        chain
    }

    /// The matrix A of the module documentation.
    fn matrix(&self) -> Vec<Vec<BigInt>> {
        let ends = self.conversions.iter().zip(&self.nulls);
        let rows = self.steps.iter().zip(ends).enumerate();
        rows.map(|(from, (steps, (conversions, nulls)))| {
            let elsewhere: BigInt = steps.iter().sum::<BigInt>() - &steps[from];
            let mut row: Vec<BigInt> = steps.iter().map(|times| -times).collect();
            row[from] = elsewhere + conversions + nulls;
            row
        })
        .collect()
    }
}

/// The adjugate of a nonsingular M-matrix: its inverse times its determinant.
///
/// Fraction-free Gauss–Jordan elimination of the matrix beside the identity. After step k the first
/// k columns contain the k-th leading principal minor on the diagonal and zeros elsewhere.
pub(crate) fn adjugate(matrix: &[Vec<BigInt>]) -> Vec<Vec<BigInt>> {
    let size = matrix.len();
    let mut rows: Vec<Vec<BigInt>> = matrix.to_vec();
    for (place, row) in rows.iter_mut().enumerate() {
        row.extend((0..size).map(|column| BigInt::from(u8::from(column == place))));
    }
    let mut before = BigInt::one();
    for step in 0..size {
        let pivot_row = rows[step].clone();
        let pivot = &pivot_row[step];
        for (place, row) in rows.iter_mut().enumerate() {
            if place == step {
                continue;
            }
            let factor = row[step].clone();
            for (cell, above) in row.iter_mut().zip(&pivot_row) {
                *cell = (&*cell * pivot - &factor * above) / &before;
            }
        }
        before = pivot.clone();
    }
    rows.into_iter()
        .map(|mut row| row.split_off(size))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[(&str, u64)]) -> PathCounts<char> {
        let count = |(path, times): &(&str, u64)| (path.chars().collect(), *times);
        paths.iter().map(count).collect()
    }

    /// Asserts that an effect is the fraction `numerator/denominator`.
    fn assert_fraction(effects: &BTreeMap<char, Effect>, channel: char, fraction: (i64, i64)) {
        let effect = &effects[&channel];
        assert_eq!(
            &effect.numerator * fraction.1,
            &effect.denominator * fraction.0,
            "{channel}: {effect:?}"
        );
    }

    /// The conversion probability where transitions into `removed` lead to null, by letting a
    /// unit of probability run through the chain until nothing moves: the definition itself.
    fn conversion_probability(chain: &Chain, removed: Option<usize>) -> f64 {
        let float = |count: &BigInt| count.to_f64().unwrap();
        let size = chain.starts.len();
        let all: f64 = chain.starts.iter().map(float).sum();
        let mut at: Vec<f64> = chain.starts.iter().map(|s| float(s) / all).collect();
        let mut converted = 0.0;
        for _ in 0..5_000 {
            let mut next = vec![0.0; size];
            for from in (0..size).filter(|from| Some(*from) != removed) {
                let steps: f64 = chain.steps[from].iter().map(float).sum();
                let out = steps + float(&chain.conversions[from]) + float(&chain.nulls[from]);
                converted += at[from] * float(&chain.conversions[from]) / out;
                for (to, next) in next.iter_mut().enumerate() {
                    *next += at[from] * float(&chain.steps[from][to]) / out;
                }
            }
            at = next;
        }
        converted
    }

    #[test]
    fn a_chain_by_hand() {
        // Two paths a→b→conversion, one b→conversion, one a→null.
        // start: a 3/4, b 1/4; a: b 2/3, null 1/3; b: conversion.
        // P = 3/4 · 2/3 + 1/4 = 3/4. Without a: 1/4. Without b: 0.
        let effects = removal_effects(&paths(&[("ab", 2), ("b", 1)]), &paths(&[("a", 1)]));
        assert_fraction(&effects, 'a', (2, 3));
        assert_fraction(&effects, 'b', (1, 1));
        assert_eq!(effects[&'a'].ppm(), 666_667);
        assert_eq!(effects[&'b'].ppm(), 1_000_000);
    }

    #[test]
    fn a_chain_with_a_way_back() {
        // a→b→a→conversion once, b→null once. start: a 1/2, b 1/2; a: b 1/2, conversion 1/2;
        // b: a 1/2, null 1/2. From a: x = 1/2 + y/2, from b: y = x/2; so x = 2/3, y = 1/3, P = 1/2.
        // Without a: 0. Without b: 1/2 · 1/2 = 1/4, half of P is lost.
        let effects = removal_effects(&paths(&[("aba", 1)]), &paths(&[("b", 1)]));
        assert_fraction(&effects, 'a', (1, 1));
        assert_fraction(&effects, 'b', (1, 2));
    }

    #[test]
    fn self_loops_are_irrelevant() {
        let plain = removal_effects(&paths(&[("abc", 1), ("b", 2)]), &paths(&[("ac", 3)]));
        let looped = removal_effects(&paths(&[("aabccc", 1), ("bb", 2)]), &paths(&[("aac", 3)]));
        for (channel, effect) in plain {
            let looped = &looped[&channel];
            assert_eq!(
                &effect.numerator * &looped.denominator,
                &looped.numerator * &effect.denominator
            );
        }
    }

    #[test]
    fn a_channel_of_null_paths_alone_can_still_lead_to_a_conversion() {
        // a→conversion twice, n→a→null once. start: a 2/3, n 1/3; n: a; a: conversion 2/3.
        // P = 2/3. Without n: 2/3 · 2/3. A third is lost.
        let effects = removal_effects(&paths(&[("a", 2)]), &paths(&[("na", 1)]));
        assert_fraction(&effects, 'n', (1, 3));
        assert_fraction(&effects, 'a', (1, 1));
    }

    #[test]
    fn nothing_converts_or_nothing_is_there() {
        let effects = removal_effects(&paths(&[]), &paths(&[("ab", 1)]));
        assert_fraction(&effects, 'a', (0, 1));
        assert_eq!(removal_effects(&paths(&[]), &paths(&[])), BTreeMap::new());
        assert_eq!(
            removal_effects(&paths(&[("", 3)]), &paths(&[])),
            BTreeMap::new()
        );
    }

    #[test]
    fn halves_round_up() {
        let effect = |numerator: u32, denominator: u32| Effect {
            numerator: numerator.into(),
            denominator: denominator.into(),
        };
        assert_eq!(effect(1, 2_000_000).ppm(), 1);
        assert_eq!(effect(1, 2_000_001).ppm(), 0);
        assert_eq!(effect(3, 2_000_000).ppm(), 2);
        assert_eq!(effect(1, 3).ppm(), 333_333);
    }

    #[test]
    fn effects_are_what_the_definition_says() {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for round in 0..40 {
            let mut random = |most: usize| -> PathCounts<char> {
                let alphabet = ['a', 'b', 'c', 'd', 'e', 'f'];
                (0..rng.random_range(1..=most))
                    .map(|_| {
                        let length = rng.random_range(1..8);
                        let path = (0..length).map(|_| alphabet[rng.random_range(0..6)]);
                        (path.collect(), rng.random_range(1..9))
                    })
                    .collect()
            };
            let (converting, null) = (random(6), random(9));
            let channels: BTreeSet<&char> =
                converting.keys().chain(null.keys()).flatten().collect();
            let chain = Chain::count(&channels, &converting, &null);
            let whole = conversion_probability(&chain, None);
            let effects = removal_effects(&converting, &null);
            for (place, effect) in effects.values().enumerate() {
                let rest = conversion_probability(&chain, Some(place));
                let exact =
                    effect.numerator.to_f64().unwrap() / effect.denominator.to_f64().unwrap();
                assert!((1.0 - rest / whole - exact).abs() < 1e-9, "round {round}");
            }
        }
    }
}
