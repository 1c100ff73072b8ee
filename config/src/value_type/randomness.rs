//! Whether a secret may have been drawn at random.
//!
//! All keys of a brand derive from its secret, so that a text which somebody can guess
//! protects nothing, however long it is. Nobody can tell a random text from another for
//! certain, but what people type instead is regular: an alphabet, digits that count, rows
//! and columns of a keyboard, words that repeat.
//!
//! All of these have in common that a character follows from those before it. The test
//! counts the characters that do not, which are *new*. A character is not new if
//!
//! - its difference from the one before, together with the difference before that, stands
//!   earlier in the text: the text goes on as it went on before. Differences are taken in
//!   the order of the characters and in that of the keys of a keyboard, and between
//!   neighbours as well as between every other character (`01 02 03`);
//! - or it is part of three characters that stand earlier in the text.
//!
//! The invariant: a text that a generator drew, of 32 hexadecimal digits or more, has at
//! least [`NEW`] new characters but once in a hundred thousand draws.

use std::collections::BTreeSet;

/// Fewest different bytes of a secret. Of 32 random hexadecimal digits, the poorest
/// alphabet in use, fewer are different once in ten thousand draws.
const VARIETY: usize = 10;

/// Fewest new characters of a secret. 32 random hexadecimal digits have 31 on average.
const NEW: usize = 20;

/// Length of a run that counts as repeated, bytes.
const RUN: usize = 3;

/// The rows of a keyboard, without and with the shift key. The Y and the Z of other
/// countries change single keys of a row, and so only few differences.
const ROWS: [(&[u8], &[u8]); 4] = [
    (b"`1234567890-=", b"~!@#$%^&*()_+"),
    (b"qwertyuiop[]\\", b"QWERTYUIOP{}|"),
    (b"asdfghjkl;'", b"ASDFGHJKL:\""),
    (b"zxcvbnm,./", b"ZXCVBNM<>?"),
];

/// Why a text was not drawn at random; `None` if it may have been.
pub(super) fn why_not_random(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let different: BTreeSet<_> = bytes.iter().collect();
    if different.len() < VARIETY {
        return Some(format!("holds fewer than {VARIETY} different characters"));
    }
    let mut runs = repeated_runs(bytes);
    let repeated = runs.iter().filter(|is| **is).count();
    for order in [in_alphabet, on_keyboard] {
        let places: Vec<i32> = bytes.iter().map(|byte| order(*byte)).collect();
        for lag in [1, 2] {
            mark_regular(&places, lag, &mut runs);
        }
    }
    let new = runs.iter().filter(|is| !**is).count();
    if new >= NEW {
        return None;
    }
    Some(match repeated * 2 > bytes.len() - new {
        true => "repeats a short text".to_owned(),
        false => "runs through an alphabet, digits or the keys of a keyboard".to_owned(),
    })
}

/// The characters that are part of a run which stands earlier in the text.
fn repeated_runs(bytes: &[u8]) -> Vec<bool> {
    let mut repeated = vec![false; bytes.len()];
    let mut seen = BTreeSet::new();
    for (at, run) in bytes.windows(RUN).enumerate() {
        if !seen.insert(run) {
            repeated
                .iter_mut()
                .skip(at)
                .take(RUN)
                .for_each(|is| *is = true);
        }
    }
    repeated
}

/// Marks the characters whose two differences, taken at a distance of `lag`, stand
/// earlier in the text.
fn mark_regular(places: &[i32], lag: usize, marks: &mut [bool]) {
    let before = places.iter().zip(places.iter().skip(lag));
    let differences = before.zip(places.iter().skip(2 * lag));
    let mut seen = BTreeSet::new();
    for (((first, second), third), mark) in differences.zip(marks.iter_mut().skip(2 * lag)) {
        *mark |= !seen.insert((second - first, third - second));
    }
}

/// The place of a character among all.
fn in_alphabet(byte: u8) -> i32 {
    i32::from(byte)
}

/// The place of a character on a keyboard: keys beside each other differ by one, and
/// keys below each other by the same number everywhere. Characters that are on no key
/// stand far from all others, and from each other.
fn on_keyboard(byte: u8) -> i32 {
    let in_row = |row: &[u8]| row.iter().position(|key| *key == byte);
    let key = ROWS.iter().zip(0..).find_map(|((plain, shifted), row)| {
        let column = in_row(plain).or_else(|| in_row(shifted))?;
        Some(row * 64 + i32::try_from(column).ok()?)
    });
    key.unwrap_or(1000 + 100 * i32::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &[u8] = b"0123456789abcdef";
    const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    /// SplitMix64, so that every run draws the same.
    struct Random(u64);

    impl Random {
        fn draw(&mut self, alphabet: &[u8]) -> char {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let at = (mixed ^ (mixed >> 31)) % alphabet.len() as u64;
            char::from(alphabet[usize::try_from(at).unwrap()])
        }
    }

    /// Of a secret of 32 hexadecimal digits one in ten thousand is refused for its
    /// variety; no other is.
    #[test]
    fn what_a_generator_draws_passes() {
        let mut random = Random(1);
        for (alphabet, length, most) in [
            (HEX, 32, 10),
            (HEX, 64, 0),
            (BASE64, 32, 0),
            (BASE64, 64, 0),
        ] {
            let mut refused = 0;
            for _ in 0..20_000 {
                let text: String = (0..length).map(|_| random.draw(alphabet)).collect();
                refused += usize::from(why_not_random(&text).is_some());
            }
            assert!(refused <= most, "{refused} of {length} characters");
        }
    }

    #[test]
    fn what_people_type_is_refused_by_name() {
        for text in [
            "0123456789abcdef0123456789abcdef",
            "fedcba9876543210fedcba9876543210",
            "abcdefghijklmnopqrstuvwxyz012345",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            "zyxwvutsrqponmlkjihgfedcba987654",
            "12345678901234567890abcdefghijkl",
            "AaBbCcDdEeFfGgHhIiJjKkLlMmNnOoPp",
            "00112233445566778899aabbccddeeff",
            "0102030405060708090a0b0c0d0e0f10",
            "acegikmoqsuwybdfhjlnprtvxz135790",
            "qwertyuiopasdfghjklzxcvbnm123456",
            "qwertzuiopasdfghjklyxcvbnm123456",
            "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,",
            "QWERTYUIOPqwertyuiop1234567890!@",
            "!@#$%^&*()_+qwertyuiop[]asdfghjkl",
        ] {
            let why = why_not_random(text).unwrap_or_default();
            assert!(
                why.contains("keyboard") || why.contains("short text"),
                "{text}: {why}"
            );
        }
        for text in [
            "passwordpasswordsecretsecretadminadmin",
            "Correct-horse-7Correct-horse-7Correct-horse-7",
            "changemechangeme-please-changeme",
            "Passw0rd!1Passw0rd!2Passw0rd!3Passw0rd!4",
        ] {
            let why = why_not_random(text);
            assert_eq!(why.as_deref(), Some("repeats a short text"), "{text}");
        }
        let alphabet = why_not_random("abcdefghijklmnopqrstuvwxyz012345");
        assert!(alphabet.is_some_and(|why| why.starts_with("runs through an alphabet")));
    }
}
