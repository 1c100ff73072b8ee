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
    for (at, row) in answer.rows.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_row(&mut out, query, row);
    }
    out.push_str("]}\n");
    out
}

/// The rows of an answer, each as a JSON object on a line.
pub fn ndjson(query: &CellQuery, answer: &Answer) -> String {
    let mut out = String::new();
    for row in &answer.rows {
        write_row(&mut out, query, row);
        out.push('\n');
    }
    out
}

/// Writes a row as a JSON object.
fn write_row(out: &mut String, query: &CellQuery, row: &Row) {
    let columns = query.columns();
    let mut dims: Vec<_> = columns.iter().map(|of| of.name()).zip(&row.dims).collect();
    dims.sort_unstable_by_key(|(name, _)| *name);
    out.push_str("{\"cell\":{");
    for (at, (name, dim)) in dims.into_iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        push(out, format_args!("{comma}\"{name}\":"));
        write_dim(out, dim);
    }
    out.push('}');
    if query.compare {
        out.push_str(",\"previous\":");
        match &row.previous {
            Some(numbers) => {
                out.push('{');
                write_numbers(out, query, Some(numbers));
                out.push('}');
            }
            None => out.push_str("null"),
        }
    }
    out.push(',');
    write_numbers(out, query, row.numbers.as_ref());
    out.push('}');
}

/// Writes the members of numbers. A row without numbers has values that are null.
fn write_numbers(out: &mut String, query: &CellQuery, numbers: Option<&Numbers>) {
    out.push_str("\"coverage\":");
    out.push_str(&coverage_text(numbers).unwrap_or("null".to_owned()));
    out.push_str(",\"value\":{");
    let mut values = values(query, numbers);
    values.sort_unstable_by_key(|(name, _)| *name);
    for (at, (name, value)) in values.into_iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        match value {
            Some(value) => push(out, format_args!("{comma}\"{name}\":{value}")),
            None => push(out, format_args!("{comma}\"{name}\":null")),
        }
    }
    out.push('}');
}

/// The values of a row with their names.
fn values(query: &CellQuery, numbers: Option<&Numbers>) -> Vec<(&'static str, Option<i128>)> {
    let names = query.family.values().iter().enumerate();
    let value = |at: usize| numbers.and_then(|numbers| *numbers.values.get(at)?);
    names.map(|(at, name)| (*name, value(at))).collect()
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
            for (_, value) in values(query, numbers) {
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
