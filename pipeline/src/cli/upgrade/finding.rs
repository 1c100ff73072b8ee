//! A finding: what was looked at, and what it means for the upgrade.

use std::path::Path;

use serde::Serialize;

/// How the upgrade would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// As it should.
    Ok,
    /// As it should, with something to know.
    Note,
    /// With something to do, before or soon after.
    Warning,
    /// It would, and could not be undone.
    Irreversible,
    /// Not at all.
    Refused,
}

impl Outcome {
    /// Its name for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Note => "note",
            Outcome::Warning => "warning",
            Outcome::Irreversible => "irreversible",
            Outcome::Refused => "refused",
        }
    }
}

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// How the upgrade would go.
    pub outcome: Outcome,
    /// What was looked at.
    pub subject: String,
    /// What was found there.
    pub text: String,
    /// What to do about it; empty if nothing is.
    pub fix: String,
}

impl Finding {
    /// A finding with nothing to do about it.
    pub(super) fn new(
        outcome: Outcome,
        subject: impl Into<String>,
        text: impl Into<String>,
    ) -> Finding {
        Finding {
            outcome,
            subject: subject.into(),
            text: text.into(),
            fix: String::new(),
        }
    }

    /// The same, with what to do about it.
    pub(super) fn fix(self, fix: impl Into<String>) -> Finding {
        Finding {
            fix: fix.into(),
            ..self
        }
    }
}

/// The name of a file.
pub(super) fn subject(file: &Path) -> String {
    file.display().to_string()
}
