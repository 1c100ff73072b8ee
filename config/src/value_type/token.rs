//! Names from a closed set of characters: tokens, host names and domains.
//!
//! Each is one constant that states the character set, the length and the
//! remedy, so that the check, the JSON Schema and the message of a setting
//! cannot disagree.

use serde_json::{Value as Json, json};

use super::scalar::{CheckedText, Invalid, invalid};
use crate::context::quote;

/// A text of 1 to `longest` bytes from a set of ASCII characters.
pub(crate) struct Token {
    /// The type in the words of the reference.
    kind: &'static str,
    /// The regular expression of the JSON Schema.
    pattern: &'static str,
    /// The maximum length, bytes.
    longest: usize,
    /// Whether a character may occur.
    fits: fn(char) -> bool,
    /// The noun of the message: `"…" is not a stream name`.
    noun: &'static str,
    /// The remedy for a text that does not fit.
    fix: fn(&str) -> String,
}

/// The region of a process or a brand: `[a-z0-9-]+`.
pub(crate) const REGION: Token = Token {
    kind: "the name of a region",
    pattern: "^[a-z0-9-]+$",
    longest: 256,
    fits: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    noun: "a region name",
    fix: |_| r#"use 1 to 256 of a-z, 0-9 and -, such as "eu-west""#.to_owned(),
};

/// The name of a shard: `[a-z0-9-]+`. It is part of subjects, consumers and
/// directories, next to the number of a process.
pub(crate) const SHARD: Token = Token {
    kind: "the name of a shard",
    pattern: "^[a-z0-9-]+$",
    longest: 32,
    fits: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    noun: "a shard name",
    fix: |_| r#"use 1 to 32 of a-z, 0-9 and -, such as "north""#.to_owned(),
};

/// The name of a JetStream stream. NATS forbids spaces, dots, wildcards and
/// path separators (ADR-6); this is the portable subset of what remains.
pub(crate) const STREAM: Token = Token {
    kind: "a stream name",
    pattern: "^[A-Za-z0-9_-]+$",
    longest: 255,
    fits: |c| c.is_ascii_alphanumeric() || c == '_' || c == '-',
    noun: "a stream name",
    fix: |_| "use 1 to 255 letters, digits, _ and -".to_owned(),
};

/// The name of a brand or a source, which is a subject token and a dimension:
/// `[a-z0-9_-]+`. Dots and wildcards are excluded because a name is one token
/// of a NATS subject.
pub(crate) const NAME: Token = Token {
    kind: "a name",
    pattern: "^[a-z0-9_-]+$",
    longest: 256,
    fits: is_name_character,
    noun: "a name",
    fix: suggest_name,
};

/// Whether a character may occur in the name of a brand or a source.
fn is_name_character(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-'
}

/// Suggests the name that a text becomes when other characters are replaced by
/// hyphens.
fn suggest_name(text: &str) -> String {
    let slug: String = (text.trim().to_lowercase().chars())
        .map(|c| if is_name_character(c) { c } else { '-' })
        .take(256)
        .collect();
    let rule = "use 1 to 256 of a-z, 0-9, _ and -";
    match slug.is_empty() {
        true => rule.to_owned(),
        false => format!("{rule}, such as {}", quote(&slug)),
    }
}

/// Compares bytes of ASCII, so the length in bytes is the length in characters.
impl CheckedText for Token {
    fn kind(&self) -> String {
        self.kind.to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": self.pattern, "maxLength": self.longest})
    }

    fn check(&self, text: &str) -> Result<String, Invalid> {
        if text.is_empty() || text.len() > self.longest || !text.chars().all(self.fits) {
            let message = format!("{} is not {}", quote(text), self.noun);
            return Err(invalid(message, (self.fix)(text)));
        }
        Ok(text.to_owned())
    }
}

/// A host name in lower case: labels of 1 to 63 ASCII characters, joined by
/// dots, of at most 253 bytes together (RFC 1035, section 2.3.4).
pub(crate) struct DottedName {
    /// The type in the words of the reference.
    kind: &'static str,
    /// The regular expression of the JSON Schema.
    pattern: &'static str,
    /// The minimum number of labels.
    fewest: usize,
    /// Whether a character may occur in a label.
    fits: fn(char) -> bool,
    /// The noun of the message.
    noun: &'static str,
    /// The remedy for a text that does not fit.
    fix: &'static str,
}

/// The name of a host, in any case and with underscores, which some internal
/// names have.
pub(crate) const HOST_NAME: DottedName = DottedName {
    kind: "the name of a host",
    pattern: "^[A-Za-z0-9._-]+$",
    fewest: 1,
    fits: |c| c.is_ascii_alphanumeric() || c == '-' || c == '_',
    noun: "a host name",
    fix: r#"write the host alone, without scheme, port or path, and in ASCII (xn--…), such as "shop.example""#,
};

/// A domain in its ASCII form (RFC 5890, A-labels): lower case, two labels or
/// more.
pub(crate) const DOMAIN: DottedName = DottedName {
    kind: "a domain",
    pattern: "^[a-z0-9-]{1,63}(\\.[a-z0-9-]{1,63})+$",
    fewest: 2,
    fits: |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-',
    noun: "a domain",
    fix: r#"write it in lower case, without scheme and port, such as "rights.example.com""#,
};

/// A trailing dot would be an empty label and is rejected. The value is in
/// lower case, because DNS names are compared without case (RFC 4343).
impl CheckedText for DottedName {
    fn kind(&self) -> String {
        self.kind.to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": self.pattern, "maxLength": 253})
    }

    fn check(&self, text: &str) -> Result<String, Invalid> {
        let label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(self.fits);
        let labels = text.split('.').count();
        if text.len() > 253 || labels < self.fewest || !text.split('.').all(label) {
            return Err(invalid(
                format!("{} is not {}", quote(text), self.noun),
                self.fix,
            ));
        }
        Ok(text.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::super::scalar::Scalar;
    use super::*;

    #[test]
    fn names_are_subject_tokens() {
        assert_eq!(NAME.parse("acme_1-x").unwrap(), "acme_1-x");
        for bad in ["", "Acme", "a b", "a.b", "é", "a>"] {
            assert!(NAME.parse(bad).is_err(), "{bad}");
        }
        assert!(
            NAME.parse("Acme Shop")
                .unwrap_err()
                .fix
                .contains("acme-shop")
        );
    }

    #[test]
    fn regions_are_plain_words() {
        assert_eq!(REGION.parse("eu-west-3").unwrap(), "eu-west-3");
        for bad in ["", "EU", "eu west", "eu_west", "é"] {
            assert!(REGION.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn domains_are_plain() {
        assert_eq!(
            DOMAIN.parse("rights.example.com").unwrap(),
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
            assert!(DOMAIN.parse(bad).is_err(), "{bad}");
        }
    }
}
