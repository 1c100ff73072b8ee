//! Amounts: from written decimal digits to integer minor units, never through a
//! float.
//!
//! Minor units are those of ISO 4217: cents of a euro, whole yen, mils of a
//! dinar. Reading takes time proportional to the length of the text, whatever
//! its exponent, and `1e9999999999` is rejected as cheaply as it is written.
//! Trailing zeros carry no information, so `12.500` is a valid amount in cents.
//!
//! A decimal library (`rust_decimal`) takes twice as long
//! (`examples/readers.rs`), accepts `.5`, `5.` and `1_000`, and reads neither
//! exponents nor more than 28 decimals, even of zeros.

use std::borrow::Cow;

use tributary_config::model::DecimalMark;

/// The largest absolute amount, minor units: 10^15, far above any sale and far
/// below overflow in sums.
pub const MAX_MINOR: i64 = 1_000_000_000_000_000;

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmountError {
    /// It is not a decimal number.
    Invalid,
    /// It has more decimals than the currency, trailing zeros aside.
    TooManyDecimals,
    /// Its absolute value exceeds [`MAX_MINOR`].
    OutOfRange,
}

/// The minor units of `[+-]digits[.digits]`, followed by `[eE][+-]digits` if
/// `exponent` permits it, in a currency with `decimals` decimals.
///
/// ```
/// use tributary_connectors::native::amount::{AmountError, minor};
///
/// assert_eq!(minor("-12.50", false, 2), Ok(-1250));
/// assert_eq!(minor("1.25e2", true, 2), Ok(12_500));
/// assert_eq!(minor("0.125", false, 2), Err(AmountError::TooManyDecimals));
/// assert_eq!(minor("12,50", false, 2), Err(AmountError::Invalid));
/// ```
///
/// # Errors
/// [`AmountError`]; a value is never rounded.
pub fn minor(text: &str, exponent: bool, decimals: u8) -> Result<i64, AmountError> {
    let Some(number) = Number::read(text, exponent)? else {
        return Ok(0);
    };
    number.units(decimals)
}

/// The digits of such a text and the number of decimals that it needs, at most
/// `most`; for a refund, whose currency becomes known with its sale.
///
/// # Errors
/// [`AmountError`]; `TooManyDecimals` beyond `most`.
/// ```
/// use tributary_connectors::native::amount::decimal;
///
/// assert_eq!(decimal("12.50", false, 4), Ok((125, 1)), "trailing zeros are no decimals");
/// ```
pub fn decimal(text: &str, exponent: bool, most: u8) -> Result<(i64, u8), AmountError> {
    let Some(number) = Number::read(text, exponent)? else {
        return Ok((0, 0));
    };
    let decimals = u8::try_from(number.power.saturating_neg().max(0));
    let decimals = decimals.map_err(|_| AmountError::TooManyDecimals)?;
    match decimals > most {
        true => Err(AmountError::TooManyDecimals),
        false => Ok((number.units(decimals)?, decimals)),
    }
}

/// Whether a text is a negative number; false for a negative zero and for texts
/// that are no number.
/// ```
/// use tributary_connectors::native::amount::is_negative;
///
/// assert!(is_negative("-0.01"));
/// assert!(!is_negative("-0.00") && !is_negative("1e-5"));
/// ```
pub fn is_negative(text: &str) -> bool {
    let digits = text.split(['e', 'E']).next().unwrap_or_default();
    digits.starts_with('-') && digits.bytes().any(|c| matches!(c, b'1'..=b'9'))
}

/// A decimal text with a point as its separator. `None` if the text has a comma
/// that `mark` does not permit; a text that is no number is otherwise returned
/// as it is.
/// ```
/// use tributary_config::model::DecimalMark;
/// use tributary_connectors::native::amount::with_point;
///
/// assert_eq!(with_point("1.234,50", DecimalMark::Comma).as_deref(), Some("1234.50"));
/// assert_eq!(with_point("12,50", DecimalMark::Auto).as_deref(), Some("12.50"));
/// assert_eq!(with_point("1,250", DecimalMark::Auto), None, "it may be a thousand");
/// ```
pub fn with_point(text: &str, mark: DecimalMark) -> Option<Cow<'_, str>> {
    match mark {
        DecimalMark::Point => Some(Cow::Borrowed(text)),
        DecimalMark::Comma => with_comma(text).map(Cow::Owned),
        DecimalMark::Auto => {
            let Some((whole, fraction)) = text.split_once(',') else {
                return Some(Cow::Borrowed(text));
            };
            // Three digits behind a comma may as well be thousands.
            let digits = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
            let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
            let is_decimal = digits(unsigned) && digits(fraction) && fraction.len() != 3;
            is_decimal.then(|| Cow::Owned(format!("{whole}.{fraction}")))
        }
    }
}

/// The digits of a count, whose thousands may be grouped, and which may have
/// decimals that are zero: with `mark`, what it permits; automatically, whatever
/// can only be a whole number. `None` for anything else.
/// ```
/// use tributary_config::model::DecimalMark;
/// use tributary_connectors::native::amount::count;
///
/// assert_eq!(count("12.345", DecimalMark::Comma).as_deref(), Some("12345"));
/// assert_eq!(count("12,345", DecimalMark::Auto).as_deref(), Some("12345"));
/// assert_eq!(count("1.0", DecimalMark::Auto).as_deref(), Some("1"));
/// assert_eq!(count("1.5", DecimalMark::Auto), None);
/// ```
pub fn count(text: &str, mark: DecimalMark) -> Option<String> {
    let marks: &[(char, char)] = match mark {
        DecimalMark::Point => &[('.', ',')],
        DecimalMark::Comma => &[(',', '.')],
        DecimalMark::Auto => &[('.', ','), (',', '.')],
    };
    marks.iter().find_map(|(decimal, group)| {
        let (whole, fraction) = match text.split_once(*decimal) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let is_zero = |fraction: &str| {
            // Three digits may as well be thousands.
            let is_clear = mark != DecimalMark::Auto || fraction.len() != 3;
            is_clear && !fraction.is_empty() && fraction.bytes().all(|c| c == b'0')
        };
        let digits = ungrouped(whole, *group).filter(|_| fraction.is_none_or(is_zero))?;
        let is_number = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
        is_number.then_some(digits)
    })
}

/// A whole part whose digits may be grouped by threes with `mark`, white space or
/// apostrophes, without those; `None` if they are grouped otherwise.
fn ungrouped(unsigned: &str, mark: char) -> Option<String> {
    let is_group =
        |c: char| c == mark || matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\'' | '\u{2019}');
    let Some(mark) = unsigned.chars().find(|c| is_group(*c)) else {
        return Some(unsigned.to_owned());
    };
    let mut groups = unsigned.split(mark);
    let first = groups.next().unwrap_or_default();
    let fits = (1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3);
    fits.then(|| unsigned.split(mark).collect())
}

/// A text with a decimal comma, whose whole part may be grouped by threes with
/// one kind of separator.
fn with_comma(text: &str) -> Option<String> {
    let (whole, fraction) = match text.split_once(',') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let digits = ungrouped(unsigned, '.')?;
    let sign = if whole.starts_with('-') { "-" } else { "" };
    let point = fraction.map_or(String::new(), |fraction| format!(".{fraction}"));
    let text = format!("{sign}{digits}{point}");
    // A point that is still there was no mark of thousands.
    (!digits.contains('.') && !fraction.is_some_and(|fraction| fraction.contains('.')))
        .then_some(text)
}

/// A nonzero decimal number, `±digits * 10^power`.
struct Number<'a> {
    /// The significant digits.
    digits: Significant<'a>,
    /// The power of ten of the last significant digit.
    power: i64,
    /// Whether a minus sign precedes the digits.
    negative: bool,
}

impl<'a> Number<'a> {
    /// Parses a text; `None` for zero.
    fn read(text: &'a str, exponent: bool) -> Result<Option<Number<'a>>, AmountError> {
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
        let significant = Significant::of(whole, fraction);
        Ok(significant.map(|(digits, last_place)| Number {
            digits,
            power: power.saturating_add(last_place),
            negative,
        }))
    }

    /// The value in units of `10^-decimals`.
    fn units(self, decimals: u8) -> Result<i64, AmountError> {
        let scale = self.power.saturating_add(i64::from(decimals));
        if scale < 0 {
            return Err(AmountError::TooManyDecimals);
        }
        if scale.saturating_add(self.digits.len() as i64) > 16 {
            return Err(AmountError::OutOfRange);
        }
        let zeros = std::iter::repeat_n(0, scale as usize);
        let digits = self.digits.chain(zeros);
        let value = digits.fold(0_i64, |value, digit| value * 10 + i64::from(digit));
        match value > MAX_MINOR {
            true => Err(AmountError::OutOfRange),
            false => Ok(if self.negative { -value } else { value }),
        }
    }
}

/// The digits from the first nonzero one to the last nonzero one, before and
/// after the point.
struct Significant<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Significant<'a> {
    /// The significant digits with the power of ten of the last one; `None` if
    /// all are zero.
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

    /// The number of significant digits.
    fn len(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    /// The values of the digits, followed by zeros.
    fn chain(self, zeros: impl Iterator<Item = u8> + 'a) -> impl Iterator<Item = u8> + 'a {
        let digits = self.whole.iter().chain(self.fraction);
        digits.map(|digit| digit - b'0').chain(zeros)
    }
}

/// Splits off the leading digits, of which there must be one.
fn digits(bytes: &[u8]) -> Result<(&[u8], &[u8]), AmountError> {
    let length = bytes.iter().take_while(|c| c.is_ascii_digit()).count();
    match length {
        0 => Err(AmountError::Invalid),
        _ => Ok(bytes.split_at(length)),
    }
}

/// Parses a signed exponent, which must end the text. It saturates far outside
/// of the valid range.
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
    fn without_a_currency_the_digits_are_kept_with_the_decimals_that_they_need() {
        for (text, expected) in [
            ("4.00", (4, 0)),
            ("4.50", (45, 1)),
            ("-0.001", (-1, 3)),
            ("1.5e2", (150, 0)),
            ("15e-1", (15, 1)),
            ("0.000", (0, 0)),
            ("1000000000000000", (MAX_MINOR, 0)),
        ] {
            assert_eq!(decimal(text, true, 4), Ok(expected), "{text}");
        }
        use AmountError::*;
        for (text, error) in [
            ("0.00001", TooManyDecimals),
            ("1e-400", TooManyDecimals),
            ("10000000000000000", OutOfRange),
            ("1000000000000000.1", OutOfRange),
            ("4,5", Invalid),
        ] {
            assert_eq!(decimal(text, true, 4), Err(error), "{text}");
        }
    }

    #[test]
    fn minus_zero_is_not_negative() {
        for text in ["-1", "-0.01", "-1e-9", "-10"] {
            assert!(is_negative(text), "{text}");
        }
        for text in ["1", "-0", "-0.00", "-0e5", "", "-", "+1"] {
            assert!(!is_negative(text), "{text}");
        }
    }

    #[test]
    fn a_comma_is_a_decimal_mark_where_it_can_be_nothing_else() {
        let auto = |text| with_point(text, DecimalMark::Auto).map(Cow::into_owned);
        for (text, expected) in [
            ("12,50", Some("12.50")),
            ("-12,5", Some("-12.5")),
            ("12,5000", Some("12.5000")),
            ("12.50", Some("12.50")),
            ("1,250", None),
            ("1,250.00", None),
            ("1.250,00", None),
            ("1,2,3", None),
            (",50", None),
            ("12,", None),
        ] {
            assert_eq!(auto(text).as_deref(), expected, "{text}");
        }
        let comma = |text| with_point(text, DecimalMark::Comma).map(Cow::into_owned);
        for (text, expected) in [
            ("12,50", Some("12.50")),
            ("1,250", Some("1.250")),
            ("12", Some("12")),
            ("1.250,00", Some("1250.00")),
            ("-1.234.567,8", Some("-1234567.8")),
            ("1 250,00", Some("1250.00")),
            ("1\u{a0}250,00", Some("1250.00")),
            ("1\u{202f}250", Some("1250")),
            ("1'250,00", Some("1250.00")),
            ("1.250", Some("1250")),
            ("12.50", None),
            ("1.25,0", None),
            ("1.250 000", None),
            ("1234.567,00", None),
            ("1,250.00", None),
        ] {
            assert_eq!(comma(text).as_deref(), expected, "{text}");
        }
        let point = with_point("12,50", DecimalMark::Point).unwrap();
        assert_eq!(minor(&point, false, 2), Err(AmountError::Invalid));
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
