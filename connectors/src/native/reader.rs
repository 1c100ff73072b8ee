//! Reads one field by its rule: text, integer, boolean, amount.
//!
//! `null` and `""` count as absent. A text field accepts a JSON integer as its digits; any other value of the wrong
//! type rejects the record. A CSV source delivers texts only, so there the digits of a number may come as text.

use std::borrow::Cow;

use tributary_config::model::DecimalMark;
use zeroize::Zeroize;

use super::amount;
use super::fields::{Field, Fields};
use crate::dead_letter::{Reason, Refusal};

/// The most bytes of a label or an id.
pub const MAX_LABEL: usize = 256;

/// A value, or why the record is refused.
pub type FieldResult<T> = Result<T, Refusal>;

/// A clear value; where reading it made a copy, the copy is overwritten when it goes.
pub struct ClearText<'a>(Cow<'a, str>);

impl std::ops::Deref for ClearText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for ClearText<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(copy) = &mut self.0 {
            copy.zeroize();
        }
    }
}

/// The fields of one record.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'f, 'a> {
    /// The raw values.
    pub fields: &'f Fields<'a>,
    /// Whether every value comes as text.
    pub loose: bool,
    /// How the decimals of amounts in texts are written.
    pub decimal: DecimalMark,
}

/// What a raw value is, as far as a field may ask.
enum Value<'a> {
    Absent,
    /// Between its quotes, escapes and all.
    Text(&'a str),
    Integer(&'a str),
    Number(&'a str),
    Bool(bool),
    Other,
}

impl<'a> Reader<'_, 'a> {
    fn value(&self, field: Field) -> Value<'a> {
        let raw = self.fields.raw(field);
        match raw.as_bytes() {
            [] | b"null" => Value::Absent,
            [b'"', .., b'"'] => match raw.get(1..raw.len() - 1) {
                Some("") | None => Value::Absent,
                Some(inner) => Value::Text(inner),
            },
            b"true" => Value::Bool(true),
            b"false" => Value::Bool(false),
            [b'-' | b'0'..=b'9', rest @ ..] => match rest.iter().all(u8::is_ascii_digit) {
                true => Value::Integer(raw),
                false => Value::Number(raw),
            },
            _ => Value::Other,
        }
    }

    /// A text of at most `limit` bytes.
    pub fn text(&self, field: Field, limit: usize) -> FieldResult<Option<Cow<'a, str>>> {
        let text = match self.value(field) {
            Value::Absent => return Ok(None),
            Value::Integer(digits) => Cow::Borrowed(digits),
            // No escape stands for less than a sixth of its length.
            Value::Text(inner) if inner.len() / 6 > limit => return Err(too_long(field, limit)),
            Value::Text(inner) => unescape(field, inner, self.fields.raw(field))?,
            _ => return Err(wrong_type(field, "a string")),
        };
        match text.len() > limit {
            true => Err(too_long(field, limit)),
            false => Ok(Some(text)),
        }
    }

    /// A text without a limit of its own, nothing where it has more than `limit` bytes.
    pub fn short_text(&self, field: Field, limit: usize) -> FieldResult<Option<Cow<'a, str>>> {
        match self.text(field, limit) {
            Err(refusal) if refusal.reason == Reason::TextTooLong => Ok(None),
            read => read,
        }
    }

    /// A label or an id, as it comes.
    pub fn label(&self, field: Field) -> FieldResult<Option<Cow<'a, str>>> {
        self.text(field, MAX_LABEL)
    }

    /// A label or an id that the record cannot do without.
    pub fn required(&self, field: Field) -> FieldResult<Cow<'a, str>> {
        self.label(field)?.ok_or_else(|| missing(field))
    }

    /// A clear identifier.
    pub fn clear(&self, field: Field, limit: usize) -> FieldResult<Option<ClearText<'a>>> {
        Ok(self.text(field, limit)?.map(ClearText))
    }

    /// An integer of 64 bits.
    pub fn integer(&self, field: Field) -> FieldResult<Option<i64>> {
        let digits = match self.value(field) {
            Value::Absent => return Ok(None),
            Value::Integer(digits) => digits,
            Value::Text(text) if self.loose => {
                let digits = text.trim();
                let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(digits);
                if unsigned.is_empty() || !unsigned.bytes().all(|c| c.is_ascii_digit()) {
                    return Err(wrong_type(field, "an integer"));
                }
                digits
            }
            _ => return Err(wrong_type(field, "an integer")),
        };
        let out_of_range = |_| {
            let detail = format!("`{}` is an integer outside of its range", field.name());
            Refusal::new(Reason::NumberOutOfRange, detail)
        };
        digits.parse().map(Some).map_err(out_of_range)
    }

    /// A count: an integer from 0, absent 0.
    pub fn count(&self, field: Field) -> FieldResult<u64> {
        let value = self.integer(field)?.unwrap_or(0);
        u64::try_from(value).map_err(|_| {
            let detail = format!("`{}` is a count and must not be negative", field.name());
            Refusal::new(Reason::NumberOutOfRange, detail)
        })
    }

    /// A truth value, absent false.
    pub fn flag(&self, field: Field) -> FieldResult<bool> {
        match self.value(field) {
            Value::Absent => Ok(false),
            Value::Bool(value) => Ok(value),
            Value::Text(text) if self.loose => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(wrong_type(field, "`true` or `false`")),
            },
            _ => Err(wrong_type(field, "`true` or `false`")),
        }
    }

    /// The digits of a number in a string or a JSON number, and whether an exponent may stand in them.
    pub fn decimal(&self, field: Field) -> FieldResult<Option<(Cow<'a, str>, bool)>> {
        match self.value(field) {
            Value::Absent => Ok(None),
            Value::Integer(number) | Value::Number(number) => {
                Ok(Some((Cow::Borrowed(number), true)))
            }
            Value::Text(inner) => {
                let text = unescape(field, inner, self.fields.raw(field))?;
                if !self.loose {
                    return Ok(Some((text, false)));
                }
                // What has another decimal mark stays as it is, and is no amount.
                let point = amount::with_point(text.trim(), self.decimal);
                let text = point.map_or(String::from(","), Cow::into_owned);
                Ok(Some((Cow::Owned(text), false)))
            }
            _ => Err(wrong_type(field, "a number or a string of digits")),
        }
    }

    /// Whether the field holds anything but `null` and `""`.
    pub fn is_present(&self, field: Field) -> bool {
        !matches!(self.value(field), Value::Absent)
    }

    /// Whether the field is a JSON integer, and its digits.
    pub fn json_integer(&self, field: Field) -> Option<&'a str> {
        match self.value(field) {
            Value::Integer(digits) => Some(digits),
            _ => None,
        }
    }
}

fn unescape<'a>(field: Field, inner: &'a str, raw: &str) -> FieldResult<Cow<'a, str>> {
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(inner));
    }
    let text: Result<String, _> = serde_json::from_str(raw);
    text.map(Cow::Owned).map_err(|_| {
        let detail = format!("`{}` has an escape that is not a character", field.name());
        Refusal::new(Reason::MalformedJson, detail)
    })
}

/// The refusal of a record that lacks a field.
pub fn missing(field: Field) -> Refusal {
    let detail = format!("`{}` is required and absent, null or empty", field.name());
    Refusal::new(Reason::MissingField, detail)
}

/// The refusal of a value of the wrong type.
pub fn wrong_type(field: Field, must_be: &str) -> Refusal {
    let detail = format!("`{}` must be {must_be}", field.name());
    Refusal::new(Reason::WrongType, detail)
}

/// The refusal of a value of more bytes than it may have.
pub fn too_long(field: Field, limit: usize) -> Refusal {
    let detail = format!("`{}` has more than {limit} bytes", field.name());
    Refusal::new(Reason::TextTooLong, detail)
}
