//! Patterns of time stamps, in the notation of POSIX `strptime` as jiff
//! implements it.

use jiff::fmt::strtime;
use serde_json::{Value as Json, json};

use super::scalar::{CheckedText, Invalid, invalid};
use crate::context::quote;

/// A pattern that determines at least year, month and day.
pub(crate) struct TimePattern;

/// A misspelled pattern such as `DD/MM/YYYY` would match nothing and reject
/// every row, so it is rejected here instead.
impl CheckedText for TimePattern {
    fn kind(&self) -> String {
        "a strptime pattern".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "minLength": 2})
    }

    /// A pattern is valid if a moment that it formats parses back to the same
    /// day.
    fn check(&self, text: &str) -> Result<String, Invalid> {
        let moment = jiff::civil::date(2025, 12, 31).at(23, 59, 58, 0);
        let moment = moment.to_zoned(jiff::tz::TimeZone::UTC);
        let written = moment.and_then(|moment| strtime::format(text, &moment));
        let read = written.and_then(|written| strtime::parse(text, written));
        let date = read.and_then(|read| read.to_date());
        match date {
            Ok(date) if date == jiff::civil::date(2025, 12, 31) => Ok(text.to_owned()),
            _ => Err(invalid(
                format!("{} does not name a day", quote(text)),
                r#"write a pattern such as "%d/%m/%Y %H:%M" or "%Y-%m-%d %H:%M:%S %z""#,
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scalar::Scalar;
    use super::*;

    #[test]
    fn a_pattern_names_a_day() {
        for good in [
            "%d/%m/%Y %H:%M",
            "%Y-%m-%d %H:%M:%S %z",
            "%m/%d/%y",
            "%d.%m.%Y",
        ] {
            assert_eq!(TimePattern.parse(good).unwrap(), good);
        }
        for bad in ["", "%H:%M", "DD/MM/YYYY", "%d/%m", "%!"] {
            assert!(TimePattern.parse(bad).is_err(), "{bad}");
        }
    }
}
