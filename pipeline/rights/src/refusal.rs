//! Why a request is refused: a closed list of reasons, with a sentence that names the field and the remedy.
//!
//! The sentence never repeats the value of a field. It is logged, published on a status subject and stored beside the
//! audit log, none of which may identify anyone (I6).

use serde::{Deserialize, Serialize};

/// Why a request is refused. The word of it is in statuses, metrics and the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is no JSON object of the known fields, or a field has the wrong form.
    Malformed,
    /// It has more bytes than a request may have.
    TooLarge,
    /// Its `type` is none of the specification's.
    UnknownType,
    /// Its brand is not configured, or not that of its subject.
    UnknownBrand,
    /// It does not refer to the requester's proof.
    NoProof,
    /// It names nobody.
    NoIdentifier,
    /// An identifier has the wrong form, or names nobody.
    BadIdentifier,
    /// The answer could be sealed for nobody.
    NoReplyKey,
    /// The key for the answer is none.
    BadReplyKey,
    /// The corrected record is missing or has the wrong form.
    BadRecord,
    /// Another request has the same id.
    IdTaken,
    /// No record of the data subject, or of the named record, is stored.
    NotFound,
    /// The record that it corrects is not of the person that it names.
    NotTheirs,
    /// It asks for something that is not offered.
    Unsupported,
    /// Who sent it has withdrawn it before it began.
    Cancelled,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 15] = [
        Reason::Malformed,
        Reason::TooLarge,
        Reason::UnknownType,
        Reason::UnknownBrand,
        Reason::NoProof,
        Reason::NoIdentifier,
        Reason::BadIdentifier,
        Reason::NoReplyKey,
        Reason::BadReplyKey,
        Reason::BadRecord,
        Reason::IdTaken,
        Reason::NotFound,
        Reason::NotTheirs,
        Reason::Unsupported,
        Reason::Cancelled,
    ];

    /// The word in statuses, metrics and the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::TooLarge => "too_large",
            Reason::UnknownType => "unknown_type",
            Reason::UnknownBrand => "unknown_brand",
            Reason::NoProof => "no_proof",
            Reason::NoIdentifier => "no_identifier",
            Reason::BadIdentifier => "bad_identifier",
            Reason::NoReplyKey => "no_reply_key",
            Reason::BadReplyKey => "bad_reply_key",
            Reason::BadRecord => "bad_record",
            Reason::IdTaken => "id_taken",
            Reason::NotFound => "not_found",
            Reason::NotTheirs => "not_theirs",
            Reason::Unsupported => "unsupported",
            Reason::Cancelled => "cancelled",
        }
    }
}

/// A refused request. Its text is the sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Which field and what to do about it; never a value.
    pub detail: String,
}

impl Refusal {
    /// A refusal with its sentence. The sentence must not repeat a value.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Refusal {
        Refusal {
            reason,
            detail: detail.into(),
        }
    }
}
