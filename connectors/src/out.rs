//! Cells as JSON: compact, keys sorted, integers only, so that equal cells are
//! equal bytes.
//!
//! The bytes are a contract: a subject contains the hash of a cell's JSON, and
//! two runs are compared by their lines. Strings have only the escapes that RFC
//! 8259 (section 7) requires; days are `2025-10-26`, months `2025-10`, hours
//! RFC 3339 with the offset of the store's zone.

mod parse;
mod reference;

use std::fmt::Write;

use tributary_operators::cell::{Cell, Dim, NO_VALUE};

use crate::calendar;

pub use parse::{parse_cell, parse_dim, parse_line};
pub use reference::reference;

/// The line of a cell in the output of a replay,
/// `{"cell":{…},"family":…,"value":{…}}`, without a line break.
///
/// ```
/// use tributary_connectors::out::cell_line;
/// use tributary_operators::cell::{Cell, Dim, Family};
///
/// let dims = Family::OrdersDay.dims().iter().map(|name| match *name {
///     "brand" => Dim::Text("acme".into()),
///     "day" => Dim::Day(19_675),
///     _ => Dim::Text("EUR".into()),
/// });
/// let cell = Cell { family: Family::OrdersDay, dims: dims.collect(), values: Vec::new() };
/// assert_eq!(
///     cell_line(&cell),
///     r#"{"cell":{"brand":"acme","currency":"EUR","day":"2023-11-14"},"family":"orders_day","value":{}}"#
/// );
/// ```
pub fn cell_line(cell: &Cell) -> String {
    let mut out = String::with_capacity(320);
    out.push_str("{\"cell\":");
    write_cell(&mut out, cell);
    out.push_str(",\"family\":\"");
    out.push_str(cell.family.name());
    out.push_str("\",\"value\":");
    write_value(&mut out, cell);
    out.push('}');
    out
}

/// The dimensions of a cell, `{"brand":…,…}`.
pub fn cell_json(cell: &Cell) -> String {
    let mut out = String::with_capacity(240);
    write_cell(&mut out, cell);
    out
}

/// The values of a cell, `{"persons":…,…}`; `{}` for a closed cell.
pub fn value_json(cell: &Cell) -> String {
    let mut out = String::with_capacity(80);
    write_value(&mut out, cell);
    out
}

/// Writes the dimensions.
fn write_cell(out: &mut String, cell: &Cell) {
    write_object(out, cell.family.dims(), &cell.dims, write_dim);
}

/// Writes the values.
fn write_value(out: &mut String, cell: &Cell) {
    write_object(
        out,
        cell.family.values(),
        &cell.values,
        |out, value| match *value {
            NO_VALUE => out.push_str("null"),
            value => write_display(out, value),
        },
    );
}

/// Writes an object with sorted keys; `names` and `values` are parallel.
fn write_object<T>(
    out: &mut String,
    names: &'static [&'static str],
    values: &[T],
    write_one: impl Fn(&mut String, &T),
) {
    let mut members: Vec<(&str, &T)> = names.iter().copied().zip(values).collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    out.push('{');
    for (place, (name, value)) in members.into_iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        out.push('"');
        out.push_str(name);
        out.push_str("\":");
        write_one(out, value);
    }
    out.push('}');
}

/// Writes one dimension as JSON, as in the line of a cell.
pub fn write_dim(out: &mut String, dim: &Dim) {
    match dim {
        Dim::Null => out.push_str("null"),
        Dim::Text(text) => write_text(out, text),
        Dim::Day(day) => {
            let (year, month, of_month) = calendar::civil(*day);
            write_display(out, format_args!("\"{year:04}-{month:02}-{of_month:02}\""));
        }
        Dim::Month(month) => {
            let (year, of_year) = (month.div_euclid(12), month.rem_euclid(12) + 1);
            write_display(out, format_args!("\"{year:04}-{of_year:02}\""));
        }
        Dim::Hour(second, offset) => write_hour(out, *second, *offset),
        Dim::Count(count) => write_display(out, count),
        Dim::Path(path) => {
            out.push('[');
            for (place, channel) in path.iter().enumerate() {
                out.push_str(if place > 0 { ",[" } else { "[" });
                for (place, word) in channel.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    match word {
                        Some(word) => write_text(out, word),
                        None => out.push_str("null"),
                    }
                }
                out.push(']');
            }
            out.push(']');
        }
    }
}

/// Writes RFC 3339 with an offset of whole minutes. The few historical offsets
/// with seconds are rounded toward zero in the offset; the local time shown is
/// exact.
fn write_hour(out: &mut String, second: i64, offset: i32) {
    let local = second + i64::from(offset);
    let day = i32::try_from(local.div_euclid(86_400)).unwrap_or(i32::MAX);
    let (year, month, of_month) = calendar::civil(day);
    let of_day = local.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs() / 60;
    write_display(
        out,
        format_args!(
            "\"{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}{sign}{:02}:{:02}\"",
            minutes / 60,
            minutes % 60
        ),
    );
}

/// A JSON string with no more escapes than JSON requires.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => write_display(out, format_args!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Writing into a string cannot fail.
fn write_display(out: &mut String, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_operators::cell::Family;

    fn text(word: &str) -> Dim {
        Dim::Text(word.into())
    }

    #[test]
    fn a_line_has_sorted_keys_and_nothing_but_integers() {
        let cell = Cell {
            family: Family::Attribution,
            dims: vec![
                text("acme"),
                text("last"),
                text("google"),
                text("cpc"),
                Dim::Null,
                text("order"),
                Dim::Null,
                Dim::Day(20_387),
                text("EUR"),
            ],
            values: vec![1_000_000, -i128::from(i64::MAX)],
        };
        assert_eq!(
            cell_line(&cell),
            concat!(
                r#"{"cell":{"brand":"acme","campaign":null,"currency":"EUR","day":"2025-10-26","#,
                r#""kind":"order","medium":"cpc","model":"last","source":"google","store":null},"#,
                r#""family":"attribution","value":{"conversions_millionths":1000000,"#,
                r#""value_minor":-9223372036854775807}}"#
            )
        );
    }

    #[test]
    fn hours_carry_their_offset() {
        let hour = |second, offset| {
            cell_json(&Cell {
                family: Family::Visits,
                dims: vec![text("a"), text("s"), Dim::Hour(second, offset)],
                values: vec![],
            })
        };
        let expect = |hour: &str| format!(r#"{{"brand":"a","hour":"{hour}","store":"s"}}"#);
        assert_eq!(
            hour(1_761_440_400, 3600),
            expect("2025-10-26T02:00:00+01:00")
        );
        assert_eq!(
            hour(1_761_436_800, 7200),
            expect("2025-10-26T02:00:00+02:00")
        );
        assert_eq!(hour(0, 0), expect("1970-01-01T00:00:00+00:00"));
        assert_eq!(hour(0, -34_200), expect("1969-12-31T14:30:00-09:30"));
    }

    #[test]
    fn months_counts_and_paths() {
        let cell = Cell {
            family: Family::Paths,
            dims: vec![
                text("a"),
                text("order"),
                Dim::Month(2025 * 12 + 9),
                text("EUR"),
                Dim::Path(vec![
                    [
                        Some("g\"o".into()),
                        None,
                        Some("\u{1}\u{e9}\u{2028}".into()),
                    ],
                    [Some("direct".into()), Some("none".into()), None],
                ]),
            ],
            values: vec![],
        };
        assert_eq!(
            cell_json(&cell),
            concat!(
                r#"{"brand":"a","currency":"EUR","kind":"order","month":"2025-10","#,
                "\"path\":[[\"g\\\"o\",null,\"\\u0001\u{e9}\u{2028}\"],[\"direct\",\"none\",null]]}"
            )
        );
        assert_eq!(value_json(&cell), "{}");
    }

    #[test]
    fn the_line_is_what_a_json_library_would_write() {
        for word in [
            "plain",
            "tab\t",
            "\u{7f}\u{80}",
            "\\\"/",
            "\u{1f600}",
            "\u{8}\u{c}\r\n\u{1f}",
        ] {
            let mut out = String::new();
            write_text(&mut out, word);
            assert_eq!(out, serde_json::to_string(word).unwrap());
        }
    }
}
