//! The columns of Google's files by which rows are recognized: an adjustment by
//! its type, a conversion by its name. Headers are compared in any case and with
//! any separators.

/// The headers of a column, in the spelling of [`normalize`].
pub(super) type Column = &'static [&'static str];

/// The kind of an adjustment.
pub(super) const TYPE: Column = &["adjustment type"];
/// The name of a conversion.
pub(super) const NAME: Column = &["conversion name", "conversion action"];

/// Whether a column is one of those by which rows are recognized.
pub(super) fn is_recognizing(header: &[u8]) -> bool {
    let header = String::from_utf8_lossy(header);
    let name = normalize(&header);
    [TYPE, NAME]
        .iter()
        .any(|column| column.contains(&name.as_str()))
}

/// A header in lower case, with one space for everything but letters and
/// digits.
pub(super) fn normalize(header: &str) -> String {
    let lower = header.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}
