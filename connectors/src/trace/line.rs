//! One line of a trace, parsed and written.
//!
//! | member | value |
//! |---|---|
//! | `subject` | the subject, a string |
//! | `at` | the arrival, Unix milliseconds, an integer from 1970 to 9999 |
//! | `data` | the payload: a JSON object stands for its own text, a string for its characters |
//! | `data_base64` | instead of `data`: any bytes, in base64 (RFC 4648, section 4) |
//! | `headers` | optional: an array of pairs, or an object of strings or arrays of strings |
//!
//! Unknown members are ignored. Ordinary lines are read by [`crate::raw_json`], and
//! what it leaves by `serde_json`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::files::strip_bom;
use crate::native::time;
use crate::raw_json::{self, Raw};

/// One message of a trace.
///
/// ```
/// use tributary_connectors::trace::TraceLine;
///
/// let line = TraceLine {
///     subject: "tributary.in.acme.web".to_owned(),
///     at: 1_700_000_000_000,
///     headers: Vec::new(),
///     data: br#"{"id":"w1"}"#.to_vec(),
/// };
/// assert_eq!(
///     line.to_json(),
///     r#"{"subject":"tributary.in.acme.web","at":1700000000000,"data":{"id":"w1"}}"#
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceLine {
    /// The subject on which the message was sent.
    pub subject: String,
    /// The arrival, Unix milliseconds.
    pub at: i64,
    /// The headers, in order; a name may occur more than once.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub data: Vec<u8>,
}

impl TraceLine {
    /// Parses a line of a trace; `None` if it is not a message.
    pub fn parse(line: &[u8]) -> Option<TraceLine> {
        read(line)
    }

    /// The message as a line of a trace, without a line break. Parsed again, it
    /// is the same message.
    pub fn to_json(&self) -> String {
        write(self)
    }
}

/// Parses a line; `None` if it is not a message.
pub fn read(bytes: &[u8]) -> Option<TraceLine> {
    let text = std::str::from_utf8(strip_bom(bytes)).ok()?;
    let raw = Members::read(text)?;
    Some(TraceLine {
        subject: string(raw.subject?)?,
        at: arrival(raw.at?.text)?,
        headers: headers(raw.headers.map(|raw| raw.text))?,
        data: data(raw.data, raw.data_base64)?,
    })
}

/// Parses Unix milliseconds from 1970 to 9999.
fn arrival(digits: &str) -> Option<i64> {
    let at = digits.parse().ok()?;
    (0..=time::MAX).contains(&at).then_some(at)
}

/// The line of a message: the payload as an object if it is one on one line,
/// else as a string, and as base64 if it is not UTF-8.
pub fn write(line: &TraceLine) -> String {
    let text = std::str::from_utf8(&line.data);
    let member = match text {
        Err(_) => format!("\"data_base64\":\"{}\"", STANDARD.encode(&line.data)),
        Ok(text) if is_object(text) => format!("\"data\":{text}"),
        Ok(text) => format!("\"data\":{}", quoted(text)),
    };
    let mut headers = String::new();
    if !line.headers.is_empty() {
        let pairs = line.headers.iter();
        let pairs = pairs.map(|(name, value)| format!("[{},{}]", quoted(name), quoted(value)));
        let pairs: Vec<String> = pairs.collect();
        headers = format!(",\"headers\":[{}]", pairs.join(","));
    }
    let subject = quoted(&line.subject);
    format!(
        "{{\"subject\":{subject},\"at\":{}{headers},{member}}}",
        line.at
    )
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether a text is one JSON object on one line without surrounding white
/// space, whose text therefore survives being embedded.
fn is_object(text: &str) -> bool {
    text.starts_with('{')
        && text.ends_with('}')
        && !text.contains(['\n', '\r'])
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The payload of the members `data` and `data_base64`.
fn data(data: Option<Raw<'_>>, base64: Option<Raw<'_>>) -> Option<Vec<u8>> {
    match data.filter(|raw| raw.text != "null") {
        Some(raw) if raw.text.starts_with('{') => Some(raw.text.as_bytes().to_vec()),
        Some(raw) => string(raw).map(String::into_bytes),
        None => STANDARD.decode(string(base64?)?).ok(),
    }
}

/// The characters of a string; `None` if the value is none.
fn string(raw: Raw<'_>) -> Option<String> {
    let inner = raw
        .text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    match inner {
        Some(plain) if raw.is_plain => Some(plain.to_owned()),
        _ => serde_json::from_str(raw.text).ok(),
    }
}

/// The headers, in one of the three forms.
fn headers(raw: Option<&str>) -> Option<Vec<(String, String)>> {
    match raw {
        None | Some("null") => Some(Vec::new()),
        Some(raw) if raw.starts_with('[') => serde_json::from_str(raw).ok(),
        Some(raw) => serde_json::from_str::<Headers>(raw)
            .ok()
            .map(|headers| headers.0),
    }
}

/// The raw JSON of the members of a line.
#[derive(Default)]
struct Members<'a> {
    subject: Option<Raw<'a>>,
    at: Option<Raw<'a>>,
    data: Option<Raw<'a>>,
    data_base64: Option<Raw<'a>>,
    headers: Option<Raw<'a>>,
}

impl<'a> Members<'a> {
    /// The members of a line; `None` if it is no JSON object.
    fn read(text: &'a str) -> Option<Members<'a>> {
        let mut raw = Members::default();
        let whole = raw_json::members(text, |key, value| {
            if let Some(place) = raw.place(key) {
                *place = Some(value);
            }
        });
        match whole {
            Some(()) => Some(raw),
            None => serde_json::from_str(text).ok(),
        }
    }

    /// The place of a member; `None` for an unknown one.
    fn place(&mut self, key: &str) -> Option<&mut Option<Raw<'a>>> {
        Some(match key {
            "subject" => &mut self.subject,
            "at" => &mut self.at,
            "data" => &mut self.data,
            "data_base64" => &mut self.data_base64,
            "headers" => &mut self.headers,
            _ => return None,
        })
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut raw = Members::default();
                while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
                    match raw.place(&key) {
                        Some(place) => {
                            *place = Some(Raw::of(map.next_value::<&RawValue>()?.get()));
                        }
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(raw)
            }
        }
        json.deserialize_map(Object)
    }
}

/// Headers in the form of an object.
struct Headers(Vec<(String, String)>);

/// The value of a header in an object: one or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Headers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Headers, M::Error> {
                let mut headers = Vec::new();
                while let Some((name, values)) = map.next_entry::<String, Values>()? {
                    match values {
                        Values::One(value) => headers.push((name, value)),
                        Values::Many(values) => {
                            headers.extend(values.into_iter().map(|value| (name.clone(), value)));
                        }
                    }
                }
                Ok(Headers(headers))
            }
        }
        json.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn data_of(line: &str) -> Option<String> {
        read(line.as_bytes()).map(|line| String::from_utf8(line.data).unwrap())
    }

    #[test]
    fn data_is_an_object_a_text_or_base64() {
        let with = |data: &str| data_of(&format!(r#"{{"subject":"s","at":1,{data}}}"#));
        assert_eq!(
            with(r#""data": {"a": 1.50} "#).as_deref(),
            Some(r#"{"a": 1.50}"#)
        );
        assert_eq!(with(r#""data":"{}\n{}""#).as_deref(), Some("{}\n{}"));
        assert_eq!(with(r#""data_base64":"e30=""#).as_deref(), Some("{}"));
        assert_eq!(
            with(r#""data":null,"data_base64":"e30=""#).as_deref(),
            Some("{}")
        );
        for bad in [
            "\"x\":1",
            "\"data\":[1]",
            "\"data\":1",
            "\"data_base64\":\"!\"",
            "\"data\":",
        ] {
            assert_eq!(with(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_message_is_none() {
        for line in [
            "{}",
            "[]",
            "1",
            "nonsense",
            r#"{"subject":"s","at":"1","data":{}}"#,
            r#"{"subject":"s","at":1.0,"data":{}}"#,
            r#"{"subject":1,"at":1,"data":{}}"#,
            r#"{"subject":"s","at":-1,"data":{}}"#,
            r#"{"at":1,"data":{}}"#,
            r#"{"subject":"s","at":1,"data":{},"headers":7}"#,
            r#"{"subject":"s","data":{}}"#,
        ] {
            assert_eq!(read(line.as_bytes()), None, "{line}");
        }
        assert_eq!(read(b"{\"subject\":\"\xff\",\"at\":1,\"data\":{}}"), None);
    }

    #[test]
    fn headers_are_an_object_or_pairs() {
        let line = br#"{"subject":"s","at":1,"data":{},"headers":{"ce-id":"7","x":["a","b"]}}"#;
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [pair("ce-id", "7"), pair("x", "a"), pair("x", "b")];
        assert_eq!(read(line).unwrap().headers, expected);
        let line = br#"{"subject":"s","at":1,"data":{},"headers":[["ce-id","7"]]}"#;
        assert_eq!(read(line).unwrap().headers, [pair("ce-id", "7")]);
    }

    proptest! {
        #[test]
        fn written_lines_are_read_back(
            subject in ".*",
            at in 0_i64..4_000_000_000_000,
            headers in prop::collection::vec((".*", ".*"), 0..3),
            data in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                "\\{\"a\":[0-9]\\}( |\n)?".prop_map(String::into_bytes),
                ".*".prop_map(String::into_bytes),
            ],
        ) {
            let line = TraceLine { subject, at, headers, data };
            let written = line.to_json();
            prop_assert!(!written.contains('\n'));
            prop_assert_eq!(read(written.as_bytes()), Some(line));
        }
    }
}
