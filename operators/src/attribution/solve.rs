//! Removal effects of an absorbing chain, exact to the part per million.
//!
//! With `M = diag(out) - counts` over the channels, `s` the transitions from the start and `r` those
//! into a conversion, removing channel `c` (every path through it goes to null) loses the share
//! `effect(c) = (s M⁻¹)_c (M⁻¹ r)_c / ((M⁻¹)_cc · s M⁻¹ r)` of all conversions: the paths that reach
//! `c` and convert from there.
//!
//! One inverse gives every effect. It is computed in floats after Grassmann, Taksar and Heyman (1985),
//! who eliminate without a subtraction, so that every entry keeps almost all of its digits. An effect
//! that lies so close to half a part per million that these digits do not decide the rounding is
//! computed again in whole numbers (fraction-free elimination after Bareiss, 1968), so the outcome is
//! always that of exact arithmetic.

use num_bigint::BigInt;
use num_traits::{One, ToPrimitive, Zero};

/// An absorbing chain as transition counts between `n` channels.
pub(super) struct Chain {
    /// From the start to each channel.
    pub(super) start: Vec<i64>,
    /// From row to column; the diagonal is zero.
    pub(super) between: Vec<Vec<i64>>,
    /// From each channel into a conversion.
    pub(super) converted: Vec<i64>,
    /// From each channel to null.
    pub(super) lost: Vec<i64>,
}

const PPM: f64 = 1e6;

impl Chain {
    fn len(&self) -> usize {
        self.start.len()
    }

    /// The removal effect of every channel, in parts per million, rounded half up.
    pub(super) fn removal_effects(&self) -> Vec<i64> {
        let estimates = self.estimate();
        // The elimination is good to some n units in the last of 53 binary digits; this is far more.
        let margin = 1e-8 * (self.len() as f64 + 1.0);
        let unsure = |ppm: f64| !ppm.is_finite() || ((ppm - ppm.floor()) - 0.5).abs() < margin;
        if estimates.iter().any(|ppm| unsure(*ppm)) {
            return self.exact();
        }
        estimates
            .into_iter()
            .map(|ppm| (ppm + 0.5).floor() as i64)
            .collect()
    }

    #[allow(
        clippy::needless_range_loop,
        reason = "the indices are those of the matrices"
    )]
    fn estimate(&self) -> Vec<f64> {
        let n = self.len();
        let mut a: Vec<Vec<f64>> = self
            .between
            .iter()
            .map(|row| row.iter().map(|count| *count as f64).collect())
            .collect();
        let mut exit: Vec<f64> = self
            .converted
            .iter()
            .zip(&self.lost)
            .map(|(c, l)| (c + l) as f64)
            .collect();
        let mut pivot = vec![0.0; n];
        // M = L U: U has the pivots and -a above them, L has ones and -factor below.
        let mut factor = vec![vec![0.0; n]; n];
        for k in 0..n {
            pivot[k] = a[k][k + 1..].iter().sum::<f64>() + exit[k];
            for i in k + 1..n {
                let f = a[i][k] / pivot[k];
                if f == 0.0 {
                    continue;
                }
                factor[i][k] = f;
                for j in k + 1..n {
                    if j != i {
                        a[i][j] += f * a[k][j];
                    }
                }
                exit[i] += f * exit[k];
            }
        }
        let solve = |right: &mut [f64]| {
            for i in 0..n {
                for k in 0..i {
                    right[i] += factor[i][k] * right[k];
                }
            }
            for i in (0..n).rev() {
                for j in i + 1..n {
                    right[i] += a[i][j] * right[j];
                }
                right[i] /= pivot[i];
            }
        };
        let mut to_conversion: Vec<f64> = self.converted.iter().map(|c| *c as f64).collect();
        solve(&mut to_conversion);
        let dot = |column: &[f64]| -> f64 {
            self.start
                .iter()
                .zip(column)
                .map(|(s, x)| *s as f64 * x)
                .sum()
        };
        let whole = dot(&to_conversion);
        (0..n)
            .map(|c| {
                let mut column = vec![0.0; n];
                column[c] = 1.0;
                solve(&mut column);
                PPM * dot(&column) * to_conversion[c] / (column[c] * whole)
            })
            .collect()
    }

    #[allow(
        clippy::needless_range_loop,
        reason = "the indices are those of the matrices"
    )]
    fn exact(&self) -> Vec<i64> {
        let n = self.len();
        // [M | I] is turned into [det I | adj M].
        let mut m: Vec<Vec<BigInt>> = (0..n)
            .map(|i| {
                let out = self.between[i].iter().sum::<i64>() + self.converted[i] + self.lost[i];
                let mut row: Vec<BigInt> = self.between[i]
                    .iter()
                    .map(|count| BigInt::from(-count))
                    .collect();
                row[i] = BigInt::from(out);
                row.extend((0..n).map(|j| {
                    if i == j {
                        BigInt::one()
                    } else {
                        BigInt::zero()
                    }
                }));
                row
            })
            .collect();
        let mut previous = BigInt::one();
        for k in 0..n {
            // The leading minors of a nonsingular M-matrix are positive: no pivot is ever zero.
            let pivot_row = m[k].clone();
            for (i, row) in m.iter_mut().enumerate() {
                if i == k {
                    continue;
                }
                let lead = row[k].clone();
                for j in 0..2 * n {
                    row[j] = (&pivot_row[k] * &row[j] - &lead * &pivot_row[j]) / &previous;
                }
            }
            previous = pivot_row[k].clone();
        }
        let inverse = |i: usize, j: usize| &m[i][n + j];
        let to_conversion: Vec<BigInt> = (0..n)
            .map(|i| (0..n).map(|j| inverse(i, j) * self.converted[j]).sum())
            .collect();
        let whole: BigInt = (0..n).map(|i| &to_conversion[i] * self.start[i]).sum();
        (0..n)
            .map(|c| {
                let reached: BigInt = (0..n).map(|i| inverse(i, c) * self.start[i]).sum();
                let above: BigInt = reached * &to_conversion[c] * 2_000_000;
                let below: BigInt = inverse(c, c) * &whole;
                // round(x) = floor((2x + 1) / 2), half up.
                let rounded: BigInt = (above + &below) / (&below * 2);
                rounded.to_i64().unwrap_or(0)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(n: usize, seed: u64) -> Chain {
        let mut state = seed;
        let mut next = move |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % below) as i64
        };
        let mut between = vec![vec![0; n]; n];
        for (i, row) in between.iter_mut().enumerate() {
            for (j, count) in row.iter_mut().enumerate() {
                *count = if i == j { 0 } else { next(50) };
            }
        }
        Chain {
            start: (0..n).map(|_| 1 + next(9)).collect(),
            between,
            converted: (0..n).map(|_| next(4)).map(|c| c + 1).collect(),
            lost: (0..n).map(|_| next(9)).collect(),
        }
    }

    #[test]
    fn floats_round_as_whole_numbers_do() {
        for seed in 0..300 {
            let chain = chain(1 + seed as usize % 9, seed);
            assert_eq!(chain.removal_effects(), chain.exact(), "seed {seed}");
        }
    }

    #[test]
    fn a_half_rounds_up() {
        // Of 2,000,000 conversions one goes through the first channel: half a part per million.
        let chain = Chain {
            start: vec![1, 1_999_999],
            between: vec![vec![0, 0], vec![0, 0]],
            converted: vec![1, 1_999_999],
            lost: vec![0, 0],
        };
        assert_eq!(chain.removal_effects(), [1, 1_000_000]);
    }
}
