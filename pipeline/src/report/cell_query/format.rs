//! Answers as JSON, NDJSON (a row per line) and CSV (RFC 4180).
//!
//! JSON objects have sorted keys and integers only, like cells
//! ([`tributary_connectors::out`]); a coverage is a number with one decimal.

use std::fmt::Write;

use tributary_connectors::out::write_dim;
use tributary_operators::cell::Dim;

use super::query::{Answer, CellQuery, Numbers, Row};
use crate::report::csv::field;
use tributary_operators::calendar;
use tributary_operators::record::Day;

/// The answer as one JSON object with a line break.
pub fn json(query: &CellQuery, answer: &Answer) -> String {
    let mut out = String::from("{\"next\":");
    match &answer.next {
        // A cursor has no character that JSON escapes.
        Some(next) => push(&mut out, format_args!("\"{next}\"")),
        None => out.push_str("null"),
    }
    if let Some((from, to)) = answer.previous {
        let (from, to) = (day_text(from), day_text(to));
        push(
            &mut out,
            format_args!(",\"previous\":{{\"from\":\"{from}\",\"to\":\"{to}\"}}"),
        );
    }
    out.push_str(",\"rows\":[");
    let members = Members::of(query);
    for (at, row) in answer.rows.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        members.write(&mut out, row);
    }
    out.push_str("]}\n");
    out
}

/// The rows of an answer, each as a JSON object on a line.
pub fn ndjson(query: &CellQuery, answer: &Answer) -> String {
    let mut out = String::new();
    let members = Members::of(query);
    for row in &answer.rows {
        members.write(&mut out, row);
        out.push('\n');
    }
    out
}

/// The members of a row's JSON in their order: the text that each begins with, and
/// its position in the row.
struct Members {
    dims: Vec<(String, usize)>,
    values: Vec<(String, usize)>,
    compare: bool,
}

impl Members {
    /// The members of the rows of a query.
    fn of(query: &CellQuery) -> Members {
        let in_order = |names: &mut dyn Iterator<Item = &'static str>| {
            let mut names: Vec<_> = names.enumerate().map(|(at, name)| (name, at)).collect();
            names.sort_unstable();
            let comma = |at| if at > 0 { "," } else { "" };
            let names = names.into_iter().enumerate();
            names
                .map(|(at, (name, place))| (format!("{}\"{name}\":", comma(at)), place))
                .collect()
        };
        Members {
            dims: in_order(&mut query.columns().into_iter().map(|of| of.name())),
            values: in_order(&mut query.family.values().iter().copied()),
            compare: query.compare,
        }
    }

    /// Writes a row as a JSON object.
    fn write(&self, out: &mut String, row: &Row) {
        out.push_str("{\"cell\":{");
        for (begin, place) in &self.dims {
            out.push_str(begin);
            write_dim(out, row.dims.get(*place).unwrap_or(&Dim::Null));
        }
        out.push('}');
        if self.compare {
            out.push_str(",\"previous\":");
            match &row.previous {
                Some(numbers) => {
                    out.push('{');
                    self.write_numbers(out, Some(numbers));
                    out.push('}');
                }
                None => out.push_str("null"),
            }
        }
        out.push(',');
        self.write_numbers(out, row.numbers.as_ref());
        out.push('}');
    }

    /// Writes the members of numbers. A row without numbers has values that are null.
    fn write_numbers(&self, out: &mut String, numbers: Option<&Numbers>) {
        out.push_str("\"coverage\":");
        match numbers.and_then(|numbers| numbers.coverage) {
            Some(tenths) => push(out, format_args!("{}.{}", tenths / 10, tenths % 10)),
            None => out.push_str("null"),
        }
        out.push_str(",\"value\":{");
        for (begin, place) in &self.values {
            out.push_str(begin);
            match numbers.and_then(|numbers| *numbers.values.get(*place)?) {
                Some(value) => push(out, format_args!("{value}")),
                None => out.push_str("null"),
            }
        }
        out.push('}');
    }
}

/// A coverage as a number.
fn coverage_text(numbers: Option<&Numbers>) -> Option<String> {
    let tenths = numbers?.coverage?;
    Some(format!("{}.{}", tenths / 10, tenths % 10))
}

/// The names of the columns of CSV and Arrow: dimensions, values and coverage, and
/// those of the period before if rows are compared.
pub(super) fn csv_header(query: &CellQuery) -> Vec<String> {
    let mut header: Vec<String> = query
        .columns()
        .iter()
        .map(|of| of.name().to_owned())
        .collect();
    let numbers = query.family.values().iter().copied().chain(["coverage"]);
    header.extend(numbers.clone().map(str::to_owned));
    if query.compare {
        header.extend(numbers.map(|name| format!("previous_{name}")));
    }
    header
}

/// The rows of an answer as CSV. An absent value is empty.
pub fn csv(query: &CellQuery, answer: &Answer) -> String {
    let mut out = csv_header(query).join(",") + "\r\n";
    for row in &answer.rows {
        let mut fields: Vec<String> = row.dims.iter().map(|dim| field(&dim_text(dim))).collect();
        let mut numbers = |numbers: Option<&Numbers>| {
            for at in 0..query.family.values().len() {
                let value = numbers.and_then(|numbers| *numbers.values.get(at)?);
                fields.push(value.map_or_else(String::new, |value| value.to_string()));
            }
            fields.push(coverage_text(numbers).unwrap_or_default());
        };
        numbers(row.numbers.as_ref());
        if query.compare {
            numbers(row.previous.as_ref());
        }
        out.push_str(&fields.join(","));
        out.push_str("\r\n");
    }
    out
}

/// A dimension as text: as in JSON without quotation marks, empty for an absent
/// one; a path as `google/cpc → direct/none`.
pub(super) fn dim_text(dim: &Dim) -> String {
    match dim {
        Dim::Null => String::new(),
        Dim::Text(text) => text.to_string(),
        Dim::Path(steps) => {
            let steps = steps.iter().map(|words| {
                let last = words.iter().rposition(Option::is_some).unwrap_or(0);
                let words = words.iter().take(last + 1);
                let words: Vec<&str> = words.map(|word| word.as_deref().unwrap_or("–")).collect();
                words.join("/")
            });
            steps.collect::<Vec<_>>().join(" → ")
        }
        other => {
            let mut out = String::new();
            write_dim(&mut out, other);
            out.trim_matches('"').to_owned()
        }
    }
}

/// A day in ISO 8601.
pub(super) fn day_text(day: Day) -> String {
    let (year, month, of_month) = calendar::civil(day);
    format!("{year:04}-{month:02}-{of_month:02}")
}

/// Writing into a string cannot fail.
fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}
