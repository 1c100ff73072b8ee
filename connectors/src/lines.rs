//! Splits a message into its JSON objects: NDJSON, or one object over any
//! number of lines.
//!
//! A byte order mark is skipped before the message and before each line,
//! because concatenated files have one at each seam.

use serde::de::IgnoredAny;

/// Iterates over the objects of a message in order, without blank lines and the
/// white space around them.
pub struct Objects<'a> {
    /// The bytes that have not been returned.
    rest: &'a [u8],
    /// Whether the rest is one object.
    whole: bool,
    /// Whether the message contains at most one object.
    pub single: bool,
}

/// Splits a message. If its first line is not JSON and the whole is, the whole
/// is one object; otherwise each line is an object of its own. Only the first
/// line is parsed for this decision, unless it is not JSON.
pub fn split(data: &[u8]) -> Objects<'_> {
    let rest = trim(crate::files::strip_bom(data));
    let Some(end) = memchr::memchr(b'\n', rest) else {
        return Objects {
            rest,
            whole: true,
            single: true,
        };
    };
    let first = rest.get(..end).unwrap_or_default();
    let whole = !is_json(first) && is_json(rest);
    Objects {
        rest,
        whole,
        single: whole,
    }
}

/// Whether bytes are one complete JSON value.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

impl<'a> Iterator for Objects<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = match self.whole {
                true => None,
                false => memchr::memchr(b'\n', self.rest),
            };
            let (line, rest) = match end {
                Some(end) => (self.rest.get(..end)?, self.rest.get(end + 1..)?),
                None => (self.rest, &[][..]),
            };
            self.rest = rest;
            let line = trim(crate::files::strip_bom(line));
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }
}

/// Removes the white space of JSON (RFC 8259, section 2) at both ends.
fn trim(bytes: &[u8]) -> &[u8] {
    let solid = |c: &u8| !matches!(c, b' ' | b'\t' | b'\r' | b'\n');
    match (bytes.iter().position(solid), bytes.iter().rposition(solid)) {
        (Some(start), Some(end)) => bytes.get(start..=end).unwrap_or_default(),
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(data: &str) -> Vec<&str> {
        let objects = split(data.as_bytes());
        objects
            .map(|line| std::str::from_utf8(line).unwrap())
            .collect()
    }

    #[test]
    fn lines_stand_alone() {
        assert_eq!(cut("{}\n{\"a\":1}\r\n\n  \n{}"), ["{}", "{\"a\":1}", "{}"]);
        assert_eq!(cut("{}"), ["{}"]);
        assert_eq!(cut("bad\n{}"), ["bad", "{}"]);
        assert_eq!(cut("{\n{}"), ["{", "{}"]);
        assert!(cut(" \n ").is_empty());
        assert!(cut("").is_empty());
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(cut("\u{feff}{}\n{\"a\":1}"), ["{}", "{\"a\":1}"]);
        assert_eq!(cut("{}\n\u{feff}{\"a\":1}"), ["{}", "{\"a\":1}"]);
        assert_eq!(cut("\u{feff}{\n}"), ["{\n}"]);
        assert!(cut("\u{feff}\n").is_empty());
    }

    #[test]
    fn one_object_may_take_many_lines() {
        let pretty = "{\n  \"a\": [\n 1,\n {}\n ]\n}";
        assert_eq!(cut(&format!("\n{pretty}\n")), [pretty]);
        assert!(split(pretty.as_bytes()).single);
        assert!(!split(b"{}\n{}").single);
    }
}
