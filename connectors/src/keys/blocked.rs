//! Values that never identify anybody: the placeholders that software writes where it knows nothing.
//!
//! One such value, taken for an identifier, would make a single person of thousands. The list is the
//! specification's with its usual relatives and the brand's own; each is known in clear, compared in lower
//! case, and as the SHA-256 that a vendor would send of it.

use rustc_hash::FxHashSet;
use sha2::{Digest, Sha256};

/// Words without information, in lower case.
const WORDS: [&str; 27] = [
    "null",
    "(null)",
    "none",
    "(none)",
    "nil",
    "undefined",
    "unknown",
    "nan",
    "n/a",
    "na",
    "-1",
    "true",
    "false",
    "[]",
    "{}",
    "anonymous",
    "anon",
    "guest",
    "not set",
    "(not set)",
    "[object object]",
    "test@test.com",
    "test@example.com",
    "example@example.com",
    "none@none.com",
    "null@null.com",
    "noemail@noemail.com",
];

/// Spellings that vendors hash without lowering their case first.
const AS_WRITTEN: [&str; 9] = [
    "[object Object]",
    "NULL",
    "Null",
    "None",
    "NaN",
    "N/A",
    "NA",
    "Guest",
    "Anonymous",
];

const ZEROS: [&str; 4] = [
    "00000000-0000-0000-0000-000000000000",
    "00:00:00:00:00:00",
    "00-00-00-00-00-00",
    "000-000-0000",
];

/// The blocked values of a brand.
pub struct Blocked {
    words: FxHashSet<String>,
    longest: usize,
    digests: FxHashSet<[u8; 32]>,
}

impl Blocked {
    /// The built-in list with the brand's own words.
    pub fn new(own: &[String]) -> Blocked {
        let own = own.iter().map(|word| word.trim().to_lowercase());
        let words: FxHashSet<String> = WORDS.iter().map(|w| w.to_string()).chain(own).collect();
        let mut digests = FxHashSet::default();
        let mut block = |text: &str| digests.insert(Sha256::digest(text.as_bytes()).into());
        block("");
        for word in words.iter().map(String::as_str).chain(AS_WRITTEN) {
            block(word);
        }
        for zeros in ZEROS {
            block(zeros);
        }
        for length in 1..=40 {
            block(&"0".repeat(length));
        }
        Blocked {
            longest: words.iter().map(String::len).max().unwrap_or(0),
            words,
            digests,
        }
    }

    /// Whether a value in lower case is blocked. The empty one is.
    pub fn lower(&self, value: &str) -> bool {
        value.is_empty()
            || (value.len() <= self.longest && self.words.contains(value))
            || only_zeros(value)
    }

    /// Whether a value of any case is blocked.
    pub fn any_case(&self, value: &str) -> bool {
        let mut buffer = [0_u8; 64];
        match buffer.get_mut(..value.len()) {
            // A longer value can only be one of the brand's own, or nothing but zeros.
            None => {
                only_zeros(value)
                    || (value.len() <= self.longest && self.words.contains(&value.to_lowercase()))
            }
            Some(lower) if value.is_ascii() => {
                lower.copy_from_slice(value.as_bytes());
                lower.make_ascii_lowercase();
                std::str::from_utf8(lower).is_ok_and(|lower| self.lower(lower))
            }
            Some(_) => self.lower(&value.to_lowercase()),
        }
    }

    /// Whether a SHA-256 is that of a blocked value.
    pub fn digest(&self, digest: &[u8; 32]) -> bool {
        self.digests.contains(digest)
    }
}

/// Zeros, with or without separators; anything but a letter or a digit separates, as in a MAC.
fn only_zeros(value: &str) -> bool {
    // Most values end here.
    if value
        .bytes()
        .any(|c| c.is_ascii_alphanumeric() && c != b'0')
    {
        return false;
    }
    value.contains('0') && !value.chars().any(|c| c != '0' && c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_blocked_in_any_case_and_hashed() {
        let blocked = Blocked::new(&["House Account".to_owned()]);
        for value in [
            "",
            "NULL",
            "None",
            "undefined",
            "NaN",
            "0",
            "0000",
            "00:00:00:00:00:00",
            "anonymous",
            "Guest",
            "[object Object]",
            "test@test.com",
            "house account",
        ] {
            assert!(blocked.any_case(value), "{value}");
            assert!(blocked.lower(&value.to_lowercase()), "{value}");
            assert!(blocked.digest(&Sha256::digest(value.to_lowercase()).into()));
        }
        for zeros in [
            "00-00",
            "0.0",
            "+00 (0) 00",
            "0_0",
            "0,0",
            "{00000000-0000-0000-0000-000000000000}",
            "0\u{2013}0",
        ] {
            assert!(blocked.any_case(zeros), "{zeros}");
        }
        for value in [
            "01",
            "nancy",
            "-",
            "guest2",
            "jane@example.org",
            "1",
            "0x0",
            "0\u{e9}",
        ] {
            assert!(!blocked.any_case(value), "{value}");
            assert!(!blocked.digest(&Sha256::digest(value).into()));
        }
    }
}
