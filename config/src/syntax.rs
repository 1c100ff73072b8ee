//! Parses a text into a TOML document and collects as many syntax errors as can
//! be distinguished.
//!
//! The parser stops at the first error. The line that contains it is blanked
//! (bytes become spaces, so all other locations remain the same) and the rest
//! is parsed again: an operator with three typing errors sees three.
//!
//! ```text
//! [nats]                         [nats]
//! url = nats://127.0.0.1    ──▶                            line 2: reported, then blanked
//! tls = maybe                    tls = maybe               line 3: a consequence of line 2?
//! ```
//!
//! An error on the very next line may well be a consequence of the first, such
//! as an unclosed array, and the search ends there. For a wrong header
//! everything under it is blanked, because its settings would otherwise count
//! for the table above.

use std::ops::Range;

use toml_edit::Document;

/// The maximum number of errors to look for; each costs one parse.
const MOST: usize = 20;

/// A syntax error.
pub(crate) struct Mistake {
    /// The byte offset into the text.
    pub(crate) offset: usize,
    /// The parser's message, on one line.
    pub(crate) message: String,
}

/// Parses what can be parsed. The document is absent if nothing sensible
/// remains.
pub(crate) fn parse(text: &str) -> (Option<Document<String>>, Vec<Mistake>) {
    let mut rest = text.to_owned();
    let mut mistakes: Vec<Mistake> = Vec::new();
    let mut blanked: Vec<Range<usize>> = Vec::new();
    while mistakes.len() < MOST {
        let error = match Document::parse(rest.clone()) {
            Ok(document) => return (Some(document), mistakes),
            Err(error) => error,
        };
        let offset = error.span().map_or(0, |span| span.start).min(text.len());
        let message = error.message().trim().replace('\n', " ");
        let line = line_around(text, offset);
        let follows = |blanked: &Range<usize>| match text.get(blanked.end..line.start) {
            Some(between) => between.trim().is_empty(),
            // The line begins before the blanked one ends: it may still be the very same.
            None => blanked.start <= line.start,
        };
        let consequence = blanked.iter().any(follows);
        if consequence {
            return (None, mistakes);
        }
        mistakes.push(Mistake { offset, message });
        let segment = segment(text, line);
        rest = blank(&rest, &segment);
        blanked.push(segment);
    }
    (None, mistakes)
}

/// The byte range of the line that contains an offset, without its line feed.
fn line_around(text: &str, offset: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let before = bytes.get(..offset).unwrap_or(bytes);
    let after = bytes.get(offset..).unwrap_or_default();
    let start = before
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |i| i + 1);
    let end = after
        .iter()
        .position(|b| *b == b'\n')
        .map_or(text.len(), |i| offset + i);
    start..end
}

/// The range to blank for a wrong line: the line, or for a header everything
/// under it, because its settings would otherwise count for the table above.
fn segment(text: &str, line: Range<usize>) -> Range<usize> {
    let is_header = |line: &str| line.trim_start().starts_with('[');
    if !text.get(line.clone()).is_some_and(is_header) {
        return line;
    }
    let mut end = line.end;
    for next in text
        .get(line.end..)
        .unwrap_or_default()
        .split_inclusive('\n')
        .skip(1)
    {
        if is_header(next) {
            break;
        }
        end += next.len();
    }
    line.start..end.min(text.len())
}

/// Replaces a range by spaces, except line feeds.
fn blank(text: &str, range: &Range<usize>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for byte in bytes.get_mut(range.clone()).unwrap_or_default() {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_mistakes_are_told_apart() {
        let text = "a = \nb = 1\nc = = 2\nd = 3\n";
        let (document, mistakes) = parse(text);
        let mut lines: Vec<usize> = (mistakes.iter())
            .map(|mistake| text[..mistake.offset].matches('\n').count() + 1)
            .collect();
        lines.sort_unstable();
        assert_eq!(lines, [1, 3]);
        let document = document.unwrap();
        assert!(document.contains_key("b") && document.contains_key("d"));
    }

    #[test]
    fn an_unclosed_list_is_one_mistake() {
        let (document, mistakes) = parse("a = [1,\nb = 2\nc = 3\nd = 4\n");
        assert_eq!(mistakes.len(), 1);
        assert!(document.is_none());
    }

    #[test]
    fn a_second_header_takes_its_settings_with_it() {
        let (document, mistakes) = parse("[a]\nx = 1\n[b]\ny = 1\n[a]\nz = 1\n");
        assert_eq!(mistakes.len(), 1);
        let document = document.unwrap();
        assert!(!document["b"].as_table().unwrap().contains_key("z"));
    }
}
