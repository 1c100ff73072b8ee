//! Currencies: the codes of ISO 4217 and the number of decimals of each.
//!
//! A code is accepted if the standard assigns it a minor unit. This includes units of account with
//! a minor unit (`CLF`), and excludes `XXX` (no currency), `XTS` (testing), precious metals and
//! similar codes. Withdrawn currencies are accepted as well, all of them: a record may be as old as
//! the longest retention period, which reaches further back than the current list.

use std::sync::LazyLock;

use crate::record::Currency;

/// The largest number of decimals of any currency.
pub const MOST_DECIMALS: u8 = 4;

/// The number of letters of the alphabet of codes.
const LETTERS: usize = 26;
/// The entry of [`DECIMALS`] for a code that is not accepted.
const NONE: u8 = u8::MAX;

/// Withdrawn currencies by their number of decimals.
///
/// These are all codes of list three of ISO 4217, as its maintenance agency, SIX, published it on
/// 2026-01-01, except those that are in use again, and except `XFO`, `XFU` and `XRE`, which never
/// had a minor unit. List three does not give decimals. They are two, unless `currency.properties`
/// of the Java platform (which keeps withdrawn currencies) has none, and three for the Maltese
/// pound of 1,000 mils.
const WITHDRAWN: [(u8, &str); 3] = [
    (
        2,
        "AFA ALK ANG AOK AON AOR ARA ARP ARY ATS AYM AZM BAD BEC BEL BGJ BGK BGL BGN BOP BRB BRC BRE BRN BRR BUK \
         CHC CSD CSJ CSK CUC CYP DDM DEM ECS ECV EEK ESA ESB FIM FRF GEK GHC GHP GNE GNS GQE GWE GWP HRD HRK IEP \
         ILP ILR ISJ LAJ LSM LTL LTT LUC LUL LVL LVR MLF MRO MTL MVQ MXP MZE MZM NIC NLG PEH PEI PES PLZ \
         RHD ROK ROL RUR SDD SDP SIT SKK SLL SRG STD SUR TJR TMM UAK UGS UGW USS UYN UYP VEB VEF VNC XEU YDD YUD YUM \
         YUN ZAL ZMK ZRN ZRZ ZWC ZWD ZWL ZWN ZWR",
    ),
    (0, "ADP BEF BYB BYR ESP GRD ITL LUF MGF PTE TPE TRL"),
    (3, "MTP"),
];

/// A code of list one of the same day, with two decimals, that the library does not contain yet.
const ARAB_ACCOUNTING_DINAR: &str = "XAD";

/// The number of decimals of each of the 26³ three-letter codes, in alphabetical order, or
/// [`NONE`].
static DECIMALS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let letter = |place: usize| b'A' + (place % LETTERS) as u8;
    let codes = (0..LETTERS.pow(3)).map(|n| [letter(n / 676), letter(n / 26), letter(n)]);
    let decimals = codes.map(|code| {
        let code = std::str::from_utf8(&code).ok()?;
        match iso_currency::Currency::from_code(code) {
            Some(current) => u8::try_from(current.exponent()?).ok(),
            None if code == ARAB_ACCOUNTING_DINAR => Some(2),
            None => withdrawn(code),
        }
    });
    decimals.map(|decimals| decimals.unwrap_or(NONE)).collect()
});

/// The number of decimals of a withdrawn currency.
fn withdrawn(code: &str) -> Option<u8> {
    let has = |codes: &str| codes.split_ascii_whitespace().any(|other| other == code);
    let found = WITHDRAWN.iter().find(|(_, codes)| has(codes))?;
    Some(found.0)
}

/// The currency of a code and its number of decimals.
///
/// The code may be in upper or lower case. Returns `None` if it is not three ASCII letters, or if
/// ISO 4217 does not assign it a minor unit.
///
/// ```
/// use tributary_operators::currency;
///
/// let (yen, decimals) = currency::of("jpy").unwrap();
/// assert_eq!((yen.as_str(), decimals), ("JPY", 0));
/// assert_eq!(currency::of("XAU"), None); // gold has no minor unit
/// ```
pub fn of(code: &str) -> Option<(Currency, u8)> {
    let mut letters: [u8; 3] = code.as_bytes().try_into().ok()?;
    letters.make_ascii_uppercase();
    let currency = Currency(letters);
    decimals(currency).map(|decimals| (currency, decimals))
}

/// The number of decimals of a currency, or `None` if it has no minor unit. Takes constant time.
pub fn decimals(currency: Currency) -> Option<u8> {
    let mut place = 0;
    for letter in currency.0 {
        if !letter.is_ascii_uppercase() {
            return None;
        }
        place = place * LETTERS + usize::from(letter - b'A');
    }
    let decimals = DECIMALS.get(place).copied();
    decimals.filter(|decimals| *decimals != NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The decimals of current currencies.
    #[test]
    fn decimals_are_those_of_the_standard() {
        for (code, decimals) in [
            ("EUR", 2),
            ("eur", 2),
            ("JPY", 0),
            ("KWD", 3),
            ("CLF", 4),
            ("XAF", 0),
            ("XAD", 2),
        ] {
            assert_eq!(of(code).map(|found| found.1), Some(decimals), "{code}");
        }
        assert_eq!(of("usd").unwrap().0.as_str(), "USD");
        let most = DECIMALS.iter().filter(|decimals| **decimals != NONE).max();
        assert_eq!(most, Some(&MOST_DECIMALS));
    }

    /// The decimals of withdrawn currencies.
    #[test]
    fn withdrawn_currencies_count_for_as_long_as_records_may_be_held() {
        // Each with the year in which it was withdrawn, and its decimals.
        for (code, year, decimals) in [
            ("BGN", 2026, 2),
            ("ANG", 2025, 2),
            ("ZWL", 2024, 2),
            ("SLL", 2023, 2),
            ("HRK", 2023, 2),
            ("CUC", 2021, 2),
            ("VEF", 2018, 2),
            ("MRO", 2017, 2),
            ("STD", 2017, 2),
            ("BYR", 2016, 0),
            ("LTL", 2015, 2),
            ("USS", 2014, 2),
            ("LVL", 2014, 2),
            ("ZMK", 2013, 2),
            ("EEK", 2011, 2),
            ("TRL", 2005, 0),
            ("DEM", 2002, 2),
            ("ITL", 2002, 0),
            ("MXP", 1993, 2),
            ("MTP", 1983, 3),
        ] {
            assert_eq!(
                of(code).map(|found| found.1),
                Some(decimals),
                "{code}, {year}"
            );
        }
    }

    /// The numbers of codes of list one and list three.
    #[test]
    fn every_currency_of_the_lists_is_taken_once() {
        let listed = |(_, codes): &(u8, &'static str)| codes.split_ascii_whitespace();
        let listed: Vec<&str> = WITHDRAWN.iter().flat_map(listed).collect();
        let distinct: std::collections::BTreeSet<&str> = listed.iter().copied().collect();
        // List three has 137 codes. Eight are in use, for another currency or in another country; three had no minor unit.
        assert_eq!((listed.len(), distinct.len()), (126, 126));
        for code in ["EUR", "IDR", "MWK", "PEN", "RON", "SDG", "SZL", "TRY"] {
            assert!(!distinct.contains(code) && of(code).is_some(), "{code}");
        }
        // List one has 178, thirteen of them without a minor unit.
        let taken = DECIMALS.iter().filter(|decimals| **decimals != NONE);
        assert_eq!(taken.count(), 165 + listed.len());
    }

    /// Codes without a minor unit, and texts that are not codes.
    #[test]
    fn what_has_no_minor_unit_is_no_currency() {
        for code in [
            "XXX", "XTS", "XAU", "XDR", "ABC", "EURO", "EU", "", "E\u{dc}", "€", "E R", "XFO",
        ] {
            assert_eq!(of(code), None, "{code}");
        }
    }
}
