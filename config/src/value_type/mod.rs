//! Value types: how a setting is written, read, rendered and described.
//!
//! A value type knows its Rust type, so a row of the settings cannot assign a text to a number. Most value types are
//! scalars, written as one TOML string ([`scalar::Scalar`]); the others have a form of their own.

pub(crate) mod address;
pub(crate) mod choice;
pub(crate) mod column;
pub(crate) mod decimal;
pub(crate) mod duration;
pub(crate) mod file;
pub(crate) mod list;
pub(crate) mod number;
pub(crate) mod region;
pub(crate) mod scalar;
pub(crate) mod time_pattern;
pub(crate) mod token;

use serde_json::Value as Json;
use toml_edit::Value;

use crate::context::{Context, Input};

/// What a value looks like when the configuration is printed.
#[derive(Clone, Debug)]
pub(crate) enum Rendered {
    /// As TOML.
    Value(Value),
    /// A secret: there, but not shown.
    Masked,
    /// Not set.
    Nothing,
}

impl PartialEq for Rendered {
    fn eq(&self, other: &Rendered) -> bool {
        match (self, other) {
            (Rendered::Value(a), Rendered::Value(b)) => a.to_string() == b.to_string(),
            (Rendered::Masked, Rendered::Masked) | (Rendered::Nothing, Rendered::Nothing) => true,
            _ => false,
        }
    }
}

/// What a setting may look like.
pub(crate) trait ValueType: Sync + 'static {
    /// The type in the model.
    type Out: 'static;

    /// The type in the words of the reference.
    fn kind(&self) -> String;

    /// The JSON Schema of the value, without title, description and default.
    fn schema(&self) -> Json;

    /// The value, or nothing after the problem is noted.
    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Self::Out>;

    /// The value as it is printed.
    fn render(&self, out: &Self::Out) -> Rendered;

    /// The TOML value that an environment variable's text stands for.
    fn variable(&self, text: &str) -> Value {
        Value::from(text)
    }
}

/// A setting that may be absent.
pub(crate) struct Opt<S>(pub(crate) S);

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

    fn variable(&self, text: &str) -> Value {
        self.0.variable(text)
    }
}
