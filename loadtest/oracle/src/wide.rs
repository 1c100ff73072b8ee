//! Removal effects of a chain with many channels, for which exact fractions would be too long.
//!
//! The formula is that of [`markov`](crate::markov), with the inverse of A in place of its
//! adjugate. Floating point determines every effect to much less than a thousandth of a part per
//! million. An effect that is this close to a half is also computed modulo the prime 2^61 - 1,
//! where a half is exact: then it rounds up. An effect close to a half that is not one rounds as
//! floating point indicates. The numbers of real traces do not produce an effect that is closer to
//! a half than floating point can distinguish without being one.

#![allow(clippy::float_arithmetic, reason = "a half is decided without it")]

use num_bigint::BigInt;
use num_traits::ToPrimitive;

/// A field, with the operations that an elimination needs.
trait Field: Copy + PartialEq {
    /// The neutral element of addition.
    const ZERO: Self;
    /// The neutral element of multiplication.
    const ONE: Self;
    /// The element of a count.
    fn of(count: &BigInt) -> Self;
    /// The sum.
    fn plus(self, other: Self) -> Self;
    /// The difference.
    fn minus(self, other: Self) -> Self;
    /// The product.
    fn times(self, other: Self) -> Self;
    /// The multiplicative inverse of an element other than zero.
    fn inverse(self) -> Self;
}

impl Field for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;

    fn of(count: &BigInt) -> f64 {
        count.to_f64().unwrap_or(f64::NAN)
    }

    fn plus(self, other: f64) -> f64 {
        self + other
    }

    fn minus(self, other: f64) -> f64 {
        self - other
    }

    fn times(self, other: f64) -> f64 {
        self * other
    }

    fn inverse(self) -> f64 {
        1.0 / self
    }
}

/// The modulus, a Mersenne prime.
const P: u64 = (1 << 61) - 1;

/// A number modulo [`P`], less than `P`.
#[derive(Clone, Copy, PartialEq)]
struct Residue(u64);

impl Field for Residue {
    const ZERO: Residue = Residue(0);
    const ONE: Residue = Residue(1);

    fn of(count: &BigInt) -> Residue {
        let rest: BigInt = (count % P + P) % P;
        Residue(rest.to_u64().unwrap_or(0))
    }

    fn plus(self, other: Residue) -> Residue {
        Residue((self.0 + other.0) % P)
    }

    fn minus(self, other: Residue) -> Residue {
        Residue((self.0 + P - other.0) % P)
    }

    fn times(self, other: Residue) -> Residue {
        // 2^61 is one.
        let product = u128::from(self.0) * u128::from(other.0);
        Residue((((product >> 61) as u64) + (product as u64 & P)) % P)
    }

    fn inverse(self) -> Residue {
        let (mut inverse, mut square, mut power) = (Residue::ONE, self, P - 2);
        while power > 0 {
            if power % 2 == 1 {
                inverse = inverse.times(square);
            }
            square = square.times(square);
            power /= 2;
        }
        inverse
    }
}

/// The numerator and the denominator of each effect.
///
/// `matrix` is A, `starts` are s and `ends` are b in the notation of [`markov`](crate::markov).
fn parts<F: Field>(matrix: &[Vec<BigInt>], starts: &[BigInt], ends: &[BigInt]) -> Vec<[F; 2]> {
    let field = |counts: &[BigInt]| -> Vec<F> { counts.iter().map(F::of).collect() };
    let inverse = inverse(matrix.iter().map(|row| field(row)).collect());
    let (starts, ends) = (field(starts), field(ends));
    let dot =
        |of: &mut dyn Iterator<Item = (F, F)>| of.fold(F::ZERO, |sum, (a, b)| sum.plus(a.times(b)));
    let size = matrix.len();
    let rows = inverse.iter();
    let to_conversion: Vec<F> = rows
        .map(|row| dot(&mut row.iter().copied().zip(ends.iter().copied())))
        .collect();
    let pairs = starts.iter().copied().zip(to_conversion.iter().copied());
    let all = dot(&mut { pairs });
    (0..size)
        .map(|at| {
            let column = inverse.iter().map(|row| row[at]);
            let stays = dot(&mut starts.iter().copied().zip(column));
            [stays.times(to_conversion[at]), inverse[at][at].times(all)]
        })
        .collect()
}

/// The inverse by Gauss–Jordan elimination: the matrix becomes the identity, and the identity
/// beside it becomes the inverse.
fn inverse<F: Field>(mut matrix: Vec<Vec<F>>) -> Vec<Vec<F>> {
    let size = matrix.len();
    for (place, row) in matrix.iter_mut().enumerate() {
        row.extend((0..size).map(|at| if at == place { F::ONE } else { F::ZERO }));
    }
    for step in 0..size {
        let mut pivot_row = std::mem::take(&mut matrix[step]);
        let scale = pivot_row[step].inverse();
        pivot_row
            .iter_mut()
            .for_each(|cell| *cell = cell.times(scale));
        // Beyond this nothing of it is other than zero.
        let filled = step..=size + step;
        for row in matrix.iter_mut().filter(|row| !row.is_empty()) {
            let factor = row[step];
            if factor == F::ZERO {
                continue;
            }
            let cells = row[filled.clone()].iter_mut();
            for (cell, above) in cells.zip(&pivot_row[filled.clone()]) {
                *cell = cell.minus(factor.times(*above));
            }
        }
        matrix[step] = pivot_row;
    }
    matrix
        .into_iter()
        .map(|mut row| row.split_off(size))
        .collect()
}

/// The distance from a half, in parts per million, within which an effect is computed exactly.
const HALF_MARGIN: f64 = 1e-3;

/// The effects in parts per million, rounded half up. The arguments are those of [`parts`]. Takes
/// O(n³) steps for n channels, twice if an effect is close to a half.
pub(crate) fn effects_ppm(matrix: &[Vec<BigInt>], starts: &[BigInt], ends: &[BigInt]) -> Vec<u64> {
    let floats: Vec<f64> = parts::<f64>(matrix, starts, ends)
        .into_iter()
        // Where nothing converts there is no effect.
        .map(|[above, below]| {
            if below > 0.0 {
                1e6 * above / below
            } else {
                0.0
            }
        })
        .collect();
    let is_near_half = |ppm: &f64| (ppm - ppm.floor() - 0.5).abs() < HALF_MARGIN;
    let exact = match floats.iter().any(is_near_half) {
        true => parts::<Residue>(matrix, starts, ends),
        false => Vec::new(),
    };
    let rounded = floats.iter().enumerate().map(|(at, ppm)| {
        let is_half = exact
            .get(at)
            .filter(|_| is_near_half(ppm))
            .is_some_and(|of| {
                let [above, below] = *of;
                let doubled = Residue::of(&(2 * ppm.floor() as u64 + 1).into());
                Residue(2_000_000).times(above) == doubled.times(below)
            });
        match is_half {
            true => ppm.floor() as u64 + 1,
            false => (ppm + 0.5).floor() as u64,
        }
    });
    rounded.collect()
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn the_same_as_the_fractions() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        for round in 0..60 {
            let size = rng.random_range(1..20usize);
            let mut counts = |most: u32| -> Vec<BigInt> {
                (0..size)
                    .map(|_| BigInt::from(rng.random_range(0..=most)))
                    .collect()
            };
            let (starts, ends, lost) = (counts(9), counts(3), counts(5));
            let mut matrix: Vec<Vec<BigInt>> = (0..size).map(|_| counts(4)).collect();
            for (at, row) in matrix.iter_mut().enumerate() {
                let elsewhere = row.iter().sum::<BigInt>() - &row[at];
                row.iter_mut().for_each(|count| *count = -&*count);
                row[at] = elsewhere + &ends[at] + &lost[at] + 1;
            }
            let adjugate = crate::markov::adjugate(&matrix);
            let to = |from: usize| -> BigInt {
                (0..size).map(|at| &adjugate[from][at] * &ends[at]).sum()
            };
            let all: BigInt = (0..size).map(|at| &starts[at] * to(at)).sum();
            let effects = effects_ppm(&matrix, &starts, &ends);
            for (at, effect) in effects.into_iter().enumerate() {
                let stays: BigInt = (0..size)
                    .map(|from| &starts[from] * &adjugate[from][at])
                    .sum();
                let exact = crate::markov::Effect {
                    numerator: stays * to(at),
                    denominator: (&adjugate[at][at] * &all).max(1.into()),
                };
                assert_eq!(effect, exact.ppm(), "round {round}");
            }
        }
    }

    #[test]
    fn a_half_rounds_up() {
        // 128 channels of one conversion each: 7,812.5 parts per million.
        let one = || vec![BigInt::from(1); 128];
        let of = |at: usize| {
            (0..128)
                .map(|to| BigInt::from(u8::from(at == to)))
                .collect()
        };
        let matrix: Vec<Vec<BigInt>> = (0..128).map(of).collect();
        assert_eq!(effects_ppm(&matrix, &one(), &one()), [7_813; 128]);
    }
}
