//! Value types: how a setting is written, parsed, printed and described.
//!
//! A value type knows its Rust type, so a row of the settings cannot assign a
//! text to a number. Most value types are scalars, written as one TOML string
//! ([`scalar::Scalar`]); the others have a form of their own. A value type
//! reports a problem instead of returning an error, because some values, such
//! as lists, can have several.

pub(crate) mod address;
pub(crate) mod choice;
pub(crate) mod column;
pub(crate) mod decimal;
pub(crate) mod duration;
pub(crate) mod file;
pub(crate) mod list;
pub(crate) mod number;
mod randomness;
pub(crate) mod region;
pub(crate) mod scalar;
pub(crate) mod table;
pub(crate) mod time_pattern;
pub(crate) mod token;

use serde_json::{Value as Json, json};
use toml_edit::Value;
use zeroize::Zeroizing;

use crate::context::{Context, Input};

/// A value as the configuration prints it.
#[derive(Clone, Debug)]
pub(crate) enum Rendered {
    /// TOML.
    Value(Value),
    /// A secret that is set; printed as `"***"`.
    Masked,
    /// Not set.
    Nothing,
}

/// Equality of what is printed: spans, comments and the notation of numbers in
/// the file do not matter.
impl PartialEq for Rendered {
    fn eq(&self, other: &Rendered) -> bool {
        match (self, other) {
            (Rendered::Value(a), Rendered::Value(b)) => a.to_string() == b.to_string(),
            (Rendered::Masked, Rendered::Masked) | (Rendered::Nothing, Rendered::Nothing) => true,
            _ => false,
        }
    }
}

/// How a setting is written, parsed, printed and described.
/// | method | used by |
/// |---|---|
/// | [`ValueType::read`] | the parser |
/// | [`ValueType::render`] | the printer, and the comparison with defaults |
/// | [`ValueType::identity`] | the comparison of two configurations |
/// | [`ValueType::kind`] | the reference, and messages |
/// | [`ValueType::schema`] | the JSON Schema |
/// | [`ValueType::variable`] | environment variables |
pub(crate) trait ValueType: Sync + 'static {
    /// The type in the model.
    type Out: 'static;

    /// The type, in the words of the reference.
    fn kind(&self) -> String;

    /// The JSON Schema of the value, without title, description and default.
    fn schema(&self) -> Json;

    /// Parses the value; `None` after noting at least one problem.
    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Self::Out>;

    /// The value as printed. What is printed parses as the same value, unless
    /// it is masked.
    fn render(&self, out: &Self::Out) -> Rendered;

    /// What two equal values have in common, and no two different ones. A type whose
    /// values are not printed whole must say more than the print does; nothing
    /// shows it.
    fn identity(&self, out: &Self::Out) -> Zeroizing<String> {
        Zeroizing::new(match self.render(out) {
            Rendered::Value(value) => value.to_string(),
            Rendered::Masked | Rendered::Nothing => String::new(),
        })
    }

    /// The TOML value of an environment variable's text. A text that has no
    /// such value stays a string, which is then reported.
    fn variable(&self, text: &str) -> Value {
        Value::from(text)
    }
}

/// A setting that has a default and can be switched off by an empty text.
pub(crate) struct OrNone<S>(pub(crate) S);

impl<S: ValueType> ValueType for OrNone<S> {
    type Out = Option<S::Out>;

    fn kind(&self) -> String {
        format!("{}, or `\"\"` for none", self.0.kind())
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "anyOf": [{"const": ""}, self.0.schema()]})
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Self::Out> {
        match given.text() {
            Some("") => Some(None),
            _ => self.0.read(given, cx).map(Some),
        }
    }

    fn render(&self, out: &Self::Out) -> Rendered {
        out.as_ref()
            .map_or(Rendered::Value(Value::from("")), |out| self.0.render(out))
    }

    fn variable(&self, text: &str) -> Value {
        self.0.variable(text)
    }
}

/// A setting that may be absent.
pub(crate) struct Opt<S>(pub(crate) S);

/// Absence is the default of the row, not a value: a given setting is always
/// `Some`.
impl<S: ValueType> ValueType for Opt<S> {
    type Out = Option<S::Out>;

    fn kind(&self) -> String {
        self.0.kind()
    }

    fn schema(&self) -> Json {
        self.0.schema()
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Self::Out> {
        self.0.read(given, cx).map(Some)
    }

    fn render(&self, out: &Self::Out) -> Rendered {
        out.as_ref()
            .map_or(Rendered::Nothing, |out| self.0.render(out))
    }

    fn identity(&self, out: &Self::Out) -> Zeroizing<String> {
        match out {
            Some(out) => self.0.identity(out),
            None => Zeroizing::default(),
        }
    }

    fn variable(&self, text: &str) -> Value {
        self.0.variable(text)
    }
}
