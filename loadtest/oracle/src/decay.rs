//! The weight of a touchpoint under `time_decay`: 2^32 · 2^(-Δ/half-life), rounded half up,
//! exactly.
//!
//! Write Δ/half-life as `whole + rest/half_life` with `0 <= rest < half_life`. Without a rest the
//! value is a power of two, and the only one exactly between two integers is 2^-1 at `whole` = 33.
//! With a rest it is irrational (a root of two), never exactly between two integers, and it can be
//! enclosed by two rationals as closely as necessary. So:
//!
//! 1. 2^(-rest/half_life) is the product of 2^(-1/2), 2^(-1/4), 2^(-1/8), …, one factor for each
//!    binary digit of rest/half_life that is set. The factors are integer square roots in fixed
//!    point.
//! 2. Every step is computed twice, rounded down and rounded up, so that the true value is always
//!    between the two products. The digits that are left out are one more factor: at most 1 above,
//!    at least the next root below.
//! 3. If both bounds round to the same integer, that is the result; otherwise the number of digits
//!    is doubled. Since the value is never exactly between two integers this terminates, nearly
//!    always with 64 digits.
//!
//! The dataflow uses another algorithm for the same definition, with tables and one precision.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use num_bigint::BigUint;
use num_integer::Integer;
use num_traits::{One, ToPrimitive};

/// The weight of a touchpoint that is `age` milliseconds older than the last one of its path.
///
/// A negative `age` counts as 0, and a half-life (in milliseconds) below 1 as 1. The weight of the
/// last touchpoint is 2^32, and touchpoints older than 33 half-lives have none.
///
/// ```
/// use tributary_oracle::decay::weight;
///
/// let week = 7 * 86_400_000;
/// assert_eq!(weight(0, week), 1 << 32);
/// assert_eq!(weight(week, week), 1 << 31);
/// assert_eq!(weight(33 * week + 1, week), 0);
/// ```
pub fn weight(age: i64, half_life: i64) -> u128 {
    let half_life = half_life.max(1) as u64;
    let age = age.max(0) as u64;
    let (whole, rest) = age.div_rem(&half_life);
    match (whole, rest) {
        (0..=32, 0) => 1 << (32 - whole),
        (33, 0) => 1, // exactly a half, rounded up
        (0..=32, _) => between_powers(whole, rest, half_life),
        _ => 0, // less than a half
    }
}

/// The weight if the rest is not zero.
fn between_powers(whole: u64, rest: u64, half_life: u64) -> u128 {
    let mut digits = 64;
    loop {
        let (low, high) = Roots::with(digits).bounds(rest, half_life);
        // The bounds are in units of 2^-digits: shifted by one bit less they are twice the weight,
        // and floor(v + 1/2) = floor((floor(2v) + 1) / 2).
        let round = |bound: BigUint| ((bound << (33 - whole) >> digits) + 1u32) >> 1;
        let (low, high): (BigUint, BigUint) = (round(low), round(high));
        if low == high {
            return low.to_u128().unwrap_or_default();
        }
        digits *= 2;
    }
}

/// 2^(-1/2), 2^(-1/4), 2^(-1/8), … in units of 2^-digits, each rounded down and rounded up.
struct Roots {
    /// The number of binary digits after the point.
    digits: usize,
    /// One root per digit, and one more.
    roots: Vec<(BigUint, BigUint)>,
}

/// The roots of every precision used so far, which are expensive and never change.
static KNOWN: Mutex<BTreeMap<usize, Arc<Roots>>> = Mutex::new(BTreeMap::new());

impl Roots {
    /// The roots of a precision, computed once per process.
    fn with(digits: usize) -> Arc<Roots> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(digits)
            .or_insert_with(|| Arc::new(Roots::compute(digits)))
            .clone()
    }

    /// Computes the roots of a precision.
    fn compute(digits: usize) -> Roots {
        let half = BigUint::one() << (digits - 1);
        let mut roots = Vec::new();
        let (mut low, mut high) = (half.clone(), half);
        for _ in 0..=digits {
            // sqrt(v / 2^d) = sqrt(v · 2^d) / 2^d
            low = (low << digits).sqrt();
            high = (high << digits).sqrt() + 1u32;
            roots.push((low.clone(), high.clone()));
        }
        Roots { digits, roots }
    }

    /// Bounds of 2^(-rest/half_life) in units of 2^-digits; `rest` is less than `half_life`.
    fn bounds(&self, rest: u64, half_life: u64) -> (BigUint, BigUint) {
        let one = BigUint::one() << self.digits;
        let (mut low, mut high) = (one.clone(), one);
        let (mut rest, half_life) = (u128::from(rest), u128::from(half_life));
        let mut last_root = None;
        for (place, (root_low, root_high)) in self.roots.iter().enumerate() {
            if place == self.digits {
                last_root = Some(root_low);
                break;
            }
            rest *= 2;
            if rest >= half_life {
                rest -= half_life;
                low = (low * root_low) >> self.digits;
                high = ((high * root_high) >> self.digits) + 1u32;
            }
        }
        // What is left of the exponent is below 2^-digits, and the roots go one place further.
        if let Some(root) = last_root.filter(|_| rest > 0) {
            low = (low * root * root) >> (2 * self.digits);
        }
        (low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: i64 = 7 * 86_400_000;

    #[test]
    fn whole_half_lives_are_powers_of_two() {
        assert_eq!(weight(0, WEEK), 1 << 32);
        assert_eq!(weight(WEEK, WEEK), 1 << 31);
        assert_eq!(weight(32 * WEEK, WEEK), 1);
        assert_eq!(weight(33 * WEEK, WEEK), 1);
        assert_eq!(weight(33 * WEEK + 1, WEEK), 0);
        assert_eq!(weight(34 * WEEK, WEEK), 0);
        assert_eq!(weight(i64::MAX, 1), 0);
    }

    #[test]
    fn known_values() {
        // 2^31.5 = 3037000499.97…, 2^32 · 2^(-1/3) = 3408917801.91…, 2^0.5 = 1.41…
        assert_eq!(weight(1, 2), 3_037_000_500);
        assert_eq!(weight(1, 3), 3_408_917_802);
        assert_eq!(weight(63, 2), 1);
        // 2^(-1/2) = 0.707… and 2^(-3/2) = 0.35…
        assert_eq!(weight(65, 2), 1);
        assert_eq!(weight(67, 2), 0);
    }

    /// With a small half-life h the rounding can be checked by whole powers:
    /// w - 1/2 <= 2^(32 - a/h) < w + 1/2 is (2w-1)^h <= 2^(33h - a) < (2w+1)^h.
    #[test]
    fn rounding_is_exact() {
        for half_life in 1..=40_u32 {
            for age in 0..=33 * half_life {
                let weight = weight(i64::from(age), i64::from(half_life));
                let power = BigUint::one() << (33 * half_life - age);
                let bound = |odd: u128| BigUint::from(odd).pow(half_life);
                assert!(weight >= 1, "{age}/{half_life}");
                assert!(bound(2 * weight - 1) <= power, "{age}/{half_life}");
                assert!(power < bound(2 * weight + 1), "{age}/{half_life}");
            }
        }
    }

    #[test]
    fn bounds_hold_the_value_and_are_tight_at_every_precision() {
        // 2^(-2/5) lies between low and high: low^5 <= 2^-2 <= high^5 in units of 2^-digits.
        for digits in [8, 16, 64, 256] {
            let (low, high) = Roots::with(digits).bounds(2, 5);
            let fourth = BigUint::one() << (5 * digits - 2);
            assert!(low.pow(5) <= fourth && fourth <= high.pow(5), "{digits}");
            assert!(&high - &low <= BigUint::from(4 * digits), "{digits}");
        }
    }
}
