//! Amounts of vendors that compute in floating point.
//!
//! Their texts have more digits than the currency (`1115.3799999999999`). They
//! are rounded half away from zero to the decimals of the currency, on the
//! written digits: the value itself never passes through a float.

use std::borrow::Cow;

use tributary_operators::currency;

use super::json::{Json, quote};

/// The most digits that are rounded; what is longer is left as it is and is no
/// amount.
const MOST_DIGITS: usize = 400;

/// An amount as a JSON value: the digits rounded to `decimals`, as a string.
/// What is no number, and any amount of an unknown currency, stays as it is, so
/// that it is rejected by the native rule.
pub fn rounded<'a>(amount: Json<'a>, decimals: Option<u8>) -> Cow<'a, str> {
    let digits = amount.text_or_number();
    let rounded = digits
        .zip(decimals)
        .and_then(|(digits, decimals)| round(digits.trim(), decimals));
    match rounded {
        Some(rounded) => Cow::Owned(quote(&rounded)),
        None => Cow::Borrowed(amount.raw()),
    }
}

/// The decimals of a currency by its code, or of the brand's if the code is
/// absent; `None` if the code is unknown.
pub fn decimals(code: Option<&str>, brand: Option<u8>) -> Option<u8> {
    match code {
        None => brand,
        Some(code) => currency::of(code).map(|(_, decimals)| decimals),
    }
}

/// The digits of `[+-]digits[.digits][e[+-]digits]`, rounded half away from
/// zero to a number of decimals; `None` for any other text.
/// ```
/// use tributary_connectors::formats::money::round;
///
/// assert_eq!(round("1115.3799999999999", 2).as_deref(), Some("1115.38"));
/// assert_eq!(round("-0.005", 2).as_deref(), Some("-0.01"));
/// assert_eq!(round("1.25e2", 2).as_deref(), Some("125.00"));
/// assert_eq!(round("12,50", 2), None);
/// ```
pub fn round(text: &str, decimals: u8) -> Option<String> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |part: &str| part.bytes().all(|c| c.is_ascii_digit());
    let is_number = !whole.is_empty()
        && are_digits(whole)
        && are_digits(fraction)
        && !(mantissa.contains('.') && fraction.is_empty());
    let size = whole.len() + fraction.len() + usize::try_from(exponent.unsigned_abs()).ok()?;
    if !is_number || size > MOST_DIGITS {
        return None;
    }
    // All digits, and the place of the point among them, which may lie outside.
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let mut point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
    while point < 1 {
        digits.insert(0, b'0');
        point += 1;
    }
    let point = usize::try_from(point).ok()?;
    let kept = point + usize::from(decimals);
    while digits.len() <= kept {
        digits.push(b'0');
    }
    let up = digits.get(kept).is_some_and(|next| *next >= b'5');
    digits.truncate(kept);
    if up {
        let mut carry = true;
        for digit in digits.iter_mut().rev() {
            match *digit {
                b'9' => *digit = b'0',
                _ => {
                    *digit += 1;
                    carry = false;
                    break;
                }
            }
        }
        if carry {
            digits.insert(0, b'1');
        }
    }
    let digits = String::from_utf8(digits).ok()?;
    let (whole, fraction) = digits.split_at_checked(digits.len() - usize::from(decimals))?;
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let is_zero = whole == "0" && fraction.bytes().all(|c| c == b'0');
    let sign = if is_zero { "" } else { sign };
    Some(match fraction.is_empty() {
        true => format!("{sign}{whole}"),
        false => format!("{sign}{whole}.{fraction}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_rounded_half_away_from_zero() {
        for (text, decimals, expected) in [
            ("5.31", 2, Some("5.31")),
            ("50.0", 2, Some("50.00")),
            ("20", 2, Some("20.00")),
            ("2.675", 2, Some("2.68")),
            ("-2.675", 2, Some("-2.68")),
            ("2.6749999", 2, Some("2.67")),
            ("9.995", 2, Some("10.00")),
            ("999.5", 0, Some("1000")),
            ("0.4", 0, Some("0")),
            ("-0.004", 2, Some("0.00")),
            ("1e-7", 2, Some("0.00")),
            ("5e-3", 2, Some("0.01")),
            ("1.5E+3", 3, Some("1500.000")),
            ("007.1", 2, Some("7.10")),
            ("", 2, None),
            (".5", 2, None),
            ("5.", 2, None),
            ("1 000", 2, None),
            ("1e999999999", 2, None),
            ("NaN", 2, None),
        ] {
            assert_eq!(round(text, decimals).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_stays_for_the_native_rule() {
        assert_eq!(rounded(Json::of("\"9.90\""), Some(2)), "\"9.90\"");
        assert_eq!(rounded(Json::of("1.005"), None), "1.005");
        assert_eq!(rounded(Json::of("{}"), Some(2)), "{}");
    }
}
