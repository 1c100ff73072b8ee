//! Time decay: the weight `round(2^32 · 2^(-age / half_life))` of a touchpoint, half up, in
//! integers.
//!
//! Floating-point powers differ between machines, and a retraction must compute the very weight
//! that was added. So the exponent is divided into whole half-lives, which are a shift, and a
//! fraction below one. The power of the fraction is the product of the constants `2^(-1/2),
//! 2^(-1/4), …`, one for each binary digit of the fraction that is set. The constants and the
//! product have 126 binary digits and the fraction has 80, far more than the 32 digits of the
//! result.
//!
//! Rounding is never ambiguous: `2^(-p/q)` is irrational unless `q` divides `p`, so only whole
//! half-lives can be exactly between two integers, and these are computed exactly.
//!
//! A path has up to hundreds of touchpoints, and each is weighted whenever the path changes. So
//! `quick` first computes a weight with 63 digits, from one table for every eight digits of the
//! fraction. Only a weight that is too close to a half to be rounded with 63 digits is computed
//! with all digits, by `slow`.

use std::sync::OnceLock;

use num_bigint::BigUint;

/// The weight of the last touchpoint of a path, the largest weight.
pub const WHOLE: u64 = 1 << 32;

/// The binary digits after the point of [`constants`] and of their products.
const PRECISION: u32 = 126;
/// The binary digits of the fraction of a half-life.
const DIGITS: usize = 80;

/// The constants `2^(-1/2^(i+1))` for `i` from 0, in units of `2^-126`, rounded down.
///
/// Each is the integer square root of the one before, computed once per process.
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

/// The product `a · b / 2^126`, rounded down. Both factors are at most `2^126`.
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

/// The binary digits after the point of a weight that [`quick`] computes.
const QUICK: u32 = 63;

/// A bound on the error of [`quick`], in units of its last digit: nine products and as many
/// constants are each rounded down by less than two units.
const ERROR: u128 = 64;

/// The powers `2^(-n/256^(i+1))` for the table `i` and each byte `n`, in units of `2^-63`, rounded
/// down. Computed once per process from [`constants`].
fn tables() -> &'static [[u64; 256]; 8] {
    static TABLES: OnceLock<Box<[[u64; 256]; 8]>> = OnceLock::new();
    TABLES.get_or_init(|| {
        let mut tables = Box::new([[0; 256]; 8]);
        for (table, constants) in tables.iter_mut().zip(constants().chunks(8)) {
            for (number, entry) in (0_u32..).zip(table.iter_mut()) {
                let digits = (0..8).zip(constants);
                let set = digits.filter(|(digit, _)| number << digit & 128 != 0);
                let product = set.fold(1 << PRECISION, |all, (_, one)| multiply(all, *one));
                *entry = (product >> (PRECISION - QUICK)) as u64;
            }
        }
        tables
    })
}

/// The weight after `whole` half-lives and `rest / half_life` of another, or `None` if the
/// approximation is within [`ERROR`] of a half, so that its rounding is unknown.
///
/// `whole` is at most 33, and `rest` is less than `half_life`.
fn quick(whole: u32, rest: u64, half_life: u64) -> Option<u64> {
    let fraction = ((u128::from(rest) << 64) / u128::from(half_life)) as u64;
    let product = |all: u64, one: u64| ((u128::from(all) * u128::from(one)) >> QUICK) as u64;
    let entries = tables().iter().zip(fraction.to_be_bytes());
    let entries = entries.filter_map(|(table, byte)| table.get(usize::from(byte)));
    let value = u128::from(entries.fold(1 << QUICK, |all, one| product(all, *one)));
    let shift = QUICK - 32 + whole;
    let (half, below) = (1_u128 << (shift - 1), value & ((1 << shift) - 1));
    (below.abs_diff(half) > ERROR).then(|| ((value + half) >> shift) as u64)
}

/// The weight of a touchpoint that is `age` milliseconds older than the last one of its path, for a
/// half-life in milliseconds.
///
/// A negative `age` counts as 0, and a half-life below 1 as 1. The weight falls from [`WHOLE`] to 1
/// at 33 half-lives, and is 0 beyond.
pub fn weight(age: i64, half_life: i64) -> u64 {
    let (age, half_life) = (age.max(0).unsigned_abs(), half_life.max(1).unsigned_abs());
    let whole = age / half_life;
    let rest = age % half_life;
    // 2^32 * 2^-33 is one half, which rounds up; anything older is less.
    if whole > 33 || whole == 33 && rest > 0 {
        return 0;
    }
    quick(whole as u32, rest, half_life).unwrap_or_else(|| slow(whole as u32, rest, half_life))
}

/// The weight after `whole` half-lives and `rest / half_life` of another, from all digits. The
/// arguments are those of [`quick`].
fn slow(whole: u32, rest: u64, half_life: u64) -> u64 {
    let (rest, half_life) = (u128::from(rest), u128::from(half_life));
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
    let shift = PRECISION - 32 + whole;
    ((value + (1 << (shift - 1))) >> shift) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Powers of two, and the half at 33 half-lives.
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

    /// Weights against roots computed with big integers.
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

    /// The fast computation agrees with the full one, and rarely gives up.
    #[test]
    fn what_is_found_quickly_is_what_all_digits_say() {
        let mut state = 7_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 1
        };
        let mut unknown = 0;
        for half_life in [1, 2, 3, 1_000, 12_345_677, 604_800_000, i64::MAX as u64] {
            for at in 0..20_000 {
                let (whole, rest) = (at % 34, random() % half_life);
                let rest = if whole == 33 { 0 } else { rest };
                match quick(whole, rest, half_life) {
                    Some(found) => assert_eq!(found, slow(whole, rest, half_life)),
                    None => unknown += 1,
                }
            }
        }
        // Whole half-lives of 33 are a half, and few others come close.
        assert!(unknown <= 7 * 20_000 / 34 + 10, "{unknown}");
    }

    /// The weight decreases monotonically with age.
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
