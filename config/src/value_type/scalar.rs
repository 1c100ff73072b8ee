//! Scalars: values that are written as one TOML string.

use serde_json::{Value as Json, json};
use toml_edit::Value;

use super::{Rendered, ValueType};
use crate::context::{Context, Input, quote};

/// Why a text is refused, and what would be right.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// What is wrong.
    pub(crate) message: String,
    /// What would be right; may be empty.
    pub(crate) fix: String,
}

/// A fault of these words.
pub(crate) fn invalid(message: impl Into<String>, fix: impl Into<String>) -> Invalid {
    Invalid {
        message: message.into(),
        fix: fix.into(),
    }
}

/// What one text may say.
pub(crate) trait Scalar: Sync + 'static {
    /// The type in the model.
    type Out: 'static;

    /// The type in the words of the reference.
    fn kind(&self) -> String;

    /// The JSON Schema of the text.
    fn schema(&self) -> Json;

    /// What the text says.
    fn parse(&self, text: &str) -> Result<Self::Out, Invalid>;

    /// The text that says it.
    fn write(&self, out: &Self::Out) -> String;

    /// What to write instead of a value that is no text.
    fn hint(&self) -> String {
        "write it in quotation marks".to_owned()
    }
}

/// A setting that is one word.
pub(crate) struct Text<W>(pub(crate) W);

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

/// Reads a word from a value that should be a text.
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

/// Any text with a visible character and without control characters.
pub(crate) struct FreeText(pub(crate) &'static str);

impl Scalar for FreeText {
    type Out = String;

    fn kind(&self) -> String {
        self.0.to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "\\S"})
    }

    fn parse(&self, text: &str) -> Result<String, Invalid> {
        if text.trim().is_empty() {
            return Err(invalid("must not be empty", ""));
        }
        if text.chars().any(char::is_control) {
            return Err(invalid("must not hold control characters", ""));
        }
        Ok(text.to_owned())
    }

    fn write(&self, out: &String) -> String {
        out.clone()
    }
}

/// The separator of a CSV file.
pub(crate) struct Delimiter;

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

/// A MAC or the prefix of its maker. Such a value may identify somebody, so no message repeats it.
pub(crate) struct Device;

impl Scalar for Device {
    type Out = String;

    fn kind(&self) -> String {
        "a MAC or OUI prefix".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^([^0-9A-Fa-f]*[0-9A-Fa-f]){6}(([^0-9A-Fa-f]*[0-9A-Fa-f]){6}[^0-9A-Fa-f]*|[^0-9A-Fa-f]*\\*\\s*)$"})
    }

    fn parse(&self, text: &str) -> Result<String, Invalid> {
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

    fn write(&self, out: &String) -> String {
        out.clone()
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
