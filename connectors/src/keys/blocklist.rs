//! The blocklist: values that never identify anyone, such as placeholders,
//! zeros, and text without a letter or a digit.
//!
//! One such value, read as an identifier, would merge thousands of people into
//! one. The list consists of [`tributary_config::placeholders`] and the brand's
//! own values. Each entry matches in clear, in any case and without surrounding
//! quotes, and as the SHA-256 that a vendor would send for each of its usual
//! spellings.
//!
//! A match costs one hash lookup for almost every value; only values without
//! ASCII letters and nonzero digits are examined character by character.

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use rustc_hash::FxHashSet;
use sha2::{Digest, Sha256};
use tributary_config::placeholders::{OBJECT, OBJECTS, PLACEHOLDERS};

use super::canonical;
use super::phone::{self, Region};

/// Spellings of placeholders that are neither in one case nor capitalized.
const AS_WRITTEN: [&str; 3] = ["NaN", "NaT", "#N/a"];

/// Zeros with the punctuation of a UUID, a MAC, a phone number or a decimal;
/// needed for their digests.
const ZEROS: [&str; 7] = [
    "00000000-0000-0000-0000-000000000000",
    "00:00:00:00:00:00",
    "00-00-00-00-00-00",
    "000-000-0000",
    "(000) 000-0000",
    "0.0",
    "0.00",
];

/// The digits of a national number behind its calling code.
const NATIONAL_NUMBER: std::ops::RangeInclusive<usize> = 6..=12;
/// The longest run of zeros whose digest is known.
const LONGEST_ZEROS: usize = 40;
/// The longest run of one punctuation character whose digest is known.
const LONGEST_MARKS: usize = 8;

/// The blocked values of a brand.
pub struct Blocklist {
    /// The blocked values in lower case, without surrounding quotes; never the
    /// empty text.
    words: FxHashSet<String>,
    /// The length of the longest word, bytes.
    longest: usize,
    /// The SHA-256 of every usual spelling.
    digests: FxHashSet<[u8; 32]>,
}

impl Blocklist {
    /// The placeholders with the brand's own values. Each own value is blocked
    /// in every form in which a record would be read: as an e-mail address, and
    /// as a phone number of the region.
    pub fn new(own: &[String], region: Region) -> Blocklist {
        let mut words: FxHashSet<String> = PLACEHOLDERS.map(str::to_owned).into_iter().collect();
        let mut form = String::new();
        for value in own {
            canonical::email(value, &mut form);
            words.insert(form.clone());
            canonical::lower(value, &mut form);
            words.extend(phone::e164(region, &form).map(|number| number.to_string()));
            words.insert(bare(&form).to_owned());
        }
        words.remove("");
        Blocklist {
            digests: digests(&words),
            longest: words.iter().map(String::len).max().unwrap_or(0),
            words,
        }
    }

    /// Whether a value in any case is blocked. The empty value is.
    pub fn contains(&self, value: &str) -> bool {
        let bare = bare(value);
        if !bare.bytes().any(|c| c.is_ascii_alphanumeric() && c != b'0') {
            // Few values come here.
            return only_zeros(bare) || only_marks(bare) || self.has_word(bare);
        }
        self.has_word(bare)
    }

    /// Whether a SHA-256 is that of a blocked value.
    pub fn contains_digest(&self, digest: &[u8; 32]) -> bool {
        self.digests.contains(digest)
    }

    /// Whether the lower case of a text without surrounding quotes is a blocked
    /// word.
    fn has_word(&self, bare: &str) -> bool {
        // Lower case may have fewer bytes, but never fewer than a third.
        if bare.len() > self.longest.max(LONGEST_ZEROS) * 3 {
            return false;
        }
        let mut buffer = [0_u8; 64];
        match buffer.get_mut(..bare.len()) {
            Some(lower) if bare.is_ascii() => {
                lower.copy_from_slice(bare.as_bytes());
                lower.make_ascii_lowercase();
                std::str::from_utf8(lower).is_ok_and(|lower| self.has_lower(lower))
            }
            _ => {
                let mut lower = zeroize::Zeroizing::new(String::with_capacity(bare.len()));
                lower.extend(bare.chars().map(narrow).flat_map(char::to_lowercase));
                self.has_lower(&lower)
            }
        }
    }

    /// Whether a text in lower case is a blocked word or `[object …]`.
    fn has_lower(&self, lower: &str) -> bool {
        let [begin, end] = OBJECT;
        self.words.contains(lower) || (lower.starts_with(begin) && lower.ends_with(end))
    }
}

/// Whether a text is no value but what stands for one that is missing: a placeholder, marks alone, or a template that nobody
/// filled in. Zeros are values here.
///
/// ```
/// use tributary_connectors::keys::is_placeholder;
///
/// assert!(is_placeholder("(not set)") && is_placeholder("{{order_id}}") && is_placeholder("--"));
/// assert!(!is_placeholder("0") && !is_placeholder("A-1"));
/// ```
pub fn is_placeholder(text: &str) -> bool {
    const TEMPLATES: [[&str; 2]; 3] = [["{", "}"], ["${", "}"], ["%%", "%%"]];
    let bare = bare(text);
    let [begin, end] = OBJECT;
    let starts = bare.get(..begin.len());
    PLACEHOLDERS
        .iter()
        .any(|word| word.eq_ignore_ascii_case(bare))
        || only_marks(bare)
        || (starts.is_some_and(|start| start.eq_ignore_ascii_case(begin)) && bare.ends_with(end))
        || TEMPLATES
            .iter()
            .any(|[begin, end]| bare.starts_with(begin) && bare.ends_with(end))
}

/// The SHA-256 of every usual spelling of the words: case and quotes vary,
/// zeros and marks repeat.
fn digests(words: &FxHashSet<String>) -> FxHashSet<[u8; 32]> {
    let mut digests = FxHashSet::default();
    let mut block = |text: &str| {
        digests.insert(Sha256::digest(text.as_bytes()).into());
    };
    let mut in_quotes = |text: &str| {
        block(text);
        block(&format!("\"{text}\""));
        block(&format!("'{text}'"));
    };
    in_quotes("");
    let written = AS_WRITTEN.map(str::to_owned).into_iter();
    let objects = OBJECTS.map(|object| format!("[object {object}]"));
    for word in words.iter().cloned().chain(written).chain(objects) {
        in_quotes(&word);
        in_quotes(&word.to_lowercase());
        in_quotes(&word.to_uppercase());
        in_quotes(&initials(&word, |_| false));
        in_quotes(&initials(&word, |c| c == '@'));
        in_quotes(&initials(&word, |c| !c.is_alphanumeric()));
    }
    for zeros in ZEROS {
        in_quotes(zeros);
    }
    for length in 1..=LONGEST_ZEROS {
        in_quotes(&"0".repeat(length));
        in_quotes(&format!("+{}", "0".repeat(length)));
    }
    // A number of zeros behind a calling code, which vendors hash with and without its plus.
    for code in phone::calling_codes() {
        for length in NATIONAL_NUMBER {
            let number = format!("+{code}{}", "0".repeat(length));
            in_quotes(number.trim_start_matches('+'));
            in_quotes(&number);
        }
    }
    for mark in (b' '..=b'~')
        .map(char::from)
        .filter(|c| !c.is_alphanumeric())
    {
        for length in 1..=LONGEST_MARKS {
            in_quotes(&mark.to_string().repeat(length));
        }
    }
    digests
}

/// Capitalizes the first letter, and those that follow a character before which a word ends.
fn initials(word: &str, ends: impl Fn(char) -> bool) -> String {
    let (mut out, mut begins) = (String::with_capacity(word.len()), true);
    for c in word.chars() {
        match begins && c.is_alphabetic() {
            true => out.extend(c.to_uppercase()),
            false => out.push(c),
        }
        begins = match c.is_alphanumeric() {
            true => false,
            false => begins || ends(c),
        };
    }
    out
}

/// Removes white space and quotation marks of any script at both ends.
fn bare(value: &str) -> &str {
    let is_quote = |c: char| match c {
        '"' | '\'' | '`' | '\u{b4}' => true,
        c if c.is_ascii() => c.is_ascii_whitespace(),
        '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}' => true,
        '\u{300c}'..='\u{300f}' | '\u{ff02}' | '\u{ff07}' => true,
        c => c.is_whitespace(),
    };
    value.trim_matches(is_quote)
}

/// A character of full width (Unicode block Halfwidth and Fullwidth Forms) as that of ASCII.
fn narrow(c: char) -> char {
    let ascii = match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        _ => None,
    };
    ascii.unwrap_or(c)
}

/// Whether a text contains zeros and nothing else but separators; anything
/// other than a letter or a digit separates, as in a MAC.
fn only_zeros(value: &str) -> bool {
    // The zeros of ASCII, of Arabic and its extended form, of Devanagari, and of full width.
    let is_zero = |c| matches!(c, '0' | '\u{660}' | '\u{6f0}' | '\u{966}' | '\u{ff10}');
    value.contains(is_zero) && !value.chars().any(|c| !is_zero(c) && c.is_alphanumeric())
}

/// Whether a text contains only punctuation, symbols, format characters
/// (Unicode general categories P, S and Cf) and white space; true for the empty
/// text.
fn only_marks(value: &str) -> bool {
    let categories = CodePointMapData::<GeneralCategory>::new();
    value.chars().all(|c| {
        let category = categories.get(c);
        c.is_ascii_punctuation()
            || c.is_whitespace()
            || category == GeneralCategory::Format
            || GeneralCategoryGroup::Punctuation.contains(category)
            || GeneralCategoryGroup::Symbol.contains(category)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked() -> Blocklist {
        let own = [
            "House Account",
            "Till@Acme.FR",
            "01 42 68 53 00",
            "\u{c9}T\u{c9}",
        ];
        Blocklist::new(&own.map(str::to_owned), Region::of(Some("FR")))
    }

    fn is_digest_blocked(blocked: &Blocklist, text: &str) -> bool {
        blocked.contains_digest(&Sha256::digest(text).into())
    }

    #[test]
    fn every_placeholder_is_blocked_in_every_usual_spelling_in_clear_and_hashed() {
        let blocked = blocked();
        let mut tried = 0;
        let objects = OBJECTS.map(|object| format!("[object {object}]"));
        let own = ["house account", "till@acme.fr"].map(str::to_owned);
        let words = PLACEHOLDERS.map(str::to_owned).into_iter().chain(objects);
        for word in words.chain(own) {
            let mut capital = word.to_lowercase();
            if let Some(first) = capital.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            for text in [word.to_lowercase(), word.to_uppercase(), word, capital] {
                for text in [text.clone(), format!("\"{text}\""), format!("'{text}'")] {
                    assert!(blocked.contains(&text), "{text}");
                    assert!(is_digest_blocked(&blocked, &text), "{text}");
                    tried += 1;
                }
                for text in [format!(" {text}\n"), format!("\u{201c}{text}\u{201d}")] {
                    assert!(blocked.contains(&text), "{text}");
                }
            }
        }
        assert!(tried > 1000, "{tried}");
        for text in [
            "Undefined",
            "[object Object]",
            "[Object Object]",
            "NaN",
            "N/A",
            "Not Set",
        ] {
            assert!(is_digest_blocked(&blocked, text), "{text}");
        }
    }

    #[test]
    fn zeros_and_marks_are_blocked() {
        let blocked = blocked();
        for value in [
            "",
            " ",
            "''",
            "0",
            "0000",
            "00:00:00:00:00:00",
            "00-00",
            "0.0",
            "+00 (0) 00",
            "0_0",
            "0,0",
            "{00000000-0000-0000-0000-000000000000}",
            "0\u{2013}0",
            "\u{ff10}\u{ff10}",
            "-",
            "--",
            "---",
            ".",
            "?",
            "_",
            "*",
            "$",
            "\u{2014}",
            "\u{ff0d}",
            "\u{2026}",
            "\u{20ac}",
            "\u{200b}",
            "- \u{feff}-",
            "\u{1f600}",
            "\u{24d0}",
            "\u{ff2e}\u{ff35}\u{ff2c}\u{ff2c}",
            "\u{660}\u{660}\u{660}",
        ] {
            assert!(blocked.contains(value), "{value:?}");
        }
        for value in [
            "",
            "0",
            "000000",
            "-",
            "--",
            "----",
            "_",
            "?",
            "\"\"",
            "+000",
            "+33000000000",
            "33000000000",
            "+10000000000",
            "Test@Test.com",
        ] {
            assert!(is_digest_blocked(&blocked, value), "{value}");
        }
    }

    #[test]
    fn a_brands_own_values_are_blocked_in_every_spelling() {
        let blocked = blocked();
        for value in [
            "HOUSE ACCOUNT",
            "till@acme.fr",
            "+33142685300",
            "\u{e9}t\u{e9}",
        ] {
            assert!(blocked.contains(value), "{value}");
        }
        assert!(is_digest_blocked(&blocked, "+33142685300"));
        assert!(is_digest_blocked(&blocked, "till@acme.fr"));
    }

    #[test]
    fn what_names_somebody_is_not_blocked() {
        let blocked = blocked();
        for value in [
            "01",
            "nancy",
            "guest2",
            "guest house",
            "jane@example.org",
            "'jane@example.org'",
            "1",
            "-2",
            "0x0",
            "0\u{e9}",
            "\u{e9}",
            "\u{5b57}",
            "\u{ff11}",
            "[objects]",
            "test@test.community",
            "a-",
        ] {
            assert!(!blocked.contains(value), "{value}");
            assert!(!is_digest_blocked(&blocked, value), "{value}");
        }
        let long = format!("null{}", "x".repeat(2000));
        assert!(!blocked.contains(&long));
    }
}
