//! The text of a cell in any supported character encoding.
//!
//! Encodings are those of the WHATWG Encoding Standard. Spreadsheets in western
//! Europe write windows-1252 although nothing in the file says so, hence the
//! automatic mode.

use std::borrow::Cow;

use tributary_config::model::Encoding;

/// The bytes of a cell as UTF-8. Bytes without a meaning in the encoding remain
/// unchanged, and the decoder rejects the record; only valid UTF-8 is
/// guaranteed to be returned as valid UTF-8.
pub fn decode(encoding: Encoding, cell: &[u8]) -> Cow<'_, [u8]> {
    let of = match encoding {
        Encoding::Utf8 => None,
        Encoding::Auto if std::str::from_utf8(cell).is_ok() => None,
        Encoding::Auto => Some(encoding_rs::WINDOWS_1252),
        Encoding::OneByte(label) => encoding_rs::Encoding::for_label(label.as_bytes()),
    };
    match of.map(|encoding| encoding.decode_without_bom_handling(cell)) {
        Some((Cow::Owned(text), false)) => Cow::Owned(text.into_bytes()),
        _ => Cow::Borrowed(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_utf_8() {
        let auto = |cell| decode(Encoding::Auto, cell).into_owned();
        assert_eq!(auto(b"Caf\xe9 \x80"), "Caf\u{e9} \u{20ac}".as_bytes());
        assert_eq!(auto("Caf\u{e9}".as_bytes()), "Caf\u{e9}".as_bytes());
        assert_eq!(auto(b""), b"");
        let polish = Encoding::OneByte("windows-1250");
        assert_eq!(
            *decode(polish, b"\xa3\xf3d\x9f"),
            *"\u{141}\u{f3}d\u{17a}".as_bytes()
        );
        let greek = Encoding::OneByte("windows-1253");
        assert_eq!(*decode(greek, b"\xd2"), *b"\xd2");
        assert_eq!(*decode(Encoding::Utf8, b"Caf\xe9"), *b"Caf\xe9");
    }

    #[test]
    fn every_label_of_the_configuration_is_an_encoding() {
        for label in [
            "windows-1250",
            "windows-1251",
            "windows-1252",
            "windows-1253",
            "windows-1254",
            "windows-1257",
            "iso-8859-2",
            "iso-8859-15",
            "macintosh",
        ] {
            let found = encoding_rs::Encoding::for_label(label.as_bytes());
            assert!(found.is_some_and(|found| found.is_single_byte()), "{label}");
        }
    }
}
