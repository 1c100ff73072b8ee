//! Reads fields of a JSON object (RFC 8259) without leaving copies of them in
//! memory.
//!
//! A field is first taken as a slice of the message and only then read. Escapes
//! are resolved here, into a buffer that is overwritten when it is dropped:
//! `serde_json` would use a buffer of its own and free it without overwriting
//! it.

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::clear_text::ClearText;
use crate::refusal::{Reason, Refusal};

/// A field as it appears in the message; `None` if it is absent.
pub(crate) type Raw<'a> = Option<&'a RawValue>;

/// A field by name, with the reason for which its content is refused.
#[derive(Clone, Copy)]
pub(crate) struct Field<'n> {
    /// Name of the field in the refusal.
    pub name: &'n str,
    /// Reason of a refusal.
    pub reason: Reason,
    /// Maximum length of its text in bytes.
    pub limit: usize,
}

/// A field of a request.
pub(crate) const fn field(name: &str, reason: Reason, limit: usize) -> Field<'_> {
    Field {
        name,
        reason,
        limit,
    }
}

/// Parses an object. An unknown or duplicate field is refused with a sentence
/// that lists the `known` fields; `what` names the object.
pub(crate) fn object<'a, T: Deserialize<'a>>(
    text: &'a str,
    reason: Reason,
    what: &str,
    known: &str,
) -> Result<T, Refusal> {
    let form = || {
        format!("{what} must be a JSON object with no field twice and no other fields than {known}")
    };
    // The derived reader would take a list for its fields in their order.
    if text.trim_ascii_start().starts_with('[') {
        return Err(Refusal::new(reason, form()));
    }
    serde_json::from_str(text).map_err(|error| {
        let detail = match error.classify() {
            serde_json::error::Category::Data => form(),
            _ => format!(
                "{what} is not JSON: see line {}, column {}",
                error.line(),
                error.column()
            ),
        };
        Refusal::new(reason, detail)
    })
}

impl Field<'_> {
    /// The refusal of this field. `what` completes the sentence after its name.
    pub fn refuse(self, what: &str) -> Refusal {
        Refusal::new(self.reason, format!("`{}` {what}", self.name))
    }

    /// The text of the field, or the digits of an integer. `None` if the field is
    /// absent, `null` or `""`.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] for another type of value, an invalid escape, or a text above
    /// the limit.
    pub fn text(self, raw: Raw<'_>) -> Result<Option<ClearText>, Refusal> {
        let Some(raw) = raw.map(RawValue::get) else {
            return Ok(None);
        };
        let text = match raw.as_bytes() {
            b"null" => return Ok(None),
            [b'"', .., b'"'] => raw
                .get(1..raw.len() - 1)
                .and_then(unescape)
                .ok_or_else(|| self.refuse("is not text: an escape is not a character"))?,
            [b'-', digits @ ..] | digits
                if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) =>
            {
                Zeroizing::new(raw.to_owned())
            }
            _ => return Err(self.refuse("must be a text")),
        };
        if text.len() > self.limit {
            let limit = self.limit;
            return Err(self.refuse(&format!("has more than {limit} bytes: shorten it")));
        }
        let mut text = text;
        let text = std::mem::take(&mut *text);
        Ok((!text.is_empty()).then(|| ClearText::new(text)))
    }

    /// The truth value of the field; false if it is absent or `null`.
    pub fn boolean(self, raw: Raw<'_>) -> Result<bool, Refusal> {
        match raw.map(RawValue::get) {
            None | Some("null" | "false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(self.refuse("must be true or false")),
        }
    }
}

/// Resolves the escapes of a JSON text without its quotation marks; `None` for
/// an invalid escape.
fn unescape(inner: &str) -> Option<Zeroizing<String>> {
    // No escape is shorter than what it stands for, so this never grows, which would leave a copy.
    let mut out = Zeroizing::new(String::with_capacity(inner.len()));
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut after = escape.chars();
        let character = match after.next()? {
            '"' => '"',
            '\\' => '\\',
            '/' => '/',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (unit, tail) = unit(after.as_str())?;
                after = tail.chars();
                match unit {
                    0xd800..=0xdbff => {
                        let (low, tail) = self::unit(tail.strip_prefix("\\u")?)?;
                        after = tail.chars();
                        let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                        char::from_u32(0x10000 + ((unit - 0xd800) << 10) + low)?
                    }
                    // A second half without a first one is no character.
                    unit => char::from_u32(unit)?,
                }
            }
            _ => return None,
        };
        out.push(character);
        rest = after.as_str();
    }
    out.push_str(rest);
    Some(out)
}

/// Four hexadecimal digits as a UTF-16 code unit, and the text after them.
fn unit(text: &str) -> Option<(u32, &str)> {
    let (digits, tail) = text.split_at_checked(4)?;
    let all = digits.bytes().all(|c| c.is_ascii_hexdigit());
    let unit = u32::from_str_radix(digits, 16).ok()?;
    all.then_some((unit, tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn escapes_are_read_as_everybody_reads_them(
            inner in r#"([a-z\u{e9}]|\\["\\/bfnrt]|\\u[0-9a-fD]{4}|\\ud83d\\ude0[0-9a-f]|\\x|\\ud8)*"#,
        ) {
            let expected = serde_json::from_str::<String>(&format!("\"{inner}\"")).ok();
            prop_assert_eq!(unescape(&inner).map(|text| text.to_string()), expected);
        }
    }
}
