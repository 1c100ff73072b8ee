//! Numbers: the two fields in which a chain is eliminated.
//!
//! The elimination ([`crate::attribution::elimination`]) only adds, multiplies and divides, so one
//! implementation serves both fields. In `f64` every result keeps almost all of its digits, which
//! yields an estimate of an effect. Modulo a prime a zero is exactly zero, which decides whether an
//! effect is exactly between two values.

/// A field, with the operations that an elimination needs.
pub(super) trait Number: Copy {
    /// The neutral element of addition.
    const ZERO: Self;
    /// The neutral element of multiplication.
    const ONE: Self;

    /// The element of a transition count.
    fn of(count: i64) -> Self;

    /// The sum of two elements.
    fn plus(self, other: Self) -> Self;

    /// The product of two elements.
    fn times(self, other: Self) -> Self;

    /// The multiplicative inverse, or `None` for zero.
    fn inverse(self) -> Option<Self>;
}

impl Number for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;

    fn of(count: i64) -> f64 {
        count as f64
    }

    fn plus(self, other: f64) -> f64 {
        self + other
    }

    fn times(self, other: f64) -> f64 {
        self * other
    }

    fn inverse(self) -> Option<f64> {
        (self != 0.0).then(|| 1.0 / self)
    }
}

/// A residue modulo an odd prime `P` below 2^63.
///
/// It is stored in Montgomery form, multiplied by 2^64 modulo `P`, so that a product needs no
/// division (Montgomery 1985, *Modular multiplication without trial division*). The stored number
/// is less than `P`, so equal residues have equal representations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Residue<const P: u64>(u64);

impl<const P: u64> Residue<P> {
    /// `-1 / P` modulo 2^64, by Newton's iteration: each step doubles the number of correct bits,
    /// starting with three.
    const MINUS_INVERSE: u64 = {
        let mut inverse = P;
        let mut step = 0;
        while step < 5 {
            inverse = inverse.wrapping_mul(2u64.wrapping_sub(P.wrapping_mul(inverse)));
            step += 1;
        }
        inverse.wrapping_neg()
    };
    /// 2^128 modulo `P`: its Montgomery product with a number is the Montgomery form of the number.
    const ENTRY: u64 = {
        let power = (u64::MAX as u128 + 1) % P as u128;
        (power * power % P as u128) as u64
    };

    /// The Montgomery reduction: `product / 2^64` modulo `P`. The product is less than `P · 2^64`.
    const fn reduce(product: u128) -> u64 {
        let lift = (product as u64).wrapping_mul(Self::MINUS_INVERSE);
        let reduced = ((product + lift as u128 * P as u128) >> 64) as u64;
        if reduced >= P { reduced - P } else { reduced }
    }

    /// The residue of a nonnegative number.
    pub(super) const fn from_u128(number: u128) -> Residue<P> {
        let rest = (number % P as u128) as u64;
        Residue(Self::reduce(rest as u128 * Self::ENTRY as u128))
    }
}

impl<const P: u64> Number for Residue<P> {
    const ZERO: Self = Residue(0);
    const ONE: Self = Residue::from_u128(1);

    fn of(count: i64) -> Self {
        let rest = i128::from(count).rem_euclid(i128::from(P));
        Residue::from_u128(rest.unsigned_abs())
    }

    fn plus(self, other: Self) -> Self {
        let sum = self.0 + other.0;
        Residue(if sum >= P { sum - P } else { sum })
    }

    fn times(self, other: Self) -> Self {
        Residue(Self::reduce(u128::from(self.0) * u128::from(other.0)))
    }

    /// The inverse by Fermat's little theorem: the power of `P - 2`.
    fn inverse(self) -> Option<Self> {
        if self == Self::ZERO {
            return None;
        }
        let (mut power, mut square, mut rest) = (Self::ONE, self, P - 2);
        while rest > 0 {
            if rest & 1 == 1 {
                power = power.times(square);
            }
            square = square.times(square);
            rest >>= 1;
        }
        Some(power)
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;

    const P: u64 = (1 << 61) - 1;
    const Q: u64 = (1 << 62) - 57;

    /// Checks the sum, the product and the inverse against plain arithmetic.
    fn check<const P: u64>(a: u64, b: u64) {
        let residue = |n: u64| Residue::<P>::from_u128(n.into());
        let [wide_a, wide_b, p] = [a, b, P].map(u128::from);
        let sum = Residue::from_u128((wide_a % p + wide_b % p) % p);
        assert_eq!(residue(a).plus(residue(b)), sum);
        let product = Residue::from_u128(wide_a % p * (wide_b % p) % p);
        assert_eq!(residue(a).times(residue(b)), product);
        match residue(a).inverse() {
            Some(inverse) => assert_eq!(inverse.times(residue(a)), Residue::ONE),
            None => assert_eq!(a % P, 0),
        }
        assert_eq!(Residue::<P>::of(-5).plus(residue(5)), Residue::ZERO);
    }

    /// Residues against 128-bit arithmetic.
    #[test]
    fn residues_are_plain_arithmetic() {
        let mut state = 1u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state ^ state >> 29
        };
        for _ in 0..2_000 {
            check::<P>(next(), next());
            check::<Q>(next(), next());
        }
        check::<P>(P, P - 1);
        check::<Q>(Q - 1, Q - 1);
        check::<3>(2, 2);
    }

    /// The primes of `solve`, by the Miller–Rabin test with the first twelve primes as bases, which
    /// is deterministic below 2^64.
    #[test]
    fn the_moduli_are_primes() {
        for prime in super::super::solve::PRIMES {
            let (n, one) = (BigUint::from(prime), BigUint::from(1u8));
            let minus_one = &n - &one;
            let shift = minus_one.trailing_zeros().unwrap();
            let odd = &minus_one >> shift;
            for base in [2u8, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37] {
                let mut power = BigUint::from(base).modpow(&odd, &n);
                let mut passes = power == one;
                for _ in 0..shift {
                    passes |= power == minus_one;
                    power = &power * &power % &n;
                }
                assert!(passes, "{prime} to the base {base}");
            }
        }
    }
}
