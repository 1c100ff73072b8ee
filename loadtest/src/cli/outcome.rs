//! How commands end.

use tributary_connectors::terminal;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// As it should.
    Success,
    /// A comparison found a difference.
    Difference,
    /// The figures of a run are not those of what was asked for.
    Invalid,
}

/// The outcome of a run, with a line on standard error for each reason why it is not valid.
pub(super) fn outcome(invalid: &[String]) -> Outcome {
    for why in invalid {
        terminal::note(format_args!("loadtest: {why}"));
    }
    match invalid.is_empty() {
        true => Outcome::Success,
        false => Outcome::Invalid,
    }
}
