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

/// The name of a host in lower case: `shop.example`.
pub(crate) struct HostName;

impl Scalar for HostName {
    type Out = String;

    fn kind(&self) -> String {
        "the name of a host".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[A-Za-z0-9._-]+$", "maxLength": 253})
    }

    fn parse(&self, text: &str) -> Result<String, Invalid> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let label = |label: &str| !label.is_empty() && label.len() <= 63 && label.chars().all(fits);
        if text.len() > 253 || !text.split('.').all(label) {
            return Err(invalid(
                format!("{} is not a host name", quote(text)),
                r#"write the host alone, without scheme, port or path, and in ASCII (xn--…), such as "shop.example""#,
            ));
        }
        Ok(text.to_ascii_lowercase())
    }

    fn write(&self, out: &String) -> String {
        out.clone()
    }
}

/// Where processes run and brands are pinned to: `[a-z0-9-]+`.
pub(crate) struct Region;

impl Scalar for Region {
    type Out = String;

    fn kind(&self) -> String {
        "the name of a region".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[a-z0-9-]+$", "maxLength": 256})
    }

    fn parse(&self, text: &str) -> Result<String, Invalid> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > 256 || !text.chars().all(fits) {
            return Err(invalid(
                format!("{} is not a region name", quote(text)),
                r#"use 1 to 256 of a-z, 0-9 and -, such as "eu-west""#,
            ));
        }
        Ok(text.to_owned())
    }

    fn write(&self, out: &String) -> String {
        out.clone()
    }
}

/// A domain in its ASCII form: lower case, two labels or more.
pub(crate) struct Domain;

impl Scalar for Domain {
    type Out = String;

    fn kind(&self) -> String {
        "a domain".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[a-z0-9-]{1,63}(\\.[a-z0-9-]{1,63})+$", "maxLength": 253})
    }

    fn parse(&self, text: &str) -> Result<String, Invalid> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(fits);
        if text.len() > 253 || !text.contains('.') || !text.split('.').all(label) {
            return Err(invalid(
                format!("{} is not a domain", quote(text)),
                r#"write it in lower case, without scheme and port, such as "rights.example.com""#,
            ));
        }
        Ok(text.to_owned())
    }

    fn write(&self, out: &String) -> String {
        out.clone()
    }
}

/// A name that serves as a subject token and a dimension: `[a-z0-9_-]+`.
pub(crate) struct Name;

impl Scalar for Name {
    type Out = String;

    fn kind(&self) -> String {
        "a name".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[a-z0-9_-]+$", "maxLength": 256})
    }

    fn parse(&self, text: &str) -> Result<String, Invalid> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if text.is_empty() || text.len() > 256 || !text.chars().all(fits) {
            let slug: String = (text.trim().to_lowercase().chars())
                .map(|c| if fits(c) { c } else { '-' })
                .take(256)
                .collect();
            let fix = match slug.is_empty() {
                true => "use 1 to 256 of a-z, 0-9, _ and -".to_owned(),
                false => format!(
                    "use 1 to 256 of a-z, 0-9, _ and -, such as {}",
                    quote(&slug)
                ),
            };
            return Err(invalid(format!("{} is not a name", quote(text)), fix));
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
    fn names_are_subject_tokens() {
        assert_eq!(Name.parse("acme_1-x").unwrap(), "acme_1-x");
        for bad in ["", "Acme", "a b", "a.b", "é", "a>"] {
            assert!(Name.parse(bad).is_err(), "{bad}");
        }
        assert!(
            Name.parse("Acme Shop")
                .unwrap_err()
                .fix
                .contains("acme-shop")
        );
    }

    #[test]
    fn regions_are_plain_words() {
        assert_eq!(Region.parse("eu-west-3").unwrap(), "eu-west-3");
        for bad in ["", "EU", "eu west", "eu_west", "é"] {
            assert!(Region.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn domains_are_plain() {
        assert_eq!(
            Domain.parse("rights.example.com").unwrap(),
            "rights.example.com"
        );
        for bad in [
            "",
            "com",
            "Rights.example.com",
            "https://a.b",
            "a.b:1",
            "a..b",
            ".a.b",
            "é.b",
        ] {
            assert!(Domain.parse(bad).is_err(), "{bad}");
        }
    }

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
