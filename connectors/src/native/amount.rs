//! Amounts: from written decimal digits to integer minor units, never through a float.

/// The most minor units that an amount may have, either way.
pub const MAX_MINOR: i64 = 1_000_000_000_000_000;

/// Why digits are no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// They are no decimal number.
    Invalid,
    /// More decimals than the currency has, trailing zeros aside.
    TooManyDecimals,
    /// More than [`MAX_MINOR`].
    OutOfRange,
}

/// The minor units of `[+-]digits[.digits]`, with `[eE][+-]digits` where `exponent` allows it, in a
/// currency with so many `decimals`. Costs no more than reading the digits, whatever the exponent.
pub fn minor(text: &str, exponent: bool, decimals: u8) -> Result<i64, AmountError> {
    let bytes = text.as_bytes();
    let (negative, bytes) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (whole, rest) = digits(bytes)?;
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => digits(rest)?,
        rest => (&[][..], rest),
    };
    let power = match rest {
        [] => 0,
        [b'e' | b'E', rest @ ..] if exponent => self::exponent(rest)?,
        _ => return Err(AmountError::Invalid),
    };
    // The value is the significant digits times ten to the power `scale`, in minor units.
    let significant = Significant::of(whole, fraction);
    let Some((digits, last_place)) = significant else {
        return Ok(0);
    };
    let scale = power
        .saturating_add(last_place)
        .saturating_add(i64::from(decimals));
    if scale < 0 {
        return Err(AmountError::TooManyDecimals);
    }
    if scale.saturating_add(digits.len() as i64) > 16 {
        return Err(AmountError::OutOfRange);
    }
    let zeros = std::iter::repeat_n(0, scale as usize);
    let value = digits
        .chain(zeros)
        .fold(0_i64, |value, digit| value * 10 + i64::from(digit));
    match value > MAX_MINOR {
        true => Err(AmountError::OutOfRange),
        false => Ok(if negative { -value } else { value }),
    }
}

/// The digits from the first that is not zero to the last.
struct Significant<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Significant<'a> {
    /// With the power of ten of the last digit; none where all are zero.
    fn of(whole: &'a [u8], fraction: &'a [u8]) -> Option<(Significant<'a>, i64)> {
        let not_zero = |digit: &u8| *digit != b'0';
        let leading = |part: &[u8]| part.iter().position(not_zero).unwrap_or(part.len());
        let trailing = |part: &[u8]| part.iter().rposition(not_zero).map_or(0, |last| last + 1);
        let mut whole = whole.get(leading(whole)..).unwrap_or_default();
        let mut fraction = fraction.get(..trailing(fraction)).unwrap_or_default();
        let mut last_place = -(fraction.len() as i64);
        if whole.is_empty() {
            fraction = fraction.get(leading(fraction)..).unwrap_or_default();
        }
        if fraction.is_empty() {
            let kept = trailing(whole);
            last_place = (whole.len() - kept) as i64;
            whole = whole.get(..kept).unwrap_or_default();
        }
        let found = Significant { whole, fraction };
        (found.len() > 0).then_some((found, last_place))
    }

    fn len(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    fn chain(self, zeros: impl Iterator<Item = u8> + 'a) -> impl Iterator<Item = u8> + 'a {
        let digits = self.whole.iter().chain(self.fraction);
        digits.map(|digit| digit - b'0').chain(zeros)
    }
}

/// At least one digit, and what follows.
fn digits(bytes: &[u8]) -> Result<(&[u8], &[u8]), AmountError> {
    let length = bytes.iter().take_while(|c| c.is_ascii_digit()).count();
    match length {
        0 => Err(AmountError::Invalid),
        _ => Ok(bytes.split_at(length)),
    }
}

fn exponent(bytes: &[u8]) -> Result<i64, AmountError> {
    let (sign, bytes) = match bytes {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    let (digits, rest) = digits(bytes)?;
    if !rest.is_empty() {
        return Err(AmountError::Invalid);
    }
    let value = digits.iter().fold(0_i64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'))
    });
    Ok(sign * value.min(i64::MAX / 4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_become_minor_units() {
        for (text, decimals, expected) in [
            ("12.5", 2, 1250),
            ("12.50", 2, 1250),
            ("12.5000", 2, 1250),
            ("-0.01", 2, -1),
            ("+7", 2, 700),
            ("007.10", 2, 710),
            ("1.5e2", 2, 15_000),
            ("1e-2", 2, 1),
            ("1200e-4", 2, 12),
            ("0.001e1", 2, 1),
            ("5", 0, 5),
            ("5.0", 0, 5),
            ("1.234", 3, 1234),
            ("0.0001", 4, 1),
            ("-0", 2, 0),
            ("-0.00", 2, 0),
            ("0e999999999999999999999", 2, 0),
            ("0.000000e-99999999999999999999", 0, 0),
            ("10000000000000", 2, MAX_MINOR),
            ("-10000000000000.00", 2, -MAX_MINOR),
            ("1E13", 2, MAX_MINOR),
            ("100", 0, 100),
        ] {
            assert_eq!(minor(text, true, decimals), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        use AmountError::*;
        for (text, error) in [
            ("", Invalid),
            ("-", Invalid),
            (".5", Invalid),
            ("5.", Invalid),
            ("1,50", Invalid),
            ("1 000", Invalid),
            ("0x10", Invalid),
            ("NaN", Invalid),
            ("1e", Invalid),
            ("--1", Invalid),
            ("1.2.3", Invalid),
            ("\u{661}", Invalid),
            ("1e5x", Invalid),
            ("0.001", TooManyDecimals),
            ("1e-3", TooManyDecimals),
            ("12.345", TooManyDecimals),
            ("1e-999999999999999999999", TooManyDecimals),
            ("1e999999999999999999", OutOfRange),
            ("10000000000000.01", OutOfRange),
            ("99999999999999999999", OutOfRange),
        ] {
            assert_eq!(minor(text, true, 2), Err(error), "{text}");
        }
        assert_eq!(minor("1e2", false, 2), Err(Invalid));
        assert_eq!(minor("1.1", true, 0), Err(TooManyDecimals));
    }

    #[test]
    fn long_digits_cost_no_more_than_reading_them() {
        let zeros = "0".repeat(1_000_000);
        assert_eq!(minor(&format!("{zeros}1.{zeros}"), true, 2), Ok(100));
        assert_eq!(minor(&format!("1{zeros}e-1000000"), true, 2), Ok(100));
        assert_eq!(minor(&format!("0.{zeros}1e1000001"), true, 2), Ok(100));
    }

    proptest! {
        #[test]
        fn every_amount_is_read_back(minor_units in -MAX_MINOR..=MAX_MINOR, zeros in 0_usize..4) {
            let sign = if minor_units < 0 { "-" } else { "" };
            let whole = minor_units.unsigned_abs() / 100;
            let cents = minor_units.unsigned_abs() % 100;
            let text = format!("{sign}{whole}.{cents:02}{}", "0".repeat(zeros));
            prop_assert_eq!(minor(&text, false, 2), Ok(minor_units));
            let shifted = format!("{sign}{}e-2", minor_units.unsigned_abs());
            prop_assert_eq!(minor(&shifted, true, 2), Ok(minor_units));
        }
    }
}
