//! Random numbers from one seed, with integers and exactly rounded floating-point operations only,
//! so that every machine draws the same.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stream of random numbers: ChaCha with eight rounds.
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Random {
        Random(ChaCha8Rng::seed_from_u64(seed))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A uniformly distributed number from 0 to 1, excluding 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// `true` with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// A uniformly distributed integer from `low` to `high`, both included.
    ///
    /// The upper half of a 128-bit product maps 64 random bits to the range (Lemire 2019, *Fast
    /// random integer generation in an interval*, without the rejection step).
    pub(crate) fn whole(&mut self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low).saturating_add(1);
        // The product's upper half is uniform enough: the bias is below 2^-32 for spans of days in
        // milliseconds.
        let offset = (u128::from(self.0.next_u64()) * u128::from(span)) >> 64;
        low.min(high) + offset as i64
    }

    /// A random index below `len`, or 0 if `len` is 0.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        self.whole(0, (len as i64 - 1).max(0)) as usize
    }

    /// A random element, or `otherwise` if there is none.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T], otherwise: &'a T) -> &'a T {
        let index = self.index(all.len());
        all.get(index).copied().unwrap_or(otherwise)
    }

    /// A random index with probability in proportion to its weight, or 0 if all weights are 0.
    /// Takes one random number and O(n) steps.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let total: f64 = weights.clone().sum();
        let mut left = self.unit() * total;
        for (index, weight) in weights.enumerate() {
            if left < weight {
                return index;
            }
            left -= weight;
        }
        0
    }

    /// A number with a heavy tail: at least 1, above x with probability 1/x² (a Pareto distribution
    /// with mean 2), limited to `most`.
    pub(crate) fn heavy(&mut self, most: f64) -> f64 {
        (1.0 / (1.0 - self.unit()).sqrt()).min(most)
    }

    /// A random count with the given mean: its integer part, plus one with the probability of its
    /// fraction.
    pub(crate) fn times(&mut self, mean: f64) -> u32 {
        let whole = mean.max(0.0).floor();
        whole as u32 + u32::from(self.chance(mean - whole))
    }
}

/// 64 bits that depend on all of `parts` and nothing else, for traits that are computed instead of
/// stored. Each part passes the finalizer of SplitMix64.
pub(crate) fn mixed(parts: &[u64]) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for part in parts {
        state = (state ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
    }
    state
}
