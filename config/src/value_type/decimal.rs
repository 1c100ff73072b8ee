//! Decimal numbers without floats: written as text with up to three decimals,
//! stored in thousandths.
//!
//! A float would be rounded between file, model and printed configuration.

use serde_json::{Value as Json, json};

use super::scalar::{Invalid, Scalar, invalid};
use crate::context::quote;

/// A decimal number that the model stores in thousandths.
pub(crate) struct Thousandths {
    /// The minimum, thousandths.
    pub(crate) min: u64,
    /// The maximum, thousandths.
    pub(crate) max: u64,
}

/// The shortest decimal text of thousandths.
fn write(thousandths: u64) -> String {
    let text = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The thousandths of a text such as `1.5`; `None` if it is not such a number,
/// or overflows.
fn parse(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 3 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = format!("{part:0<3}").parse().ok()?;
    whole.checked_mul(1_000)?.checked_add(part)
}

/// Accepts `1`, `0.5` and `0.125`; rejects signs, exponents, a missing digit
/// before or after the point, and a fourth decimal, which could not be stored.
impl Scalar for Thousandths {
    type Out = u64;

    fn kind(&self) -> String {
        let (min, max) = (write(self.min), write(self.max));
        format!("a number from {min} to {max}, as text")
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,3})?$"})
    }

    /// Parses a decimal number into thousandths.
    ///
    /// # Errors
    /// Another notation, and values outside of the bounds.
    fn parse(&self, text: &str) -> Result<u64, Invalid> {
        let Some(thousandths) = parse(text) else {
            let message = format!(
                "{} is not a number with at most three decimals",
                quote(text)
            );
            return Err(invalid(message, r#"write it like "1" or "0.5""#));
        };
        if !(self.min..=self.max).contains(&thousandths) {
            let (min, max) = (write(self.min), write(self.max));
            let message = format!("{} must lie between {min} and {max}", quote(text));
            return Err(invalid(message, ""));
        }
        Ok(thousandths)
    }

    fn write(&self, out: &u64) -> String {
        write(*out)
    }

    fn hint(&self) -> String {
        r#"write it in quotation marks, like "1" or "0.5": it is never rounded"#.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_digits() {
        for (text, thousandths) in [
            ("1", 1_000),
            ("0.5", 500),
            ("12.345", 12_345),
            ("007.10", 7_100),
        ] {
            assert_eq!(parse(text), Some(thousandths));
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "0.1234",
            "1,5",
            "99999999999999999999",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        for thousandths in [1, 10, 100, 1_000, 1_001, 12_300, 10_000] {
            assert_eq!(parse(&write(thousandths)), Some(thousandths));
        }
    }
}
