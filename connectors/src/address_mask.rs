//! Masks MAC addresses in rejected lines.
//!
//! Where pings have a stream of their own, no address in clear is kept longer
//! than that stream keeps it, and dead letters are kept for days. The last
//! three bytes of an address are replaced, which identify the device; the first
//! three, which name its manufacturer, stay for whoever looks for the cause.

/// Replaces the last three bytes of each MAC address in a line by `x`, in every
/// notation that a ping may use. Returns whether there was one.
///
/// ```
/// use tributary_connectors::address_mask::mask_addresses;
///
/// let mut line = br#"{"mac":"3c:5a:b4:7e:01:99","ts":1759824000000}"#.to_vec();
/// assert!(mask_addresses(&mut line));
/// assert_eq!(line, br#"{"mac":"3c:5a:b4:xx:xx:xx","ts":1759824000000}"#);
/// ```
pub fn mask_addresses(line: &mut [u8]) -> bool {
    let (mut at, mut is_found, mut is_inside, mut is_joined) = (0, false, false, false);
    while let Some(rest) = line.get_mut(at..).filter(|rest| !rest.is_empty()) {
        let length = if is_inside { None } else { address_len(rest) };
        // The last part of a UUID and a telephone number are as long as an address without separators.
        let length = length.filter(|length| *length != BARE || !is_joined);
        if let Some(address) = length.and_then(|length| rest.get_mut(..length)) {
            let digits = address.iter_mut().filter(|byte| byte.is_ascii_hexdigit());
            digits.skip(6).for_each(|digit| *digit = b'x');
            is_found = true;
        }
        let first = rest.first().copied().unwrap_or_default();
        is_joined = first == b'+' || first == b'-' && is_inside;
        is_inside = length.is_some() || first.is_ascii_alphanumeric();
        at += length.unwrap_or(1);
    }
    is_found
}

/// The length of an address without separators, in bytes.
const BARE: usize = 12;

/// Replaces the last three bytes of each address by `x` that a line in JSON gives
/// as `mac`, in any notation, and nothing else. Returns whether there was one.
///
/// ```
/// use tributary_connectors::address_mask::mask_mac;
///
/// let mut line = br#"{"device":"38400000-8cf0-11bd-b23e-10b96e40000d","mac":"3c5a-b47e-0199"}"#.to_vec();
/// assert!(mask_mac(&mut line));
/// assert_eq!(line, br#"{"device":"38400000-8cf0-11bd-b23e-10b96e40000d","mac":"3c5a-b4xx-xxxx"}"#);
/// ```
pub fn mask_mac(line: &mut [u8]) -> bool {
    const NAME: &[u8] = b"\"mac\"";
    let (mut at, mut is_found) = (0, false);
    while let Some(rest) = line.get_mut(at..).filter(|rest| rest.len() > NAME.len()) {
        if !rest.starts_with(NAME) {
            at += 1;
            continue;
        }
        at += NAME.len();
        let value = rest.get_mut(NAME.len()..).unwrap_or_default();
        let mut quotes = 0;
        let value = value.iter_mut().take_while(|byte| {
            quotes += usize::from(**byte == b'"');
            // A value that is no text, or never ends, ends with the next field.
            quotes < 2 && !matches!(**byte, b',' | b'}' | b'\n')
        });
        for digit in value.filter(|byte| byte.is_ascii_hexdigit()).skip(6) {
            *digit = b'x';
            is_found = true;
        }
    }
    is_found
}

/// Masks the addresses in a rejected line of a kind, or of none. Returns whether
/// there was one. Of partners it looks at `mac` alone: others of their fields, such
/// as advertising ids, look like addresses.
///
/// ```
/// use tributary_connectors::address_mask::mask_line;
///
/// let mut line = b"{\"id\":\"3c5ab47e0199\"}".to_vec();
/// assert!(!mask_line(Some("partner"), &mut line) && !mask_line(Some("web"), &mut line));
/// assert!(mask_line(Some("ping"), &mut line));
/// ```
pub fn mask_line(kind: Option<&str>, line: &mut [u8]) -> bool {
    match kind {
        Some("partner") => mask_mac(line),
        None | Some("ping") => {
            let is_masked = mask_mac(line);
            mask_addresses(line) || is_masked
        }
        Some(_) => false,
    }
}

/// The length of the address with which a text begins, in bytes.
fn address_len(text: &[u8]) -> Option<usize> {
    // The length, the place of separators, and what they are.
    let notations: [(usize, usize, &[u8]); 3] =
        [(17, 3, b":-"), (14, 5, b"."), (BARE, BARE + 1, b"")];
    let is_address = |(length, every, separators): &(usize, usize, &[u8])| {
        let separator = text.get(every - 1).copied();
        let fits = |(at, byte): (usize, &u8)| match at % every == every - 1 {
            true => separators.contains(byte) && Some(*byte) == separator,
            false => byte.is_ascii_hexdigit(),
        };
        let address = text.get(..*length);
        let next = text.get(*length);
        address.is_some_and(|address| address.iter().enumerate().all(fits))
            && !next.is_some_and(u8::is_ascii_alphanumeric)
    };
    let found = notations.iter().find(|notation| is_address(notation));
    found.map(|(length, ..)| *length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        let mut line = text.as_bytes().to_vec();
        let is_found = mask_addresses(&mut line);
        let line = String::from_utf8_lossy(&line).into_owned();
        assert_eq!(is_found, line != text);
        line
    }

    #[test]
    fn every_notation_is_masked() {
        for (line, expected) in [
            ("3c:5a:b4:7e:01:99", "3c:5a:b4:xx:xx:xx"),
            ("\"3C-5A-B4-7E-01-99\"", "\"3C-5A-B4-xx-xx-xx\""),
            ("mac=3c5ab47e0199,", "mac=3c5ab4xxxxxx,"),
            ("3c5a.b47e.0199", "3c5a.b4xx.xxxx"),
            (
                "a 3c:5a:b4:7e:01:99 3c:5a:b4:7e:01:98",
                "a 3c:5a:b4:xx:xx:xx 3c:5a:b4:xx:xx:xx",
            ),
        ] {
            assert_eq!(masked(line), expected);
        }
    }

    #[test]
    fn a_mac_is_masked_in_any_notation_and_nothing_else() {
        for (text, expected) in [
            (
                r#"{"mac" : "3c5ab4-7e0199"}"#,
                r#"{"mac" : "3c5ab4-xxxxxx"}"#,
            ),
            (
                r#"{"mac":"3c 5a b4 7e 01 99","store":"b","mac":123456789012}"#,
                r#"{"mac":"3c 5a b4 xx xx xx","store":"b","mac":123456xxxxxx}"#,
            ),
            (r#"{"mac":"3c5ab47e01"#, r#"{"mac":"3c5ab4xxxx"#),
            (
                r#"{"mac":"","id":"3c5ab47e0199"}"#,
                r#"{"mac":"","id":"3c5ab47e0199"}"#,
            ),
        ] {
            let mut line = text.as_bytes().to_vec();
            assert_eq!(mask_mac(&mut line), text != expected);
            assert_eq!(String::from_utf8_lossy(&line), expected);
        }
    }

    #[test]
    fn nothing_else_is() {
        for line in [
            "",
            "1759824000000",
            "2026-11-29T10:00:00Z",
            "3c:5a-b4:7e:01:99",
            "3c5ab47e019",
            "a3c5ab47e0199f",
            "38400000-8cf0-11bd-b23e-10b96e40000d",
            "+491701234567",
            "0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(masked(line), line);
        }
    }
}
