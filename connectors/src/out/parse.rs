//! Published cells read back: the inverse of the parent module, for every
//! family.
//!
//! Nothing else is taken for a cell, so a payload that another program
//! published under an output subject is not mistaken for one.

use serde_json::{Map, Value};
use tributary_operators::cell::{Cell, Dim, Family, Form, NO_VALUE};

use crate::calendar;

/// Parses the payload of a published cell, `{"cell":…,"value":…,"as_of":…,…}`.
/// Returns the cell, closed if its value is null, and the time of the release
/// that published it, Unix milliseconds; `None` if Tributary does not write
/// such a payload for the family.
pub fn parse_cell(family: Family, payload: &[u8]) -> Option<(Cell, i64)> {
    let mut message: Map<String, Value> = serde_json::from_slice(payload).ok()?;
    let cell = cell_of(family, &mut message)?;
    let released: jiff::Timestamp = message.get("as_of")?.as_str()?.parse().ok()?;
    Some((cell, released.as_millisecond()))
}

/// Parses the line of a cell, `{"cell":…,"family":…,"value":…}`, as
/// [`cell_line`](super::cell_line) writes it; `None` for any other line.
///
/// ```
/// use tributary_connectors::out::{cell_line, parse_line};
///
/// let line = r#"{"cell":{"brand":"acme","currency":"EUR","day":"2023-11-14"},"family":"orders_day","value":{"orders":3,"persons":2,"revenue_minor":7}}"#;
/// assert_eq!(parse_line(line).map(|cell| cell_line(&cell)).as_deref(), Some(line));
/// assert_eq!(parse_line("{}"), None);
/// ```
pub fn parse_line(line: &str) -> Option<Cell> {
    let mut message: Map<String, Value> = serde_json::from_str(line).ok()?;
    let family = Family::of(message.get("family")?.as_str()?)?;
    cell_of(family, &mut message)
}

/// The cell of a message: its dimensions and values.
fn cell_of(family: Family, message: &mut Map<String, Value>) -> Option<Cell> {
    let Value::Object(names) = message.remove("cell")? else {
        return None;
    };
    if names.len() != family.dims().len() {
        return None;
    }
    let dims = family.row().dimensions.iter();
    let dims = dims.map(|of| parse_dim(of.form(), names.get(of.name())?));
    let dims: Option<Vec<Dim>> = dims.collect();
    let values = match message.remove("value")? {
        Value::Null => Some(Vec::new()),
        Value::Object(values) => {
            let names = family.values().iter();
            names
                .map(|name| {
                    let value = values.get(*name)?;
                    if value.is_null() {
                        return Some(NO_VALUE);
                    }
                    let signed = value.as_i64().map(i128::from);
                    signed.or_else(|| value.as_u64().map(i128::from))
                })
                .collect()
        }
        _ => None,
    };
    Some(Cell {
        family,
        dims: dims?,
        values: values?,
    })
}

/// Parses one dimension of a form; `None` if a dimension of the form is not written
/// so.
pub fn parse_dim(form: Form, value: &Value) -> Option<Dim> {
    match (form, value) {
        (_, Value::Null) => Some(Dim::Null),
        (Form::Day, Value::String(text)) => day(text).map(Dim::Day).or_else(|| month(text)),
        (Form::Month, Value::String(text)) => month(text),
        (Form::Hour, Value::String(text)) => hour(text).or_else(|| parse_dim(Form::Day, value)),
        (Form::Count, Value::Number(count)) => count.as_u64().map(Dim::Count),
        (Form::Path, Value::Array(steps)) => {
            steps.iter().map(step).collect::<Option<_>>().map(Dim::Path)
        }
        (Form::Word | Form::Name, Value::String(text)) => Some(Dim::Text(text.as_str().into())),
        _ => None,
    }
}

fn month(text: &str) -> Option<Dim> {
    let (year, month) = text.split_once('-')?;
    let month: i32 = month.parse().ok()?;
    Some(Dim::Month(year.parse::<i32>().ok()? * 12 + month - 1))
}

/// Parses `2025-10-26`, as days since 1970-01-01.
fn day(text: &str) -> Option<i32> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    calendar::day(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

/// Parses RFC 3339 with an offset into the Unix second and the offset in
/// seconds.
fn hour(text: &str) -> Option<Dim> {
    let (date, rest) = text.split_once('T')?;
    let (clock, offset) = rest.split_at_checked(8)?;
    let seconds = |text: &str| -> Option<i64> {
        let parts = text.split(':').map(|part| part.parse::<i64>().ok());
        let parts: Vec<i64> = parts.collect::<Option<_>>()?;
        let units = [3600, 60, 1];
        Some(
            parts
                .iter()
                .zip(units)
                .map(|(part, unit)| part * unit)
                .sum(),
        )
    };
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let offset = sign * seconds(offset.get(1..)?)?;
    let second = i64::from(day(date)?) * 86_400 + seconds(clock)? - offset;
    Some(Dim::Hour(second, i32::try_from(offset).ok()?))
}

/// Parses one channel of a path.
fn step(step: &Value) -> Option<[Option<std::sync::Arc<str>>; 3]> {
    let [source, medium, campaign] = step.as_array()?.as_slice() else {
        return None;
    };
    let word = |word: &Value| match word {
        Value::Null => Some(None),
        Value::String(word) => Some(Some(word.as_str().into())),
        _ => None,
    };
    Some([word(source)?, word(medium)?, word(campaign)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::cell_payload;
    use crate::out::{cell_json, value_json};
    use tributary_operators::cell::Dimension;

    /// A dimension with something in it.
    fn sample(of: Dimension, odd: bool) -> Dim {
        match of.form() {
            Form::Day => Dim::Day(20_387),
            Form::Month => Dim::Month(2025 * 12 + 9),
            Form::Hour if odd => Dim::Hour(1_761_440_400, -34_200),
            Form::Hour => Dim::Hour(1_761_440_400, 3600),
            Form::Count => Dim::Count(3),
            Form::Path => Dim::Path(vec![[Some("g\"o".into()), None, Some("\u{1}é".into())]]),
            Form::Name if odd => Dim::Null,
            Form::Word | Form::Name => Dim::Text(format!("{} \\ \"é\"", of.name()).into()),
        }
    }

    #[test]
    fn every_family_reads_back_what_was_written() {
        for family in Family::ALL {
            for odd in [false, true] {
                let dims = family.row().dimensions.iter();
                let dims = dims.map(|of| sample(*of, odd)).collect();
                let values = family
                    .values()
                    .iter()
                    .zip([-7, 0, i128::from(u64::MAX), 9, 1, 2, 3]);
                let mut cell = Cell {
                    family,
                    dims,
                    values: values.map(|(_, value)| value).collect(),
                };
                let json = cell_json(&cell);
                let payload = cell_payload(&json, Some(&value_json(&cell)), 3, 7);
                let parsed = parse_cell(family, payload.as_bytes());
                assert_eq!(parsed, Some((cell.clone(), 7)));
                let payload = cell_payload(&json, None, 3, 8);
                cell.values.clear();
                let parsed = parse_cell(family, payload.as_bytes());
                assert_eq!(parsed, Some((cell, 8)));
            }
        }
    }

    #[test]
    fn what_is_no_cell_is_none() {
        for payload in [
            "",
            "[]",
            "{}",
            r#"{"cell":{},"value":null}"#,
            r#"{"cell":{"brand":1},"value":null,"epoch":1}"#,
            r#"{"cell":{"brand":"a"},"value":null}"#,
            r#"{"cell":{"brand":"a"},"value":null,"as_of":"yesterday"}"#,
        ] {
            assert_eq!(
                parse_cell(Family::Identity, payload.as_bytes()),
                None,
                "{payload}"
            );
        }
    }
}
