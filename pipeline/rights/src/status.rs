//! The status of a request: `pending → in_progress → completed | rejected(reason)`.
//!
//! A status never moves backward, a request never ends twice, and one that never started cannot complete. A pending
//! request may be rejected at once; a started one may still be rejected when its person or record turns out not to be
//! stored. A status contains counts and the request's own id, and nothing about the person.

use serde::{Deserialize, Serialize};

use crate::counts::Counts;
use crate::refusal::Reason;
use crate::request::{RequestId, Right};

/// The status of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Received and durable.
    Pending,
    /// Being done.
    InProgress,
    /// Done, everywhere.
    Completed(Counts),
    /// Not done, for a reason.
    Rejected(Reason),
}

/// A transition that no request may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request that is {from} cannot become {to}")]
pub struct InvalidTransition {
    /// How it stands, `unknown` for a request that was never received.
    pub from: &'static str,
    /// How it was to stand.
    pub to: &'static str,
}

impl Status {
    /// The word of the specification.
    pub fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::InProgress => "in_progress",
            Status::Completed(_) => "completed",
            Status::Rejected(_) => "rejected",
        }
    }

    /// Whether it will not change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Completed(_) | Status::Rejected(_))
    }

    /// Checks the transition from this status to another.
    ///
    /// # Errors
    ///
    /// [`InvalidTransition`] if no request may make this transition, including one to its current status.
    pub fn next(self, to: Status) -> Result<Status, InvalidTransition> {
        let impossible = InvalidTransition {
            from: self.name(),
            to: to.name(),
        };
        match (self, to) {
            // A started request cannot be canceled: part of it may be erased already.
            (Status::InProgress, Status::Rejected(Reason::Cancelled)) => Err(impossible),
            (Status::Pending, Status::InProgress | Status::Rejected(_))
            | (Status::InProgress, Status::Completed(_) | Status::Rejected(_)) => Ok(to),
            _ => Err(impossible),
        }
    }
}

/// The message on the status subject, and the reply of the status service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusMessage<'a> {
    /// The brand.
    pub brand: &'a str,
    /// The request's id, as it was given.
    pub id: &'a RequestId,
    /// What was asked, none where that could not be read.
    pub right: Option<Right>,
    /// How it stands.
    pub status: Status,
    /// When it came to stand like this, Unix milliseconds.
    pub at: i64,
}

impl StatusMessage<'_> {
    /// The message as JSON, keys sorted, absent ones left out, without an end of line:
    /// `{"at":…,"brand":…,"counts":{…},"id":…,"reason":…,"status":…,"type":…}`.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Json<'a> {
            at: i64,
            brand: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            counts: Option<Counts>,
            id: &'a RequestId,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<Reason>,
            status: &'static str,
            #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
            right: Option<Right>,
        }
        let (counts, reason) = match self.status {
            Status::Completed(counts) => (Some(counts), None),
            Status::Rejected(reason) => (None, Some(reason)),
            Status::Pending | Status::InProgress => (None, None),
        };
        let json = Json {
            at: self.at,
            brand: self.brand,
            counts,
            id: self.id,
            reason,
            status: self.status.name(),
            right: self.right,
        };
        // Texts and numbers: nothing in it can fail.
        serde_json::to_string(&json).unwrap_or_default()
    }
}

/// A message of the status subject, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedStatus {
    /// The request's id, as it was given.
    pub id: RequestId,
    /// How it stands.
    pub status: Status,
    /// When it came to stand like this, Unix milliseconds.
    pub at: i64,
}

impl PublishedStatus {
    /// What [`StatusMessage::to_json`] wrote; none where the bytes are no such message.
    pub fn read(bytes: &[u8]) -> Option<PublishedStatus> {
        #[derive(Deserialize)]
        struct Json<'a> {
            at: i64,
            counts: Option<Counts>,
            #[serde(borrow)]
            id: std::borrow::Cow<'a, str>,
            reason: Option<Reason>,
            #[serde(borrow)]
            status: std::borrow::Cow<'a, str>,
        }
        let json: Json<'_> = serde_json::from_slice(bytes).ok()?;
        let status = match (&*json.status, json.counts, json.reason) {
            ("pending", None, None) => Status::Pending,
            ("in_progress", None, None) => Status::InProgress,
            ("completed", Some(counts), None) => Status::Completed(counts),
            ("rejected", None, Some(reason)) => Status::Rejected(reason),
            _ => return None,
        };
        Some(PublishedStatus {
            id: RequestId::read(&json.id)?,
            status,
            at: json.at,
        })
    }
}
