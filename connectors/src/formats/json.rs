//! JSON values of an item as raw text, which are parsed only as far as an
//! adapter looks into them.
//!
//! Numbers keep their written digits, so that an amount never passes through a
//! float, and a value that no adapter asks for costs one scan. Values of any
//! depth are skipped without recursion.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value; [`Json::ABSENT`] for a key that an object has not.
///
/// ```
/// use tributary_connectors::formats::json::Json;
///
/// let item = Json::of(r#"{"context": {"page": {"url": "/a"}}, "n": 1.50, "x": null}"#);
/// let item = item.object().expect("an object");
/// assert_eq!(item.get("n").raw(), "1.50");
/// assert_eq!(item.at("context.page.url").text().as_deref(), Some("/a"));
/// assert!(item.get("x").is_absent() && item.at("context.page.title").is_absent());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// No value.
    pub const ABSENT: Json<'static> = Json("");

    /// A value by its text, without white space around it.
    pub fn of(text: &'a str) -> Json<'a> {
        Json(text.trim_ascii())
    }

    /// The text as received; empty if absent.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Whether there is no value: no key, `null` or `""`.
    pub fn is_absent(self) -> bool {
        matches!(self.0, "" | "null" | "\"\"")
    }

    /// The value, unless it is absent.
    pub fn present(self) -> Option<Json<'a>> {
        (!self.is_absent()).then_some(self)
    }

    /// Whether the value is an object.
    pub fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// The members of an object; `None` for any other value and for invalid
    /// JSON.
    pub fn object(self) -> Option<Object<'a>> {
        serde_json::from_str(self.0).ok()
    }

    /// The elements of a list; `None` for any other value.
    pub fn list(self) -> Option<Vec<Json<'a>>> {
        let list: Vec<&'a RawValue> = serde_json::from_str(self.0).ok()?;
        Some(list.into_iter().map(|value| Json(value.get())).collect())
    }

    /// The characters of a string; `None` for any other value, for an empty
    /// string and for an escape that is no character.
    pub fn text(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        match inner.contains('\\') {
            false => Some(Cow::Borrowed(inner)),
            true => serde_json::from_str(self.0).ok().map(Cow::Owned),
        }
        .filter(|text: &Cow<'_, str>| !text.is_empty())
    }

    /// The characters of a string, or the digits of a number.
    pub fn text_or_number(self) -> Option<Cow<'a, str>> {
        match self.is_number() {
            true => Some(Cow::Borrowed(self.0)),
            false => self.text(),
        }
    }

    /// Whether the value is a number.
    pub fn is_number(self) -> bool {
        self.0.starts_with(|c: char| c == '-' || c.is_ascii_digit())
    }

    /// The integer of a number without fraction, or of a string of digits.
    pub fn integer(self) -> Option<i64> {
        self.text_or_number()?.trim().parse().ok()
    }

    /// A truth value.
    pub fn boolean(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

/// The members of a JSON object. Of a key that occurs twice the last counts.
#[derive(Clone, Debug, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a> Object<'a> {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Json<'a> {
        let mut members = self.members.iter().rev();
        let found = members.find(|(name, _)| name == key);
        found.map_or(Json::ABSENT, |(_, value)| *value)
    }

    /// The value at a path of keys with dots between them. Absent where an
    /// object on the way is.
    pub fn at(&self, path: &str) -> Json<'a> {
        match path.split_once('.') {
            None => self.get(path),
            Some((key, rest)) => {
                let inner = self.get(key);
                let inner = inner.is_object().then(|| inner.object()).flatten();
                inner.map_or(Json::ABSENT, |inner| inner.at(rest))
            }
        }
    }

    /// The members in the order of the text.
    pub fn members(&self) -> impl Iterator<Item = (&str, Json<'a>)> {
        self.members.iter().map(|(key, value)| (&**key, *value))
    }

    /// Adds the members of another object whose keys this one has not.
    pub fn inherit(&mut self, key: &str, value: Json<'a>) {
        if self.get(key).is_absent() && !value.is_absent() {
            self.members.push((Cow::Owned(key.to_owned()), value));
        }
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some(key) = map.next_key_seed(Key)? {
                    let value: &'de RawValue = map.next_value()?;
                    members.push((key, Json(value.get())));
                }
                Ok(Object { members })
            }
        }
        json.deserialize_map(Members)
    }
}

/// Deserializes a key, borrowed unless it has escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: serde::Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// A JSON string of a text.
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_written_and_the_last_of_two_keys_counts() {
        let item = Json::of(r#" {"a":1,"a":{"b":[1.10,"x"]},"n\u0065":"\u00e9"} "#);
        let item = item.object().unwrap();
        let list = item.at("a.b").list().unwrap();
        assert_eq!(list[0].raw(), "1.10");
        assert_eq!(list[1].text().as_deref(), Some("x"));
        assert_eq!(item.get("ne").text().as_deref(), Some("é"));
        assert_eq!(item.at("a.b.c"), Json::ABSENT);
        assert!(Json::of("[]").object().is_none());
    }
}
