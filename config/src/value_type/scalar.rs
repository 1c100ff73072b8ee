//! Scalars: values that are written as one TOML string.
//!
//! A scalar converts between a text and a value and knows neither the file nor
//! its location, so that it serves single settings, list elements and parts of
//! columns alike.

use serde_json::{Value as Json, json};
use toml_edit::Value;

use super::{Rendered, ValueType};
use crate::context::{Context, Input, quote};

/// Why a text is rejected, and the remedy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// What is wrong; the path of the setting precedes it.
    pub(crate) message: String,
    /// The remedy; may be empty.
    pub(crate) fix: String,
}

/// An error with its remedy.
pub(crate) fn invalid(message: impl Into<String>, fix: impl Into<String>) -> Invalid {
    Invalid {
        message: message.into(),
        fix: fix.into(),
    }
}

/// A value that is written as one TOML string. For every value `v` of a scalar,
/// `parse(write(v))` is `v`; the printed configuration relies on it, and lists
/// compare their elements by what is written.
pub(crate) trait Scalar: Sync + 'static {
    /// The type in the model.
    type Out: 'static;

    /// The type in the words of the reference.
    fn kind(&self) -> String;

    /// The JSON Schema of the text.
    fn schema(&self) -> Json;

    /// Parses the text.
    ///
    /// # Errors
    /// [`Invalid`], without the text if it may be a secret or identify a
    /// person.
    fn parse(&self, text: &str) -> Result<Self::Out, Invalid>;

    /// The text of a value; parsed again, it is the same value.
    fn write(&self, out: &Self::Out) -> String;

    /// The remedy for a value that is not a string.
    fn hint(&self) -> String {
        "write it in quotation marks".to_owned()
    }
}

/// A scalar whose value is the text itself, once it is checked and put into its
/// one spelling.
pub(crate) trait CheckedText: Sync + 'static {
    /// The type, in the words of the reference.
    fn kind(&self) -> String;

    /// The JSON Schema of the text.
    fn schema(&self) -> Json;

    /// Checks the text and returns its one spelling, which is checked again to
    /// the same.
    ///
    /// # Errors
    /// [`Invalid`], as [`Scalar::parse`].
    fn check(&self, text: &str) -> Result<String, Invalid>;
}

impl<T: CheckedText> Scalar for T {
    type Out = String;

    fn kind(&self) -> String {
        CheckedText::kind(self)
    }

    fn schema(&self) -> Json {
        CheckedText::schema(self)
    }

    fn parse(&self, text: &str) -> Result<String, Invalid> {
        self.check(text)
    }

    fn write(&self, out: &String) -> String {
        out.clone()
    }
}

/// A setting that is one scalar.
pub(crate) struct Text<W>(pub(crate) W);

/// Delegates to the scalar, and reports where it fails.
impl<W: Scalar> ValueType for Text<W> {
    type Out = W::Out;

    fn kind(&self) -> String {
        self.0.kind()
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<W::Out> {
        read(&self.0, given, cx)
    }

    fn render(&self, out: &W::Out) -> Rendered {
        Rendered::Value(Value::from(self.0.write(out)))
    }
}

/// Parses a scalar from a value; reports one that is not a string, or is
/// invalid.
pub(crate) fn read<W: Scalar>(word: &W, given: &Input<'_>, cx: &mut Context<'_>) -> Option<W::Out> {
    let Some(text) = given.text() else {
        let message = format!("must be {}, not {}", word.kind(), given.node.type_name());
        cx.report_invalid(given, message, word.hint());
        return None;
    };
    match word.parse(text) {
        Ok(out) => Some(out),
        Err(fault) => {
            cx.report_invalid(given, fault.message, fault.fix);
            None
        }
    }
}

/// Any text with a visible character and without control characters; the type
/// in the words of the reference.
pub(crate) struct FreeText(pub(crate) &'static str);

/// Accepts any other text unchanged, including surrounding white space.
impl CheckedText for FreeText {
    fn kind(&self) -> String {
        self.0.to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "\\S"})
    }

    fn check(&self, text: &str) -> Result<String, Invalid> {
        if text.trim().is_empty() {
            return Err(invalid("must not be empty", ""));
        }
        if text.chars().any(char::is_control) {
            return Err(invalid("must not hold control characters", ""));
        }
        Ok(text.to_owned())
    }
}

/// The separator of a CSV file, one ASCII character that cannot be part of a
/// number, a word or a quoted cell.
pub(crate) struct Delimiter;

/// Accepts punctuation, a space and a tab.
impl Scalar for Delimiter {
    type Out = u8;

    fn kind(&self) -> String {
        "one ASCII character".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[^A-Za-z0-9\"\\r\\n]$"})
    }

    fn parse(&self, text: &str) -> Result<u8, Invalid> {
        match text.as_bytes() {
            [byte]
                if byte.is_ascii()
                    && !byte.is_ascii_alphanumeric()
                    && !b"\"\r\n".contains(byte) =>
            {
                Ok(*byte)
            }
            _ => Err(invalid(
                format!("{} cannot separate columns", quote(text)),
                r#"use one ASCII character, such as ",", ";", "|" or "\t""#,
            )),
        }
    }

    fn write(&self, out: &u8) -> String {
        char::from(*out).to_string()
    }
}

/// A MAC, or the OUI prefix of its manufacturer (IEEE MA-L, 24 bits). Such a
/// value may identify a person, so no message repeats it.
pub(crate) struct Device;

/// Accepts 12 hex digits with any separators, or 6 and a star:
/// `dc:fb:48:00:11:22`, `DCFB48*`. The text is kept as it is, and parsed again
/// by the decoder.
impl CheckedText for Device {
    fn kind(&self) -> String {
        "a MAC or OUI prefix".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^([^0-9A-Fa-f]*[0-9A-Fa-f]){6}(([^0-9A-Fa-f]*[0-9A-Fa-f]){6}[^0-9A-Fa-f]*|[^0-9A-Fa-f]*\\*\\s*)$"})
    }

    fn check(&self, text: &str) -> Result<String, Invalid> {
        let text = text.trim();
        let (digits, wanted) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, 6),
            None => (text, 12),
        };
        let separates = |c: char| !c.is_alphanumeric() && c != '*' && !c.is_control();
        let count = digits.chars().filter(char::is_ascii_hexdigit).count();
        let clean = digits
            .chars()
            .all(|c| c.is_ascii_hexdigit() || separates(c));
        if count != wanted || !clean {
            return Err(invalid(
                "is neither a MAC nor an OUI prefix",
                r#"write 12 hex digits, or 6 and a star: "dc:fb:48:*""#,
            ));
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_one_ascii_character() {
        assert_eq!(Delimiter.parse("\t").unwrap(), b'\t');
        assert_eq!(Delimiter.parse(";").unwrap(), b';');
        for bad in ["", ",,", "é", "\"", "\n", "a"] {
            assert!(Delimiter.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn devices_are_macs_and_prefixes_and_never_repeated() {
        for good in [
            "dc:fb:48:*",
            "DCFB48*",
            "dc-fb-48-00-11-22",
            "dcfb.4800.1122",
        ] {
            assert_eq!(Device.parse(good).unwrap(), good);
        }
        for bad in ["", "*", "dc:fb:*", "dc:fb:48:00:11", "zz:fb:48:00:11:22"] {
            let fault = Device.parse(bad).unwrap_err();
            assert!(bad.len() < 5 || !fault.message.contains(bad));
        }
    }
}
