//! Canonical forms: what all spellings of one value have in common.
//!
//! | kind | form |
//! |---|---|
//! | e-mail address | NFC, trimmed, lower case, without what mail programs add ([`email`]), domain in ASCII |
//! | phone and customer number | NFC, trimmed, lower case; a phone number then becomes E.164 |
//! | cookie, wallet, device | NFC and trimmed, case kept |
//! | name and postcode | NFC, trimmed, lower case |
//!
//! NFC is Unicode's normalization form C (UAX 15), lower case its default full
//! mapping. Vendors continue from there, each in its own way ([`forms`]), which
//! is why one address has several digests. Buffers of clear text are
//! overwritten when they are dropped.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER_PERMISSIVE;
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use tributary_config::model::HashRule;
use tributary_operators::record::IdKind;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// NFC and trimmed, case kept. Replaces the content of `out`.
pub fn opaque(text: &str, out: &mut String) {
    out.clear();
    append_nfc(text.trim(), out);
}

/// Whether a text is a UUID (RFC 9562, section 4), whose case has no meaning.
pub fn is_uuid(text: &str) -> bool {
    let mut groups = text.split('-').map(|group| {
        let is_hex = group.bytes().all(|c| c.is_ascii_hexdigit());
        is_hex.then_some(group.len())
    });
    [8, 4, 4, 4, 12]
        .map(Some)
        .into_iter()
        .all(|length| groups.next() == Some(length))
        && groups.next().is_none()
}

/// NFC, trimmed and in lower case. Replaces the content of `out`.
pub fn lower(text: &str, out: &mut String) {
    out.clear();
    let text = text.trim();
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        let mut composed = Zeroizing::new(String::with_capacity(text.len()));
        append_nfc(text, &mut composed);
        let lower = Zeroizing::new(composed.to_lowercase());
        out.push_str(lower.trim());
    }
}

/// The canonical form of an e-mail address. Replaces the content of `out`.
///
/// Removes characters of no width, `mailto:` (RFC 6068), a display name and
/// angle brackets (RFC 5322, `name-addr`), quotation marks around the address,
/// and trailing dots, commas and semicolons;
/// converts the domain to ASCII (UTS 46, non-transitional). The local part is
/// put in lower case although RFC 5321 lets it differ by case, because mail
/// providers ignore its case and people vary it.
pub fn email(text: &str, out: &mut String) {
    if text.is_ascii() {
        lower(text, out);
    } else {
        let mut visible = Zeroizing::new(String::with_capacity(text.len()));
        visible.extend(text.chars().filter(|c| !has_no_width(*c)).map(narrow));
        lower(&visible, out);
    }
    let address = address(out);
    if address.len() < out.len() {
        let address = Zeroizing::new(address.to_owned());
        out.clear();
        out.push_str(&address);
    }
    // A link that encodes the @ encodes all of the address.
    if !out.contains('@') && out.contains("%40") {
        let decoded = percent_encoding::percent_decode_str(out).decode_utf8();
        if let Ok(decoded) = decoded.map(|decoded| Zeroizing::new(decoded.into_owned())) {
            out.clear();
            out.push_str(&decoded);
        }
    }
    if !out.is_ascii() {
        domain_to_ascii(out);
    }
}

/// The address inside `Jane Doe <mailto:jane@example.org?subject=x>,`.
fn address(text: &str) -> &str {
    let text = without_end(text);
    let inner = text
        .strip_suffix('>')
        .and_then(|text| text.rsplit_once('<'));
    let text = inner.map_or(text, |(_, inner)| inner.trim());
    let text = match text.strip_prefix("mailto:") {
        Some(link) => link.split('?').next().unwrap_or_default(),
        None => text,
    };
    let text = without_end(text).trim_start();
    // A spreadsheet leaves the marks that it put around a text.
    let quoted = ['\'', '"'].into_iter().find_map(|mark| {
        let inner = text.strip_prefix(mark)?.strip_suffix(mark)?;
        (inner.contains('@') && !inner.contains(mark)).then_some(inner)
    });
    quoted.unwrap_or(text).trim()
}

/// Removes dots, commas, semicolons and white space at the end.
fn without_end(text: &str) -> &str {
    text.trim_end_matches(|c: char| matches!(c, '.' | ',' | ';') || c.is_whitespace())
}

/// Whether a character shows nothing and takes no room: soft hyphen, byte order
/// mark, joiners, marks of direction (Unicode property
/// `Default_Ignorable_Code_Point`, the part that occurs in pasted text).
fn has_no_width(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}')
}

/// Converts a full-width `@` or digit to its ASCII character.
fn narrow(c: char) -> char {
    match c {
        '\u{ff20}' => '@',
        '\u{ff10}'..='\u{ff19}' => {
            let digit = u32::from(c) - 0xff10;
            char::from_digit(digit, 10).unwrap_or(c)
        }
        c => c,
    }
}

/// Converts the domain of an address to the form in which the DNS stores it. A
/// domain without such a form stays as it is.
fn domain_to_ascii(address: &mut String) {
    let Some((local, domain)) = address.rsplit_once('@') else {
        return;
    };
    let length = local.len() + 1;
    let (deny, hyphens) = (AsciiDenyList::EMPTY, Hyphens::Allow);
    let ascii = Uts46::new().to_ascii(domain.as_bytes(), deny, hyphens, DnsLength::Ignore);
    if let Ok(ascii) = ascii {
        let ascii = Zeroizing::new(ascii.into_owned());
        address.truncate(length);
        address.push_str(without_end(&ascii));
    }
}

/// The digest that a value already is: 64 hex digits, or, under the UID2 rule,
/// which sends base64, 44 characters of base64. `clear` is the value's lower
/// case.
pub fn digest(text: &str, clear: &str, rule: HashRule) -> Option<[u8; 32]> {
    if clear.len() == 64 {
        return hex_digest(clear);
    }
    if rule == HashRule::Uid2 && clear.len() == 44 {
        return STANDARD.decode(text.trim()).ok()?.try_into().ok();
    }
    None
}

/// The 32 bytes of 64 hex digits in any case; `None` for any other text.
pub fn hex_digest(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut digest = [0; 32];
    HEXLOWER_PERMISSIVE
        .decode_mut(text.as_bytes(), &mut digest)
        .ok()?;
    Some(digest)
}

/// Calls `each` with every form of a canonical value that vendors hash under a
/// rule.
///
/// There is one form, with one exception: Google's formatter keeps the
/// `+suffix` of a Gmail address, while other senders remove it, so both are
/// produced. A Gmail address without a local part has none.
pub fn forms(kind: IdKind, rule: HashRule, clear: &str, mut each: impl FnMut(&str)) {
    let gmail: &[&str] = match (kind, rule) {
        (IdKind::Phone, HashRule::Meta) => return each(clear.trim_start_matches('+')),
        (IdKind::Email, HashRule::Google) => &["gmail.com", "googlemail.com"],
        (IdKind::Email, HashRule::Uid2) => &["gmail.com"],
        _ => &[],
    };
    let Some((local, domain)) = clear
        .rsplit_once('@')
        .filter(|(_, domain)| gmail.contains(domain))
    else {
        return each(clear);
    };
    let mut form = Zeroizing::new(String::with_capacity(clear.len()));
    let mut without_dots = |local: &str| {
        form.clear();
        form.extend(local.chars().filter(|&c| c != '.'));
        let is_name = !form.is_empty();
        form.push('@');
        form.push_str(domain);
        if is_name {
            each(&form);
        }
    };
    let suffixed = local.split_once('+');
    if rule == HashRule::Google && suffixed.is_some() {
        without_dots(local);
    }
    without_dots(suffixed.map_or(local, |(name, _)| name));
}

/// Appends the NFC of a text.
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

    fn emails(rule: HashRule, clear: &str) -> Vec<String> {
        let mut found = Vec::new();
        forms(IdKind::Email, rule, clear, |form| {
            found.push(form.to_owned())
        });
        found
    }

    #[test]
    fn vendors_disagree_about_addresses() {
        let clear = "jane.doe+sh.op@gmail.com";
        assert_eq!(emails(HashRule::Plain, clear), [clear]);
        assert_eq!(emails(HashRule::Meta, clear), [clear]);
        let both = ["janedoe+shop@gmail.com", "janedoe@gmail.com"];
        assert_eq!(emails(HashRule::Google, clear), both);
        assert_eq!(emails(HashRule::Uid2, clear), ["janedoe@gmail.com"]);
        let old = "jane.doe@googlemail.com";
        assert_eq!(emails(HashRule::Google, old), ["janedoe@googlemail.com"]);
        assert_eq!(emails(HashRule::Uid2, old), [old]);
        let own = "jane.doe+shop@example.org";
        assert_eq!(emails(HashRule::Google, own), [own]);
        // Without a name there is nobody to meet.
        assert_eq!(
            emails(HashRule::Google, "+shop@gmail.com"),
            ["+shop@gmail.com"]
        );
        assert!(emails(HashRule::Google, ".@gmail.com").is_empty());
    }

    #[test]
    fn spellings_of_one_address_meet() {
        let mut out = String::new();
        for text in [
            "jane.doe@example.org",
            " Jane.Doe@Example.ORG ",
            "mailto:jane.doe@example.org",
            "MAILTO:Jane.Doe@example.org?subject=Hello,%20you.",
            "Jane Doe <jane.doe@example.org>",
            "\"Doe, Jane\" < jane.doe@example.org >,",
            "<mailto:jane.doe@example.org>",
            "jane.doe@example.org.",
            "jane.doe@example.org, ",
            "jane.doe@example.org ,.",
            "jane.doe@example.org;",
            "Jane Doe <jane.doe@example.org>; ",
            "'jane.doe@example.org'",
            "\"Jane.Doe@example.org\",",
            "mailto:jane.doe%40example.org",
            "\u{feff}jane.doe@example.org",
            "jane.\u{200b}doe@exam\u{ad}ple.org\u{2060}",
            "jane\u{200d}.doe\u{200c}@example.org\u{200e}",
            "jane.doe\u{ff20}example.org",
            "jane.doe\u{ff20}example\u{3002}org\u{3002}",
        ] {
            email(text, &mut out);
            assert_eq!(out, "jane.doe@example.org", "{text:?}");
        }
        for (text, ascii) in [
            ("z\u{f6}e@M\u{dc}NCHEN.de", "z\u{f6}e@xn--mnchen-3ya.de"),
            ("z\u{f6}e@mu\u{308}nchen.de", "z\u{f6}e@xn--mnchen-3ya.de"),
            ("zo\u{308}e@XN--MNCHEN-3YA.DE", "z\u{f6}e@xn--mnchen-3ya.de"),
            ("a@fa\u{df}.de", "a@xn--fa-hia.de"),
            ("a@\u{4f8b}\u{3048}.jp.", "a@xn--r8jz45g.jp"),
            ("a\u{ff11}\u{ff12}@example.org", "a12@example.org"),
            ("a+b@example.org", "a+b@example.org"),
            // What is no domain stays, and so does what is no address.
            ("\u{e9}@", "\u{e9}@"),
            ("a@\u{e9}\u{fffd}", "a@\u{e9}\u{fffd}"),
            ("\u{e9}t\u{e9}", "\u{e9}t\u{e9}"),
            ("mailto:", ""),
            ("Jane <>", ""),
            ("?", "?"),
        ] {
            email(text, &mut out);
            assert_eq!(out, ascii, "{text:?}");
        }
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
