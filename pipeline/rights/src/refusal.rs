//! Refusals: a closed list of reasons, with a sentence that names the field and
//! the remedy.
//!
//! The sentence never repeats the value of a field. It is logged, published on
//! a status subject and stored beside the audit log, none of which may identify
//! anyone (I6).

use serde::{Deserialize, Serialize};

/// Reason of a refusal or rejection. Its name appears in statuses, metrics and
/// the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not a JSON object with the known fields, or a field of the wrong form.
    Malformed,
    /// Larger than a request may be.
    TooLarge,
    /// The `type` is not a right.
    UnknownType,
    /// The brand is not configured, or differs from that of the subject.
    UnknownBrand,
    /// The reference to the requester's proof of identity is missing.
    NoProof,
    /// No identifier.
    NoIdentifier,
    /// An identifier of the wrong form, or one that identifies nobody.
    BadIdentifier,
    /// The key for the answer is missing.
    NoReplyKey,
    /// The key for the answer is not a valid key.
    BadReplyKey,
    /// The corrected record is missing or has the wrong form.
    BadRecord,
    /// Another request has the same ID.
    IdTaken,
    /// No request has this ID.
    NotFound,
    /// The record to correct does not belong to the person.
    NotTheirs,
    /// Something that is not offered.
    Unsupported,
    /// The sender has withdrawn the request before it started.
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

    /// The name in statuses, metrics and the audit log.
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

/// A refused request. Its display text is the sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// Names the field and the remedy; never a value.
    pub detail: String,
}

impl Refusal {
    /// A refusal with its sentence, which must not repeat a value.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Refusal {
        Refusal {
            reason,
            detail: detail.into(),
        }
    }
}
