//! Lists of scalars.
//!
//! A list is a set in the order of the file: repetitions are reported. In an
//! environment variable, commas separate the elements.

use serde_json::{Value as Json, json};
use toml_edit::{Array, Value};
use zeroize::Zeroizing;

use super::scalar::{self, Scalar};
use super::{Rendered, ValueType};
use crate::context::{Context, Input};

/// The replacement of a value that is not printed.
pub(crate) const MASK: &str = "***";

/// A list of scalars without repetition. An empty list is a value of its own
/// and differs from an absent setting only in the mark of the printed default.
pub(crate) struct Many<W> {
    /// The type of each element.
    pub(crate) each: W,
    /// Whether elements may identify a person and are therefore neither printed
    /// nor repeated.
    pub(crate) private: bool,
}

/// Elements are equal if they are written equally after parsing, so
/// `"Shop.example"` repeats `"shop.example"`.
impl<W: Scalar> ValueType for Many<W> {
    type Out = Vec<W::Out>;

    fn kind(&self) -> String {
        format!("a list, each {}", self.each.kind())
    }

    fn schema(&self) -> Json {
        json!({"type": "array", "items": self.each.schema(), "uniqueItems": true})
    }

    /// Parses every element before it fails, so that all problems are reported.
    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Self::Out> {
        let Some(elements) = given.elements() else {
            let fix = match given.text() {
                Some(_) => "put it in square brackets",
                None => "",
            };
            cx.report_invalid(
                given,
                format!("must be a list, not {}", given.node.type_name()),
                fix,
            );
            return None;
        };
        let mut out: Vec<W::Out> = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        let mut right = true;
        for element in &elements {
            let Some(value) = scalar::read(&self.each, element, cx) else {
                right = false;
                continue;
            };
            let text = self.each.write(&value);
            if seen.contains(&text) {
                cx.report_invalid(
                    element,
                    "occurs twice in the list",
                    "leave out one of the two",
                );
                right = false;
            }
            seen.push(text);
            out.push(value);
        }
        right.then_some(out)
    }

    fn render(&self, out: &Self::Out) -> Rendered {
        let list: Array = (out.iter())
            .map(|value| match self.private {
                true => MASK.to_owned(),
                false => self.each.write(value),
            })
            .collect();
        Rendered::Value(Value::from(list))
    }

    fn identity(&self, out: &Self::Out) -> Zeroizing<String> {
        let list: Array = out.iter().map(|value| self.each.write(value)).collect();
        Zeroizing::new(list.to_string())
    }

    fn variable(&self, text: &str) -> Value {
        Value::from(text.split(',').map(str::trim).collect::<Array>())
    }
}

/// A list of words from a choice, of which none is the same as no list.
pub(crate) struct Named<W> {
    /// The type of each element.
    pub(crate) each: W,
}

impl<W: Scalar<Out = &'static str>> ValueType for Named<W> {
    type Out = Vec<String>;

    fn kind(&self) -> String {
        format!("a list, each {}", self.each.kind())
    }

    fn schema(&self) -> Json {
        json!({"type": "array", "items": self.each.schema(), "uniqueItems": true})
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Vec<String>> {
        let Some(elements) = given.elements() else {
            let message = format!("must be a list, not {}", given.node.type_name());
            cx.report_invalid(given, message, "put it in square brackets");
            return None;
        };
        let words = elements.iter().map(|element| {
            let word = scalar::read(&self.each, element, cx)?;
            Some(word.to_owned())
        });
        let words: Vec<Option<String>> = words.collect();
        words.into_iter().collect()
    }

    fn render(&self, out: &Vec<String>) -> Rendered {
        match out.is_empty() {
            true => Rendered::Nothing,
            false => Rendered::Value(Value::from(out.iter().collect::<Array>())),
        }
    }
}
