//! Numbers, switches, the weights of the position model, and sets of TCF
//! purposes.

use std::marker::PhantomData;

use serde_json::{Value as Json, json};
use toml_edit::{Array, Value};

use super::{Rendered, ValueType};
use crate::context::{Context, Input, Node};

/// An integer within bounds.
pub(crate) struct Int<N> {
    /// The minimum.
    min: i64,
    /// The maximum.
    max: i64,
    /// The remedy for a number outside of them; may be empty.
    fix: &'static str,
    of: PhantomData<fn() -> N>,
}

impl<N> Int<N> {
    /// An integer from `min` to `max`, both included; both must fit into `N`.
    pub(crate) const fn new(min: i64, max: i64) -> Int<N> {
        Int {
            min,
            max,
            fix: "",
            of: PhantomData,
        }
    }

    /// The same with a remedy for numbers outside of the bounds.
    pub(crate) const fn with_fix(self, fix: &'static str) -> Int<N> {
        Int { fix, ..self }
    }
}

/// Accepts a TOML integer in any notation (`200_000`, `0x10`). A quoted number
/// is a mistake, whose remedy is to remove the quotes.
impl<N: Copy + TryFrom<i64> + TryInto<i64> + 'static> ValueType for Int<N> {
    type Out = N;

    fn kind(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }

    fn schema(&self) -> Json {
        json!({"type": "integer", "minimum": self.min, "maximum": self.max})
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<N> {
        let Node::Value(Value::Integer(number)) = given.node else {
            let digits = given.text().is_some_and(|text| text.parse::<i64>().is_ok());
            let fix = if digits {
                "leave out the quotation marks"
            } else {
                ""
            };
            let message = format!("must be {}, not {}", self.kind(), given.node.type_name());
            cx.report_invalid(given, message, fix);
            return None;
        };
        let number = *number.value();
        match N::try_from(number) {
            Ok(out) if (self.min..=self.max).contains(&number) => Some(out),
            _ => {
                let message = format!("{number} must lie between {} and {}", self.min, self.max);
                cx.report_invalid(given, message, self.fix);
                None
            }
        }
    }

    fn render(&self, out: &N) -> Rendered {
        let number: Result<i64, _> = (*out).try_into();
        Rendered::Value(Value::from(number.unwrap_or(i64::MAX)))
    }

    /// An environment variable is text, so its digits become an integer here.
    fn variable(&self, text: &str) -> Value {
        (text.trim().parse::<i64>()).map_or_else(|_| Value::from(text), Value::from)
    }
}

/// `true` or `false`.
pub(crate) struct Switch;

/// Accepts the TOML booleans only: `yes`, `on` and `1` differ between languages
/// and shells.
impl ValueType for Switch {
    type Out = bool;

    fn kind(&self) -> String {
        "`true` or `false`".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "boolean"})
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<bool> {
        let Node::Value(Value::Boolean(switch)) = given.node else {
            let message = format!("must be true or false, not {}", given.node.type_name());
            let fix = match given.text() {
                Some("true" | "false") => "leave out the quotation marks",
                _ => "",
            };
            cx.report_invalid(given, message, fix);
            return None;
        };
        Some(*switch.value())
    }

    fn render(&self, out: &bool) -> Rendered {
        Rendered::Value(Value::from(*out))
    }

    fn variable(&self, text: &str) -> Value {
        (text.trim().parse::<bool>()).map_or_else(|_| Value::from(text), Value::from)
    }
}

/// The weights of the first contact, of all middle ones and of the last; the
/// first and the last are not both zero, because a path of two contacts would
/// then have no credit.
pub(crate) struct Weights;

impl Weights {
    /// The maximum of a weight, far below overflow when weights are multiplied
    /// by amounts.
    const MAX: i64 = 1_000_000;
}

/// Accepts a list of three integers, first, middle and last; their sum is
/// arbitrary.
impl ValueType for Weights {
    type Out = [u32; 3];

    fn kind(&self) -> String {
        "three whole numbers".to_owned()
    }

    fn schema(&self) -> Json {
        json!({
            "type": "array",
            "items": {"type": "integer", "minimum": 0, "maximum": Weights::MAX},
            "minItems": 3,
            "maxItems": 3,
        })
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<[u32; 3]> {
        let elements = given.elements().unwrap_or_default();
        let [first, middle, last] = elements.as_slice() else {
            let fix = "write first, middle and last: [40, 20, 40]";
            cx.report_invalid(given, "must be a list of three whole numbers", fix);
            return None;
        };
        let weight = Int::<u32>::new(0, Weights::MAX);
        let weights = [first, middle, last].map(|given| weight.read(given, cx));
        let [Some(first), Some(middle), Some(last)] = weights else {
            return None;
        };
        if first == 0 && last == 0 {
            let message = "first and last are both 0, so that a path of two touches has no credit";
            cx.report_invalid(given, message, "give the first or the last touch a weight");
            return None;
        }
        Some([first, middle, last])
    }

    fn render(&self, out: &[u32; 3]) -> Rendered {
        let weights: Array = out.iter().map(|weight| i64::from(*weight)).collect();
        Rendered::Value(Value::from(weights))
    }
}

/// Purposes of the Transparency and Consent Framework, without repetition, of
/// those given here.
pub(crate) struct Purposes(pub(crate) &'static [u8]);

impl Purposes {
    /// All purposes (TCF Policies, appendix A).
    pub(crate) const ALL: Purposes = Purposes(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    /// Those that may rest on legitimate interest: never 1, and since TCF 2.2
    /// no longer 3 to 6.
    pub(crate) const INTEREST: Purposes = Purposes(&[2, 7, 8, 9, 10, 11]);
}

/// Accepts a list of integers. The order is kept for printing and has no
/// meaning.
impl ValueType for Purposes {
    type Out = Vec<u8>;

    fn kind(&self) -> String {
        let all: Vec<String> = self.0.iter().map(u8::to_string).collect();
        format!("a list of purposes, of {}", all.join(", "))
    }

    fn schema(&self) -> Json {
        json!({"type": "array", "items": {"enum": self.0}, "uniqueItems": true})
    }

    fn read(&self, given: &Input<'_>, cx: &mut Context<'_>) -> Option<Vec<u8>> {
        let Some(elements) = given.elements() else {
            let message = format!("must be a list, not {}", given.node.type_name());
            cx.report_invalid(given, message, "put it in square brackets");
            return None;
        };
        let mut out = Vec::new();
        let before = cx.problems.len();
        for element in &elements {
            let Some(purpose) = Int::<u8>::new(1, 11).read(element, cx) else {
                continue;
            };
            if !self.0.contains(&purpose) {
                cx.report_invalid(element, format!("must be {}", self.kind()), "");
            } else if out.contains(&purpose) {
                cx.report_invalid(
                    element,
                    "occurs twice in the list",
                    "leave out one of the two",
                );
            }
            out.push(purpose);
        }
        (cx.problems.len() == before).then_some(out)
    }

    fn render(&self, out: &Vec<u8>) -> Rendered {
        let list: Array = out.iter().map(|purpose| i64::from(*purpose)).collect();
        Rendered::Value(Value::from(list))
    }
}
