//! Reads one field by its rule: text, integer, boolean, amount.
//!
//! `null` and `""` count as absent in every field, because exports write either
//! where nothing is known. A text field accepts a JSON integer as its digits,
//! since systems disagree on whether an id is a number; any other value of the
//! wrong type rejects the record. A CSV source delivers texts only, so there
//! numbers and truth values may be quoted.
//!
//! Every error is a [`Refusal`] that names the field and the rule, never the
//! value.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tributary_config::model::DecimalMark;
use zeroize::Zeroize;

use super::amount;
use super::fields::{Field, Fields};
use crate::dead_letter::{Reason, Refusal};
use crate::keys::is_placeholder;
use crate::raw_json::Raw;

/// The maximum length of a label or an id, bytes.
pub const MAX_LABEL: usize = 256;

/// A value, or the refusal of its record.
pub type FieldResult<T> = Result<T, Refusal>;

/// A clear identifier. If decoding copied the value, because it contains
/// escapes, the copy is overwritten when it is dropped.
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

/// The fields of one record, with the rules of its source.
/// ```
/// use tributary_config::model::DecimalMark;
/// use tributary_connectors::dead_letter::Reason;
/// use tributary_connectors::native::fields::{Field, Fields};
/// use tributary_connectors::native::reader::Reader;
///
/// let fields = Fields::read(r#"{"id": 17, "version": "2", "store": null}"#).expect("JSON");
/// let reader = Reader { fields: &fields, loose: false, decimal: DecimalMark::Point };
/// assert_eq!(reader.label(Field::Id).as_ref().map(Option::as_deref), Ok(Some("17")));
/// assert_eq!(reader.label(Field::Store), Ok(None));
/// assert_eq!(reader.integer(Field::Version).unwrap_err().reason, Reason::WrongType);
///
/// // In a CSV source every value is text.
/// let reader = Reader { loose: true, ..reader };
/// assert_eq!(reader.integer(Field::Version), Ok(Some(2)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Reader<'f, 'a> {
    /// The raw values.
    pub fields: &'f Fields<'a>,
    /// Whether every value is text, as in a CSV source.
    pub loose: bool,
    /// The decimal separator of amounts that are texts.
    pub decimal: DecimalMark,
}

/// The type of a raw value, as far as the rules of fields distinguish it.
enum Value<'a> {
    /// No key, `null` or `""`.
    Absent,
    /// A string, without its quotes and with its escapes.
    Text(&'a str),
    /// A number without fraction and exponent.
    Integer(&'a str),
    /// Any other number.
    Number(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// An object or an array.
    Other,
}

impl<'a> Reader<'_, 'a> {
    /// The type and the raw text of a field. The raw text is valid JSON, so its
    /// first byte tells the type.
    #[inline]
    fn value(&self, field: Field) -> Value<'a> {
        kind_of(self.fields.value(field))
    }

    /// A text of at most `limit` bytes; `None` if absent.
    ///
    /// # Errors
    /// `wrong_type`, `text_too_long`, and `malformed_json` for an escape that
    /// is no character, such as half a surrogate pair.
    #[inline]
    pub fn text(&self, field: Field, limit: usize) -> FieldResult<Option<Cow<'a, str>>> {
        match self.fields.value(field) {
            Raw { text: "", .. } => Ok(None),
            raw => text_of(field, raw, limit),
        }
    }

    /// As [`Reader::text`], but a longer text counts as absent, for fields that
    /// only help to classify a record.
    ///
    /// # Errors
    /// `wrong_type` and `malformed_json`.
    pub fn short_text(&self, field: Field, limit: usize) -> FieldResult<Option<Cow<'a, str>>> {
        match self.text(field, limit) {
            Err(refusal) if refusal.reason == Reason::TextTooLong => Ok(None),
            read => read,
        }
    }

    /// A label or an id as received, of at most [`MAX_LABEL`] bytes.
    ///
    /// # Errors
    /// As [`Reader::text`].
    pub fn label(&self, field: Field) -> FieldResult<Option<Cow<'a, str>>> {
        self.text(field, MAX_LABEL)
    }

    /// What names a record, of at most [`MAX_LABEL`] bytes and without white
    /// space around it. What exports write for nothing ([`is_null`]) is absent:
    /// as a name it would make one record of many.
    ///
    /// # Errors
    /// As [`Reader::text`].
    pub fn key(&self, field: Field) -> FieldResult<Option<Cow<'a, str>>> {
        let key = self.label(field)?.map(trimmed);
        Ok(key.filter(|key| !key.is_empty() && !is_null(key)))
    }

    /// The name of a sale; absent if it is a placeholder, which would make one sale of those of strangers.
    ///
    /// # Errors
    /// As [`Reader::text`].
    pub fn sale_name(&self, field: Field) -> FieldResult<Option<Cow<'a, str>>> {
        Ok(self.key(field)?.filter(|name| !is_placeholder(name)))
    }

    /// A label or an id that the record must have.
    ///
    /// # Errors
    /// `missing_field`, and as [`Reader::text`].
    pub fn required(&self, field: Field) -> FieldResult<Cow<'a, str>> {
        self.label(field)?.ok_or_else(|| missing(field))
    }

    /// A clear identifier of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Reader::text`].
    pub fn clear(&self, field: Field, limit: usize) -> FieldResult<Option<ClearText<'a>>> {
        Ok(self.text(field, limit)?.map(ClearText))
    }

    /// Calls `each` with every clear identifier of at most `limit` bytes: a
    /// value is one, or a list of several, in which `null` and `""` count as
    /// absent.
    ///
    /// # Errors
    /// As [`Reader::text`], and those of `each`.
    pub fn each_clear(
        &self,
        field: Field,
        limit: usize,
        mut each: impl FnMut(ClearText<'a>) -> FieldResult<()>,
    ) -> FieldResult<()> {
        let raw = self.fields.raw(field);
        if !raw.starts_with('[') {
            return self.clear(field, limit)?.map_or(Ok(()), each);
        }
        let list: Vec<&'a RawValue> =
            serde_json::from_str(raw).map_err(|_| wrong_type(field, "a string"))?;
        for element in list {
            let read = text_of(field, Raw::of(element.get()), limit);
            let read = read.map_err(|refusal| match refusal.reason {
                Reason::WrongType => wrong_type(field, "a string, or a list of strings"),
                _ => refusal,
            });
            if let Some(text) = read? {
                each(ClearText(text))?;
            }
        }
        Ok(())
    }

    /// A signed 64-bit integer. A CSV cell may have a plus sign and white space
    /// around it.
    ///
    /// # Errors
    /// `wrong_type`, and `number_out_of_range` beyond 64 bits.
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

    /// A count, from 0; absent counts 0. The thousands of a CSV cell may be grouped
    /// ([`amount::count`]).
    ///
    /// # Errors
    /// As [`Reader::integer`], and `number_out_of_range` for a negative number.
    pub fn count(&self, field: Field) -> FieldResult<u64> {
        let grouped = match self.value(field) {
            Value::Text(text) if self.loose => amount::count(text.trim(), self.decimal),
            _ => None,
        };
        let value = match grouped.and_then(|digits| digits.parse().ok()) {
            Some(value) => value,
            None => self.integer(field)?.unwrap_or(0),
        };
        u64::try_from(value).map_err(|_| {
            let detail = format!("`{}` is a count and must not be negative", field.name());
            Refusal::new(Reason::NumberOutOfRange, detail)
        })
    }

    /// A truth value; absent is false. A CSV cell may be `true`, `false`, `1`
    /// or `0` in any case.
    ///
    /// # Errors
    /// `wrong_type`.
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

    /// The digits of an amount, and whether they may have an exponent, which
    /// only JSON numbers may. The text of a CSV cell is returned with a point
    /// as its separator; one with another separator becomes a text that no
    /// amount has.
    ///
    /// # Errors
    /// `wrong_type` and `malformed_json`.
    pub fn decimal(&self, field: Field) -> FieldResult<Option<(Cow<'a, str>, bool)>> {
        match self.value(field) {
            Value::Absent => Ok(None),
            Value::Integer(number) | Value::Number(number) => {
                Ok(Some((Cow::Borrowed(number), true)))
            }
            Value::Text(inner) => {
                let text = unescape(field, inner, self.fields.value(field))?;
                if !self.loose {
                    return Ok(Some((trimmed(text), false)));
                }
                // What has another decimal mark stays as it is, and is no amount.
                let point = amount::with_point(text.trim(), self.decimal);
                let text = point.map_or(String::from(","), Cow::into_owned);
                Ok(Some((Cow::Owned(text), false)))
            }
            _ => Err(wrong_type(field, "a number or a string of digits")),
        }
    }

    /// Whether the field has a value other than `null` and `""`.
    pub fn is_present(&self, field: Field) -> bool {
        !matches!(self.value(field), Value::Absent)
    }

    /// The digits of a field that is a JSON integer.
    pub fn json_integer(&self, field: Field) -> Option<&'a str> {
        match self.value(field) {
            Value::Integer(digits) => Some(digits),
            _ => None,
        }
    }
}

/// The type of a raw JSON text.
fn kind_of(raw: Raw<'_>) -> Value<'_> {
    let text = raw.text;
    match text.as_bytes() {
        [b'"', .., b'"'] => match text.get(1..text.len() - 1) {
            Some("") | None => Value::Absent,
            Some(inner) => Value::Text(inner),
        },
        [] | b"null" => Value::Absent,
        b"true" => Value::Bool(true),
        b"false" => Value::Bool(false),
        [b'-' | b'0'..=b'9', ..] => match raw.is_plain {
            true => Value::Integer(text),
            false => Value::Number(text),
        },
        _ => Value::Other,
    }
}

/// The text of a value of a field.
fn text_of<'a>(field: Field, raw: Raw<'a>, limit: usize) -> FieldResult<Option<Cow<'a, str>>> {
    let text = match kind_of(raw) {
        Value::Absent => return Ok(None),
        Value::Integer(digits) => Cow::Borrowed(digits),
        // No escape stands for less than a sixth of its length.
        Value::Text(inner) if inner.len() / 6 > limit => return Err(too_long(field, limit)),
        Value::Text(inner) => unescape(field, inner, raw)?,
        _ => return Err(wrong_type(field, "a string")),
    };
    match text.len() > limit {
        true => Err(too_long(field, limit)),
        false => Ok(Some(text)),
    }
}

/// Resolves the escapes of a string; borrows if there is none.
fn unescape<'a>(field: Field, inner: &'a str, raw: Raw<'_>) -> FieldResult<Cow<'a, str>> {
    if raw.is_plain {
        return Ok(Cow::Borrowed(inner));
    }
    let text: Result<String, _> = serde_json::from_str(raw.text);
    text.map(Cow::Owned).map_err(|_| {
        let detail = format!("`{}` has an escape that is not a character", field.name());
        Refusal::new(Reason::MalformedJson, detail)
    })
}

/// A text without white space at its ends.
pub fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) if text.trim().len() < text.len() => Cow::Owned(text.trim().to_owned()),
        text => text,
    }
}

/// Whether a text is what databases, spreadsheets and programs write for
/// nothing.
/// ```
/// use tributary_connectors::native::reader::is_null;
///
/// assert!(is_null("NULL") && is_null(r"\N"));
/// assert!(!is_null("0") && !is_null("N-1"));
/// ```
pub fn is_null(text: &str) -> bool {
    const NULLS: [&str; 6] = ["null", "none", "undefined", "nan", r"\N", "#N/A"];
    NULLS.iter().any(|null| null.eq_ignore_ascii_case(text))
}

/// The refusal of a record that lacks a field.
pub fn missing(field: Field) -> Refusal {
    let detail = format!("`{}` is required and absent, null or empty", field.name());
    Refusal::new(Reason::MissingField, detail)
}

/// The refusal of a value of the wrong type; `must_be` names the right one.
pub fn wrong_type(field: Field, must_be: &str) -> Refusal {
    let detail = format!("`{}` must be {must_be}", field.name());
    Refusal::new(Reason::WrongType, detail)
}

/// The refusal of a value that exceeds its limit, bytes.
pub fn too_long(field: Field, limit: usize) -> Refusal {
    let detail = format!("`{}` has more than {limit} bytes", field.name());
    Refusal::new(Reason::TextTooLong, detail)
}
