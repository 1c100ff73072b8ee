//! A JSON object, written field by field in the order of the calls.

use std::fmt::Write;

/// A JSON object under construction.
pub(crate) struct Object(String);

impl Object {
    /// An empty object.
    pub(crate) fn new() -> Object {
        let mut text = String::with_capacity(224);
        text.push('{');
        Object(text)
    }

    /// Writes a key, after a comma if it is not the first.
    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        // Keys are the specification's words: nothing in them needs escaping.
        let _ = write!(self.0, "\"{key}\":");
    }

    /// Adds a string, escaped.
    pub(crate) fn text(mut self, key: &str, value: &str) -> Object {
        self.key(key);
        self.0.push('"');
        for c in value.chars() {
            match c {
                '"' | '\\' => {
                    self.0.push('\\');
                    self.0.push(c);
                }
                c if c < ' ' => {
                    let _ = write!(self.0, "\\u{:04x}", c as u32);
                }
                c => self.0.push(c),
            }
        }
        self.0.push('"');
        self
    }

    /// Adds a string, or nothing if it is absent.
    pub(crate) fn optional(self, key: &str, value: Option<&str>) -> Object {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    /// Adds a value that is already JSON: a number, a literal or an object.
    pub(crate) fn raw(mut self, key: &str, value: impl std::fmt::Display) -> Object {
        self.key(key);
        let _ = write!(self.0, "{value}");
        self
    }

    /// The text of the object.
    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
