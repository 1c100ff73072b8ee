//! The scanner beside `serde_json`: on objects of every kind, on damaged ones, and on any text.

use super::*;
use proptest::prelude::*;
use serde_json::value::RawValue;

/// The members by `serde_json`; `None` if it refuses the text.
fn expected(text: &str) -> Option<Vec<(String, String)>> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<M: serde::de::MapAccess<'de>>(
            self,
            mut map: M,
        ) -> Result<Self::Value, M::Error> {
            let mut members = Vec::new();
            while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                members.push((key, value.get().to_owned()));
            }
            Ok(members)
        }
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let members = serde::Deserializer::deserialize_map(&mut json, Members).ok()?;
    json.end().ok()?;
    Some(members)
}

/// What is found, and whether the text was read to its end.
fn found(text: &str) -> (Vec<(String, String)>, bool) {
    let mut found = Vec::new();
    let end = members(text, |key, value| {
        assert_eq!(value, Raw::of(value.text));
        found.push((key.to_owned(), value.text.to_owned()));
    });
    (found, end.is_some())
}

/// Whatever is found, `serde_json` finds too; whether the scanner read all.
fn check(text: &str) -> bool {
    let (found, is_whole) = found(text);
    let expected = expected(text);
    if is_whole {
        assert_eq!(Some(found), expected, "{text}");
    } else if let Some(expected) = expected {
        assert!(expected.starts_with(&found), "{text}");
    }
    is_whole
}

#[test]
fn ordinary_objects_are_read_to_their_end() {
    for text in [
        "{}",
        " {\t} \r\n",
        r#"{"a":1}"#,
        r#" { "a" : -0.5e+10 , "b":[ ] , "a":{ "c" : [ 1 , {} , [ "]" ] ] } } "#,
        r#"{"":"","é":"\"\\\/\b\f\n\r\tAé€😀 long enough for several words"}"#,
        r#"{"id":"w1","x":"\u0041\ud800","t":true,"f":false,"n":null,"z":0,"y":-0}"#,
        "{\"a\":\"\u{7f}\u{80}\u{a0}\"}",
    ] {
        assert!(check(text), "{text}");
    }
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(check(&nested(DEPTH as usize)));
    assert!(!check(&nested(DEPTH as usize + 1)));
}

#[test]
fn everything_else_is_for_the_library() {
    for text in [
        "",
        " ",
        "[]",
        "1",
        "{",
        "{}x",
        "{} {}",
        "{,}",
        r#"{"a":1,}"#,
        r#"{"a":}"#,
        r#"{"a" 1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":01}"#,
        r#"{"a":-}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":1e}"#,
        r#"{"a":+1}"#,
        r#"{"a":NaN}"#,
        r#"{"a":tru}"#,
        r#"{"a":truey}"#,
        r#"{"a":"x}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u00g0"}"#,
        r#"{"a":"\u00"}"#,
        r#"{"\u0061":1}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":[}]}"#,
        r#"{"a":{1:2}}"#,
        r#"{"a":{"b":1,}}"#,
        r#"{"a":{"b"}}"#,
        r#"{'a':1}"#,
        "{\"a\":\"\n\"}",
        "{\"a\u{1}\":1}",
        "{\"a\":\u{a0}1}",
        "\u{feff}{}",
    ] {
        assert!(!check(text), "{text}");
    }
}

#[test]
fn eight_digits_are_told_from_anything_else() {
    for byte in 0..=255_u8 {
        for place in 0..8 {
            for other in [b'0', b'9'] {
                let mut bytes = [other; 8];
                bytes[place] = byte;
                let found = are_digits(u64::from_le_bytes(bytes));
                assert_eq!(found, byte.is_ascii_digit(), "{bytes:?}");
            }
        }
    }
}

#[test]
fn the_first_special_byte_of_eight_is_found() {
    for special in (0..0x20).chain([b'"', b'\\']) {
        for place in 0..8 {
            for other in [b' ', b'a', 0x7f, 0x80, 0xff, b'!', b'#', b'[', b']'] {
                let mut bytes = [other; 8];
                assert_eq!(special_bytes(u64::from_le_bytes(bytes)), 0);
                bytes[place] = special;
                let found = special_bytes(u64::from_le_bytes(bytes));
                assert_eq!(found.trailing_zeros() as usize / 8, place);
            }
        }
    }
}

/// A JSON value with white space, escapes and depth.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
        ".{0,30}".prop_map(|text| serde_json::Value::from(text).to_string()),
        "\"(\\\\u[0-9a-fA-F]{4}|\\\\[\"\\\\/bfnrt]|[ a-z]){0,12}\"",
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        let members = prop::collection::vec(("[a-z]{0,9}", "[ \t\r\n]{0,2}", inner.clone()), 0..5);
        let list = prop::collection::vec(inner, 0..5);
        prop_oneof![
            list.prop_map(|list| format!("[{}]", list.join(" , "))),
            members.prop_map(|members| {
                let members = members.iter();
                let members: Vec<String> = members
                    .map(|(key, space, value)| {
                        format!("{space}\"{key}\"{space}:{space}{value}{space}")
                    })
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// A text, and changes at random places.
fn changed(text: &str, changes: &[(usize, String, bool)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (place, by, replaces) in changes {
        let place = place % (chars.len() + 1);
        let end = (place + usize::from(*replaces)).min(chars.len());
        chars.splice(place..end, by.chars());
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn valid_objects_are_read_as_the_library_reads_them(
        members in prop::collection::vec(("[a-zé]{0,12}", value()), 0..6),
    ) {
        let members: Vec<String> = members
            .iter()
            .map(|(key, value)| format!("\"{key}\" :{value} "))
            .collect();
        let is_whole = check(&format!("{{{}}}", members.join(",")));
        prop_assert!(is_whole);
    }

    #[test]
    fn no_damaged_object_is_read_otherwise(
        members in prop::collection::vec(("[a-z]{0,12}", value()), 0..4),
        changes in prop::collection::vec(
            (
                any::<usize>(),
                prop_oneof![
                    "[\\[\\]{}\",:\\\\ ]{0,2}",
                    "[-+.eE0-9a-z]{0,2}",
                    Just("\u{1}".to_owned()),
                    Just("\u{a0}".to_owned()),
                ],
                any::<bool>(),
            ),
            1..4,
        ),
    ) {
        let members: Vec<String> = members
            .iter()
            .map(|(key, value)| format!("\"{key}\":{value}"))
            .collect();
        check(&changed(&format!("{{{}}}", members.join(",")), &changes));
    }

    #[test]
    fn no_text_is_read_otherwise(text in "[\\[\\]{}\",:\\\\ 01ae.-]{0,24}") {
        check(&text);
    }
}
