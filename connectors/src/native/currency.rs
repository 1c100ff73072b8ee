//! Currencies: ISO 4217 codes and how many decimals each has.
//!
//! A code counts when the standard gives it a minor unit. So units of account with one (`CLF`) and
//! currencies out of use (`HRK`) are taken, since records may be old; `XXX` (none), `XTS` (testing), metals
//! and the like have no minor unit and are refused.

use std::sync::LazyLock;

use tributary_operators::record::Currency;

const LETTERS: usize = 26;
const NONE: u8 = u8::MAX;

/// The decimals of every three-letter code, in alphabetical order.
static DECIMALS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let letter = |place: usize| b'A' + (place % LETTERS) as u8;
    let codes = (0..LETTERS.pow(3)).map(|n| [letter(n / 676), letter(n / 26), letter(n)]);
    let decimals = codes.map(|code| {
        let code = std::str::from_utf8(&code).ok()?;
        u8::try_from(iso_currency::Currency::from_code(code)?.exponent()?).ok()
    });
    decimals.map(|decimals| decimals.unwrap_or(NONE)).collect()
});

/// The currency of a code in any case, with the number of its decimals.
pub fn of(code: &str) -> Option<(Currency, u8)> {
    let mut letters: [u8; 3] = code.as_bytes().try_into().ok()?;
    letters.make_ascii_uppercase();
    let mut place = 0;
    for letter in letters {
        if !letter.is_ascii_uppercase() {
            return None;
        }
        place = place * LETTERS + usize::from(letter - b'A');
    }
    match DECIMALS.get(place) {
        None | Some(&NONE) => None,
        Some(&decimals) => Some((Currency(letters), decimals)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_those_of_the_standard() {
        for (code, decimals) in [
            ("EUR", 2),
            ("eur", 2),
            ("JPY", 0),
            ("KWD", 3),
            ("CLF", 4),
            ("XAF", 0),
            ("HRK", 2),
        ] {
            assert_eq!(of(code).map(|found| found.1), Some(decimals), "{code}");
        }
        assert_eq!(of("usd").unwrap().0.as_str(), "USD");
    }

    #[test]
    fn what_has_no_minor_unit_is_no_currency() {
        for code in [
            "XXX", "XTS", "XAU", "XDR", "ABC", "EURO", "EU", "", "E\u{dc}", "€", "E R",
        ] {
            assert_eq!(of(code), None, "{code}");
        }
    }
}
