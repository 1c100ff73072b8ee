//! Tables from names of others to values of ours: events, stores, categories of
//! consent.
//!
//! The keys come from a vendor and are taken as they are. An empty table and an
//! absent one are the same.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use toml_edit::{Array, InlineTable, Value};

use super::scalar::{self, Scalar};
use super::{Rendered, ValueType};
use crate::context::{Context, Input, Node, quote};

/// A table from any name to a scalar.
pub(crate) struct NameTable<W> {
    /// The type of each value.
    pub(crate) each: W,
    /// The form, for the message about another one.
    pub(crate) form: &'static str,
}

/// The keys of a table; reports a value that is none.
fn keys(given: &Input<'_>, form: &str, cx: &mut Context<'_>) -> Option<Vec<String>> {
    let Node::Table(_) = given.node else {
        let message = format!("must be a table, not {}", given.node.type_name());
        cx.report_invalid(given, message, format!("write {form}"));
        return None;
    };
    Some(given.keys().into_iter().map(|(key, _)| key).collect())
}

/// A table of rendered values; nothing if it is empty.
fn rendered(rows: impl Iterator<Item = (String, Value)>) -> Rendered {
    let mut table = InlineTable::new();
    for (key, value) in rows {
        table.insert(&key, value);
    }
    match table.is_empty() {
        true => Rendered::Nothing,
        false => Rendered::Value(Value::from(table)),
    }
}

impl<W: Scalar> ValueType for NameTable<W> {
    type Out = BTreeMap<String, W::Out>;

    fn kind(&self) -> String {
        format!("a table, each value {}", self.each.kind())
    }

    fn schema(&self) -> Json {
        json!({"type": "object", "additionalProperties": self.each.schema()})
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Self::Out> {
        let mut out = BTreeMap::new();
        let mut right = true;
        for key in keys(given, self.form, cx)? {
            let value = given.child(&key);
            match value.and_then(|value| scalar::read(&self.each, &value, cx)) {
                Some(value) => drop(out.insert(key, value)),
                None => right = false,
            }
        }
        right.then_some(out)
    }

    fn render(&self, out: &Self::Out) -> Rendered {
        let rows = out.iter();
        rendered(rows.map(|(key, value)| (key.clone(), Value::from(self.each.write(value)))))
    }
}

/// A table from consent categories to lists of checkboxes: purposes as numbers,
/// the others by name.
pub(crate) struct Categories;

/// The form of the table, for messages.
const CATEGORIES: &str = r#"consent_categories = { Analytics = [1, 9] }"#;

impl ValueType for Categories {
    type Out = BTreeMap<String, Vec<String>>;

    fn kind(&self) -> String {
        "a table from categories to lists of checkboxes: purposes `1` to `11`, `special_feature_1`, `special_feature_2`, `feature_2`, `do_not_sell`, `do_not_share`, `do_not_target`".to_owned()
    }

    fn schema(&self) -> Json {
        let one = json!({"anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 11},
            {"enum": ["special_feature_1", "special_feature_2", "feature_2", "do_not_sell", "do_not_share", "do_not_target"]},
        ]});
        let list = json!({"type": "array", "items": one, "uniqueItems": true});
        json!({"type": "object", "additionalProperties": list})
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Self::Out> {
        let mut out = BTreeMap::new();
        let before = cx.problems.len();
        for key in keys(given, CATEGORIES, cx)? {
            let Some(list) = given.child(&key) else {
                continue;
            };
            let Some(elements) = list.elements() else {
                let message = format!("must be a list, not {}", list.node.type_name());
                cx.report_invalid(&list, message, "put it in square brackets");
                continue;
            };
            let mut boxes: Vec<String> = Vec::new();
            for element in &elements {
                match checkbox(element) {
                    Some(name) if boxes.contains(&name) => {
                        let fix = "leave out one of the two";
                        cx.report_invalid(element, "occurs twice in the list", fix);
                    }
                    Some(name) => boxes.push(name),
                    None => {
                        let shown = element.text().map_or_else(String::new, quote);
                        let message = format!("{shown} is not a checkbox");
                        let fix = "write a purpose from 1 to 11, or \"do_not_sell\" and the like";
                        cx.report_invalid(element, message.trim_start(), fix);
                    }
                }
            }
            out.insert(key, boxes);
        }
        (cx.problems.len() == before).then_some(out)
    }

    fn render(&self, out: &Self::Out) -> Rendered {
        let value = |name: &String| match name.parse::<i64>() {
            Ok(purpose) => Value::from(purpose),
            Err(_) => Value::from(name),
        };
        let rows = out.iter().map(|(key, boxes)| {
            let list: Array = boxes.iter().map(value).collect();
            (key.clone(), Value::from(list))
        });
        rendered(rows)
    }
}

/// The name of a checkbox, given as a number or a text.
fn checkbox(given: &Input<'_>) -> Option<String> {
    let name = match given.node {
        Node::Value(Value::Integer(number)) => number.value().to_string(),
        _ => given.text()?.to_owned(),
    };
    let known = tributary_consent::Boxes::read([(name.as_str(), true)]).is_ok();
    known.then_some(name)
}
