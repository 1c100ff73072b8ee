//! Canonical forms: what two spellings of one value have in common.
//!
//! E-mail addresses, phone and customer numbers are NFC, trimmed, lower case; cookies, wallets and
//! devices keep their case; names and postcodes also lose repeated spaces inside. Vendors go on from there
//! each in its own way ([`under`]), which is why one address has several digests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tributary_config::model::HashRule;
use tributary_operators::record::IdKind;
use unicode_normalization::UnicodeNormalization;

/// NFC and trimmed, case kept. Replaces what `out` holds.
pub fn opaque(text: &str, out: &mut String) {
    out.clear();
    append_nfc(text.trim(), out);
}

/// NFC, trimmed and in lower case. Replaces what `out` holds.
pub fn lower(text: &str, out: &mut String) {
    out.clear();
    let text = text.trim();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        let mut composed = zeroize::Zeroizing::new(String::with_capacity(text.len()));
        append_nfc(text, &mut composed);
        let lower = zeroize::Zeroizing::new(composed.to_lowercase());
        out.push_str(lower.trim());
    }
}

/// The digest that a value already is: 64 hex digits, or under the UID2 rule, which is sent in base64,
/// 44 characters of it. `clear` is the value's lower-case form.
pub fn digest(text: &str, clear: &str, rule: HashRule) -> Option<[u8; 32]> {
    if clear.len() == 64 {
        return hex_digest(clear);
    }
    if rule == HashRule::Uid2 && clear.len() == 44 {
        return STANDARD.decode(text.trim()).ok()?.try_into().ok();
    }
    None
}

/// The 32 bytes that 64 hex digits of any case write.
pub fn hex_digest(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = hex(*high)? << 4 | hex(*low)?;
    }
    Some(digest)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The form of a canonical value that a vendor's rule hashes.
pub fn under<'a>(kind: IdKind, rule: HashRule, clear: &'a str, form: &'a mut String) -> &'a str {
    match (kind, rule) {
        (IdKind::Email, HashRule::Google) => {
            without_dots(clear, &["gmail.com", "googlemail.com"], form)
        }
        (IdKind::Email, HashRule::Uid2) => without_dots(clear, &["gmail.com"], form),
        (IdKind::Phone, HashRule::Meta) => clear.trim_start_matches('+'),
        _ => clear,
    }
}

/// Without the dots and the `+suffix` of the local part, where the domain ignores them.
fn without_dots<'a>(clear: &'a str, domains: &[&str], form: &'a mut String) -> &'a str {
    let Some((local, domain)) = clear.rsplit_once('@') else {
        return clear;
    };
    if !domains.contains(&domain) {
        return clear;
    }
    let local = local.split_once('+').map_or(local, |(name, _)| name);
    form.clear();
    form.extend(local.chars().filter(|&c| c != '.'));
    form.push('@');
    form.push_str(domain);
    form
}

fn append_nfc(text: &str, out: &mut String) {
    if text.is_ascii() {
        out.push_str(text);
    } else {
        out.extend(text.nfc());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(rule: HashRule, clear: &str) -> String {
        under(IdKind::Email, rule, clear, &mut String::new()).to_owned()
    }

    #[test]
    fn vendors_disagree_about_addresses() {
        let clear = "jane.doe+shop@gmail.com";
        assert_eq!(email(HashRule::Plain, clear), clear);
        assert_eq!(email(HashRule::Meta, clear), clear);
        assert_eq!(email(HashRule::Google, clear), "janedoe@gmail.com");
        assert_eq!(email(HashRule::Uid2, clear), "janedoe@gmail.com");
        let old = "jane.doe@googlemail.com";
        assert_eq!(email(HashRule::Google, old), "janedoe@googlemail.com");
        assert_eq!(email(HashRule::Uid2, old), old);
        let own = "jane.doe+shop@example.org";
        assert_eq!(email(HashRule::Google, own), own);
    }

    #[test]
    fn composition_case_and_spaces_do_not_matter() {
        let mut out = String::new();
        lower("  ZOE\u{308}@Example.ORG\n", &mut out);
        assert_eq!(out, "zo\u{eb}@example.org");
        out.clear();
        opaque(" GA1.2.Ab ", &mut out);
        assert_eq!(out, "GA1.2.Ab");
    }
}
