//! The column map of a CSV source, and the filter of its rows.
//!
//! | notation | text of the field |
//! |---|---|
//! | `"header"` | the cell of that column |
//! | `{ const = "text" }` | the same in every row |
//! | `{ join = ["a", "b"], with = ":" }` | several cells, joined |
//! | `{ lookup = "f.csv", by = "a", key = "b", value = "c" }` | a cell of another file |
//!
//! A column is a header, or an inline table with exactly one of `const`, `join`
//! and `lookup`; keys of another form are reported.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use toml_edit::{Array, InlineTable, Value};

use super::scalar::{FreeText, read};
use super::{Rendered, ValueType};
use crate::context::{Context, Input, Node, join};
use crate::fields;
use crate::model::{Column, Kind};
use crate::suggest::did_you_mean;

/// The forms of a column, as the remedy of messages.
const FORMS: &str = r#"write "header", { const = "text" }, { join = ["a", "b"], with = ":" } or { lookup = "file.csv", by = "header", key = "header", value = "header" }"#;

/// The keys that the table of a column may have.
const KEYS: [&str; 7] = ["const", "join", "with", "lookup", "by", "key", "value"];

/// The origin of each field's text, by the name of the field. Which fields
/// exist depends on the source's kind and is checked in `build`.
pub(crate) struct Columns;

/// A table from fields to columns. Each column is reported on its own, so that
/// one mistake does not hide another.
impl ValueType for Columns {
    type Out = BTreeMap<String, Column>;

    fn kind(&self) -> String {
        "a table from fields to columns".to_owned()
    }

    /// The schema permits the fields of all kinds, because the kind is a
    /// setting of another table.
    fn schema(&self) -> Json {
        let mut names: Vec<&str> = Kind::ALL
            .iter()
            .flat_map(|kind| fields::of(*kind))
            .copied()
            .collect();
        names.sort_unstable();
        names.dedup();
        let header = json!({"type": "string", "minLength": 1});
        json!({
            "type": "object",
            "propertyNames": {"enum": names},
            "additionalProperties": {"oneOf": [
                {"title": "a column by its header", "type": "string", "minLength": 1},
                {
                    "title": "the same text in every row",
                    "type": "object",
                    "properties": {"const": {"type": "string"}},
                    "required": ["const"],
                    "additionalProperties": false,
                },
                {
                    "title": "several columns, joined",
                    "type": "object",
                    "properties": {
                        "join": {"type": "array", "items": header, "minItems": 2},
                        "with": {"type": "string"},
                    },
                    "required": ["join", "with"],
                    "additionalProperties": false,
                },
                {
                    "title": "a value of another CSV file",
                    "type": "object",
                    "properties": {"lookup": header, "by": header, "key": header, "value": header},
                    "required": ["lookup", "by", "key", "value"],
                    "additionalProperties": false,
                },
            ]},
        })
    }

    /// Reads every column; `None` if any is invalid.
    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Self::Out> {
        let Node::Table(_) = given.node else {
            let message = format!("must be a table, not {}", given.node.type_name());
            cx.report_invalid(
                given,
                message,
                r#"write columns = { id = "header", ts = "header" }"#,
            );
            return None;
        };
        let mut out = BTreeMap::new();
        let mut right = true;
        for (key, _) in given.keys() {
            match given.child(&key).and_then(|given| column(&given, cx)) {
                Some(column) => {
                    out.insert(key, column);
                }
                None => right = false,
            }
        }
        right.then_some(out)
    }

    fn render(&self, out: &Self::Out) -> Rendered {
        let mut table = InlineTable::new();
        for (field, column) in out {
            table.insert(field, show(column));
        }
        Rendered::Value(Value::from(table))
    }
}

/// Parses one column; reports unknown keys, and keys that belong to another
/// form.
fn column(given: &Input<'_>, cx: &mut Context<'_>) -> Option<Column> {
    if given.text().is_some() {
        return read(&FreeText("a header"), given, cx).map(Column::Name);
    }
    let Node::Table(table) = given.node else {
        cx.report_invalid(
            given,
            format!("must be a column, not {}", given.node.type_name()),
            FORMS,
        );
        return None;
    };
    let mut right = true;
    for (key, place) in given.keys() {
        if !KEYS.contains(&key.as_str()) {
            let fix = match did_you_mean(&key, KEYS) {
                none if none.is_empty() => FORMS.to_owned(),
                fix => fix,
            };
            cx.report(
                place,
                &join(&given.path, &key),
                "is not part of a column",
                fix,
            );
            right = false;
        }
    }
    let form = ["const", "join", "lookup"]
        .iter()
        .filter(|key| table.contains_key(key));
    let allowed: &[&str] = match form.copied().collect::<Vec<_>>().as_slice() {
        ["const"] => &["const"],
        ["join"] => &["join", "with"],
        ["lookup"] => &["lookup", "by", "key", "value"],
        _ if !right => return None,
        _ => {
            cx.report_invalid(
                given,
                "must have exactly one of const, join and lookup",
                FORMS,
            );
            return None;
        }
    };
    for (key, place) in given.keys() {
        if KEYS.contains(&key.as_str()) && !allowed.contains(&key.as_str()) {
            let message = format!("does not go with {}", allowed.first().unwrap_or(&""));
            cx.report(place, &join(&given.path, &key), message, FORMS);
            right = false;
        }
    }
    let out = match allowed {
        ["const"] => Column::Const(text(given, "const", cx)?),
        ["join", ..] => {
            let columns = headers(given, cx);
            let with = text(given, "with", cx);
            Column::Join {
                columns: columns?,
                with: with?,
            }
        }
        _ => {
            let file = file_name(given, cx);
            let [by, key, value] = ["by", "key", "value"].map(|key| header(given, key, cx));
            Column::Lookup {
                file: file?,
                by: by?,
                key: key?,
                value: value?,
            }
        }
    };
    right.then_some(out)
}

/// A part of a column that may be any text, even an empty one.
fn text(column: &Input<'_>, key: &str, cx: &mut Context<'_>) -> Option<String> {
    let Some(given) = column.child(key) else {
        cx.report_missing(column.place, &join(&column.path, key), "is missing", FORMS);
        return None;
    };
    if given.text().is_none() {
        let message = format!("must be a text, not {}", given.node.type_name());
        cx.report_invalid(&given, message, "write it in quotation marks");
    }
    given.text().map(str::to_owned)
}

/// A part of a column that is a header.
fn header(column: &Input<'_>, key: &str, cx: &mut Context<'_>) -> Option<String> {
    match column.child(key) {
        Some(given) => read(&FreeText("a header"), &given, cx),
        None => text(column, key, cx),
    }
}

/// The headers to join.
fn headers(column: &Input<'_>, cx: &mut Context<'_>) -> Option<Vec<String>> {
    let given = column.child("join")?;
    let Some(elements) = given.elements().filter(|elements| elements.len() >= 2) else {
        cx.report_invalid(&given, "must be a list of at least two headers", FORMS);
        return None;
    };
    let headers: Vec<Option<String>> = elements
        .iter()
        .map(|given| read(&FreeText("a header"), given, cx))
        .collect();
    headers.into_iter().collect()
}

/// The name of the lookup file. It lies in the directory of the file that is
/// read, so it has no path.
fn file_name(column: &Input<'_>, cx: &mut Context<'_>) -> Option<String> {
    let given = column.child("lookup")?;
    let name = read(&FreeText("a file name"), &given, cx)?;
    if name.contains(['/', '\\']) || name == ".." || name == "." {
        let message = "must be a file name without directories";
        cx.report_invalid(
            &given,
            message,
            "put the file beside the CSV file that is read",
        );
        return None;
    }
    Some(name)
}

/// A column as printed.
fn show(column: &Column) -> Value {
    let mut table = InlineTable::new();
    match column {
        Column::Name(header) => return Value::from(header),
        Column::Const(text) => {
            table.insert("const", Value::from(text));
        }
        Column::Join { columns, with } => {
            table.insert("join", Value::from(columns.iter().collect::<Array>()));
            table.insert("with", Value::from(with));
        }
        Column::Lookup {
            file,
            by,
            key,
            value,
        } => {
            for (name, text) in [("lookup", file), ("by", by), ("key", key), ("value", value)] {
                table.insert(name, Value::from(text));
            }
        }
    }
    Value::from(table)
}

/// The filter of rows: the exact text of each named column.
pub(crate) struct RowFilter;

/// A table from headers to texts. The empty text is permitted: it selects rows
/// with an empty cell.
impl ValueType for RowFilter {
    type Out = BTreeMap<String, String>;

    fn kind(&self) -> String {
        "a table from headers to texts".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "object", "additionalProperties": {"type": "string"}})
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Self::Out> {
        let Node::Table(_) = given.node else {
            let message = format!("must be a table, not {}", given.node.type_name());
            cx.report_invalid(given, message, r#"write only = { header = "text" }"#);
            return None;
        };
        let mut out = BTreeMap::new();
        let mut right = true;
        for (key, _) in given.keys() {
            match text(given, &key, cx) {
                Some(text) => {
                    out.insert(key, text);
                }
                None => right = false,
            }
        }
        right.then_some(out)
    }

    fn render(&self, out: &Self::Out) -> Rendered {
        let mut table = InlineTable::new();
        for (header, text) in out {
            table.insert(header, Value::from(text));
        }
        Rendered::Value(Value::from(table))
    }
}
