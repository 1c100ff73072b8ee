//! Fields of CSV (RFC 4180) that people open in a spreadsheet.

/// A text as a field. Names come from anybody who may send a record, and a
/// spreadsheet executes a field that begins like a formula: such a text gets an
/// apostrophe before it.
pub fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_never_a_formula_and_never_two_fields() {
        assert_eq!(field("r-1"), "r-1");
        assert_eq!(field("=HYPERLINK(1,2)"), "\"'=HYPERLINK(1,2)\"");
        assert_eq!(field("a\"b"), "\"a\"\"b\"");
        assert_eq!(field("two\nlines"), "\"two\nlines\"");
    }
}
