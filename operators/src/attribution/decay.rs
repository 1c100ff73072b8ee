//! The weight of a touch under time decay, without a float: `round(2^32 * 2^(-age / half_life))`, half up.
//!
//! The exponent is split into whole half-lives, a shift, and a fraction, a product of the constants
//! `2^(-1/2), 2^(-1/4), …`, one for each binary digit. The constants and the product carry 126 binary
//! digits, the fraction 80, so the result is known to far more digits than the 32 that are kept. Rounding
//! cannot be ambiguous: `2^(-p/q)` is irrational unless `q` divides `p`, so only whole half-lives can
//! fall on a half, and those are exact.

use std::sync::OnceLock;

use num_bigint::BigUint;

/// The weight of a touch at the end of the path.
pub const WHOLE: u64 = 1 << 32;

const PRECISION: u32 = 126;
const DIGITS: usize = 80;

/// `2^(-1/2^(i+1))` in units of `2^-126`.
fn constants() -> &'static [u128; DIGITS] {
    static CONSTANTS: OnceLock<[u128; DIGITS]> = OnceLock::new();
    CONSTANTS.get_or_init(|| {
        let mut value = BigUint::from(1u8) << (PRECISION - 1);
        [(); DIGITS].map(|()| {
            value = (&value << PRECISION).sqrt();
            let mut digits = value.iter_u64_digits();
            let (low, high) = (digits.next().unwrap_or(0), digits.next().unwrap_or(0));
            u128::from(high) << 64 | u128::from(low)
        })
    })
}

/// `a * b / 2^126`, cut.
fn multiply(a: u128, b: u128) -> u128 {
    let (a_high, a_low) = (a >> 64, a & u128::from(u64::MAX));
    let (b_high, b_low) = (b >> 64, b & u128::from(u64::MAX));
    let low = a_low * b_low;
    let middle = a_high * b_low + (low >> 64);
    let middle_low = (middle & u128::from(u64::MAX)) + a_low * b_high;
    let high = a_high * b_high + (middle >> 64) + (middle_low >> 64);
    let rest = (middle_low << 64) | (low & u128::from(u64::MAX));
    high << (128 - PRECISION) | rest >> PRECISION
}

/// The weight of a touch `age` milliseconds before the last one. Both are not negative, the half-life
/// is positive.
pub fn weight(age: i64, half_life: i64) -> u64 {
    let (age, half_life) = (age.max(0) as u128, half_life.max(1) as u128);
    let whole = age / half_life;
    let rest = age % half_life;
    // 2^32 * 2^-33 is one half, which rounds up; anything older is less.
    if whole > 33 || whole == 33 && rest > 0 {
        return 0;
    }
    let mut value = 1u128 << PRECISION;
    let mut fraction = rest;
    for constant in constants() {
        if fraction == 0 {
            break;
        }
        fraction *= 2;
        if fraction >= half_life {
            fraction -= half_life;
            value = multiply(value, *constant);
        }
    }
    let shift = PRECISION - 32 + whole as u32;
    ((value + (1 << (shift - 1))) >> shift) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_half_lives_are_exact() {
        let half_life = 604_800_000;
        for n in 0..=32 {
            assert_eq!(weight(n * half_life, half_life), WHOLE >> n);
        }
        assert_eq!(weight(33 * half_life, half_life), 1);
        assert_eq!(weight(33 * half_life + 1, half_life), 0);
        assert_eq!(weight(i64::MAX, 1), 0);
    }

    #[test]
    fn fractions_agree_with_integer_roots() {
        // 2^32 * 2^(-p/q) rounded half up is the largest w with (2w - 1)^q <= 2^(33q - p).
        for (p, q) in [
            (1u32, 2u32),
            (1, 3),
            (2, 3),
            (5, 7),
            (11, 13),
            (37, 12),
            (100, 11),
            (361, 11),
        ] {
            let bound = BigUint::from(1u8) << (33 * q - p);
            let root = bound.nth_root(q);
            let expected: u64 = ((root + 1u8) / 2u8).try_into().unwrap();
            assert_eq!(weight(p.into(), q.into()), expected, "2^(-{p}/{q})");
            let scale = 86_400_000;
            assert_eq!(weight(i64::from(p) * scale, i64::from(q) * scale), expected);
        }
    }

    #[test]
    fn older_never_weighs_more() {
        let mut last = WHOLE;
        for age in (0..300_000_000).step_by(12_345) {
            let now = weight(age, 9_999_991);
            assert!(now <= last);
            last = now;
        }
    }
}
