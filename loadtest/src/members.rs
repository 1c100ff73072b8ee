//! Rewriting members of a JSON object, and nothing else of its text.
//!
//! Whatever is not replaced keeps its bytes: numbers their digits, strings their escapes, and all
//! members their order, duplicates included.

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// What becomes of a member.
pub enum Member {
    /// It stays as it is.
    Keep,
    /// It has this JSON text.
    Replace(String),
    /// It goes.
    Drop,
}

/// The members of an object in order, with the raw text of each value.
struct Members<'a>(Vec<(String, &'a str)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((key, value.get()));
                }
                Ok(Members(members))
            }
        }
        json.deserialize_map(Object)
    }
}

/// Rewrites an object; `None` if the text is none.
pub fn rewrite_object(text: &str, mut member: impl FnMut(&str, &str) -> Member) -> Option<String> {
    let members: Members<'_> = serde_json::from_str(text).ok()?;
    let mut out = String::with_capacity(text.len() + 16);
    out.push('{');
    for (key, raw) in members.0 {
        let value = match member(&key, raw) {
            Member::Keep => raw.into(),
            Member::Replace(value) => std::borrow::Cow::Owned(value),
            Member::Drop => continue,
        };
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&serde_json::Value::from(key).to_string());
        out.push(':');
        out.push_str(&value);
    }
    out.push('}');
    Some(out)
}

/// Rewrites a payload: one object, or objects on lines of their own. `other` says what becomes of a
/// line, or of a whole payload that is not UTF-8, that is no object.
pub fn rewrite_payload(
    data: &[u8],
    mut member: impl FnMut(&str, &str) -> Member,
    other: impl Fn(&str) -> String,
) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(data) else {
        return other("").into_bytes();
    };
    if let Some(whole) = rewrite_object(text, &mut member) {
        return whole.into_bytes();
    }
    let lines = text.split('\n').map(|line| match line.trim().is_empty() {
        true => String::new(),
        false => rewrite_object(line, &mut member).unwrap_or_else(|| other(line)),
    });
    let lines: Vec<String> = lines.collect();
    lines.join("\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_replaced_keeps_its_bytes() {
        let text = r#"{"a": 1.50,"ts":7 , "b\n":"\u00e9", "a":[1, 2],"other":1}"#;
        let rewritten = rewrite_object(text, |key, raw| match key {
            "ts" => Member::Replace(format!("{raw}8")),
            "other" => Member::Drop,
            _ => Member::Keep,
        });
        let expected = r#"{"a":1.50,"ts":78,"b\n":"\u00e9","a":[1, 2]}"#;
        assert_eq!(rewritten.as_deref(), Some(expected));
        assert_eq!(rewrite_object("[1]", |_, _| Member::Keep), None);
    }

    #[test]
    fn lines_are_rewritten_one_by_one() {
        let keep = |data: &[u8]| {
            let out = rewrite_payload(data, |_, _| Member::Keep, |_| "other".to_owned());
            String::from_utf8(out).unwrap()
        };
        assert_eq!(keep(b"{}\nx\n\n{\"a\":1}\n"), "{}\nother\n\n{\"a\":1}\n");
        assert_eq!(keep(b"{\n}"), "{}");
        assert_eq!(keep(b"\xff"), "other");
    }
}
