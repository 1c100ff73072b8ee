//! Boxes of a form and their wording: what a person was shown beside each box, and what the box says.

use serde::{Deserialize, Serialize};

use crate::label::Label;

/// What a box says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BoxAnswer {
    /// It is empty: a refusal.
    Unticked,
    /// The person ticked it.
    Ticked,
    /// It was ticked before the person saw it, or nobody ticked it: it allows nothing.
    Preticked,
}

impl BoxAnswer {
    /// Every answer, in the order of their discriminants.
    pub const ALL: [BoxAnswer; 3] = [BoxAnswer::Unticked, BoxAnswer::Ticked, BoxAnswer::Preticked];

    /// The name of the answer in what a person reads.
    pub fn name(self) -> &'static str {
        match self {
            BoxAnswer::Unticked => "unticked",
            BoxAnswer::Ticked => "ticked",
            BoxAnswer::Preticked => "preticked",
        }
    }
}

/// A box with what was shown beside it. Absent labels stay absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NoticeBox {
    /// The name of the box.
    pub name: Label,
    /// What it says.
    pub answer: BoxAnswer,
    /// The notice that explains it.
    pub notice: Label,
    /// The version of the notice.
    pub version: Label,
    /// The language in which it was shown.
    pub language: Label,
    /// The label whose name is the text beside the box.
    pub wording: Label,
}

impl NoticeBox {
    /// Its labels, in the order of the fields.
    pub fn labels(&self) -> [Label; 5] {
        let NoticeBox {
            name,
            notice,
            version,
            language,
            wording,
            ..
        } = *self;
        [name, notice, version, language, wording]
    }
}
