//! Time zones, currencies and the regions of phone numbers.
//!
//! Each is checked against the data that the program itself uses: jiff's
//! time-zone database, the ISO 4217 table and libphonenumber's metadata. A
//! value that passes is therefore one that works.

use jiff::tz::TimeZone;
use rlibphonenumber::PHONE_NUMBER_UTIL;
use serde_json::{Value as Json, json};

use super::scalar::{CheckedText, Invalid, Scalar, invalid};
use crate::context::quote;
use crate::suggest::did_you_mean;

/// A time zone by its name in the IANA time-zone database.
pub(crate) struct Zone;

/// Accepts names in any case. Rejects POSIX strings and fixed offsets, because
/// neither follows changes of the law.
impl Scalar for Zone {
    type Out = TimeZone;

    fn kind(&self) -> String {
        "an IANA time zone".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "minLength": 1})
    }

    /// Looks the zone up.
    ///
    /// # Errors
    /// A name that the database lacks; the remedy suggests the nearest one.
    fn parse(&self, text: &str) -> Result<TimeZone, Invalid> {
        match TimeZone::get(text) {
            Ok(zone) if zone.iana_name().is_some() => Ok(zone),
            _ => {
                let mut names: Vec<String> = jiff::tz::db()
                    .available()
                    .map(|name| name.to_string())
                    .collect();
                names.sort_unstable();
                let fix = match did_you_mean(text, names.iter().map(String::as_str)) {
                    none if none.is_empty() => {
                        r#"use a name such as "Europe/Paris" or "UTC""#.to_owned()
                    }
                    fix => fix,
                };
                Err(invalid(
                    format!("{} is not an IANA time zone", quote(text)),
                    fix,
                ))
            }
        }
    }

    fn write(&self, out: &TimeZone) -> String {
        out.iana_name().unwrap_or("UTC").to_owned()
    }
}

/// A currency with a minor unit, by its ISO 4217 code.
pub(crate) struct Currency;

/// Accepts three capital letters of ISO 4217; the number of decimals of amounts
/// follows from them.
impl CheckedText for Currency {
    fn kind(&self) -> String {
        "an ISO 4217 code".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[A-Z]{3}$"})
    }

    /// Checks that the currency has a minor unit.
    ///
    /// # Errors
    /// Unknown codes, and codes without a minor unit such as `XAU` (gold) and
    /// `XTS` (tests).
    fn check(&self, text: &str) -> Result<String, Invalid> {
        if has_minor_units(text) {
            return Ok(text.to_owned());
        }
        let upper = text.trim().to_uppercase();
        let fix = match text {
            _ if has_minor_units(&upper) => format!("did you mean {upper:?}?"),
            "€" => r#"did you mean "EUR"?"#.to_owned(),
            _ => r#"use three capital letters, such as "EUR" or "USD""#.to_owned(),
        };
        let message = match iso_currency::Currency::from_code(text) {
            Some(_) => format!("{} has no minor units to count amounts in", quote(text)),
            None => format!("{} is not an ISO 4217 currency", quote(text)),
        };
        Err(invalid(message, fix))
    }
}

/// Whether a code is a currency with a minor unit; precious metals and test
/// codes have none.
fn has_minor_units(code: &str) -> bool {
    iso_currency::Currency::from_code(code).is_some_and(|c| c.exponent().is_some())
}

/// Whether libphonenumber has a numbering plan for a region.
fn has_numbers(code: &str) -> bool {
    PHONE_NUMBER_UTIL
        .get_supported_regions()
        .any(|region| *region.as_region_str() == *code)
}

/// A region with a numbering plan, by its ISO 3166 alpha-2 code.
pub(crate) struct Region;

/// Accepts two capital letters of ISO 3166. `UK` is no code; the remedy
/// suggests `GB`.
impl CheckedText for Region {
    fn kind(&self) -> String {
        "an ISO 3166 alpha-2 code".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[A-Z]{2}$"})
    }

    fn check(&self, text: &str) -> Result<String, Invalid> {
        if has_numbers(text) {
            return Ok(text.to_owned());
        }
        let upper = text.trim().to_uppercase();
        let fix = match upper.as_str() {
            "UK" => r#"did you mean "GB"?"#.to_owned(),
            code if has_numbers(code) => format!("did you mean {code:?}?"),
            _ => r#"use two capital letters, such as "FR""#.to_owned(),
        };
        Err(invalid(
            format!("{} is not a region with phone numbers", quote(text)),
            fix,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_and_suggested() {
        assert_eq!(
            Zone.parse("Europe/Paris").unwrap().iana_name(),
            Some("Europe/Paris")
        );
        assert_eq!(Zone.parse("UTC").unwrap(), TimeZone::UTC);
        let fault = Zone.parse("Europe/Pariss").unwrap_err();
        assert_eq!(fault.message, "\"Europe/Pariss\" is not an IANA time zone");
        assert_eq!(fault.fix, "did you mean \"Europe/Paris\"?");
        for bad in [
            "",
            "CET-1CEST",
            "Etc/Unknown",
            "local",
            "+02:00",
            "../etc/passwd",
        ] {
            assert!(Zone.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn currencies_have_minor_units() {
        for good in ["EUR", "USD", "JPY", "KWD"] {
            assert_eq!(Currency.parse(good).unwrap(), good);
        }
        for bad in ["", "eur", "XAU", "EURO", "ZZZ", "€"] {
            assert!(Currency.parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Currency.parse("eur").unwrap_err().fix,
            "did you mean \"EUR\"?"
        );
    }

    #[test]
    fn regions_are_those_that_have_numbers() {
        for good in ["FR", "DE", "GB", "US"] {
            assert_eq!(Region.parse(good).unwrap(), good);
        }
        for bad in ["", "fr", "UK", "FRA", "ZZ", "AQ", "001", "33"] {
            assert!(Region.parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Region.parse("UK").unwrap_err().fix, "did you mean \"GB\"?");
    }
}
