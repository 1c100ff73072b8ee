//! The status of a request: `pending → in_progress → completed |
//! rejected(reason)`.
//!
//! A status never moves backward, a request never ends twice, and one that
//! never started cannot complete. A pending request may be rejected at once; a
//! started one may still be rejected when its person or record turns out not to
//! be stored. A published status contains the request's own ID and neither counts
//! nor whether anybody was found: a person of whom nothing is stored has the
//! same statuses as any other. What a request has touched is in its receipt.

use serde::{Deserialize, Serialize};

use crate::counts::Counts;
use crate::refusal::Reason;
use crate::request::{RequestId, Right};

/// State of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Received; the receipt is durable in the audit log.
    Pending,
    /// Work on it has started.
    InProgress,
    /// Complete on every process, with these effects.
    Completed(Counts),
    /// Not executed, for this reason.
    Rejected(Reason),
}

/// A transition that no request may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request that is {from} cannot become {to}")]
pub struct InvalidTransition {
    /// Name of the current state, `unknown` for a request that was never received.
    pub from: &'static str,
    /// Name of the requested state.
    pub to: &'static str,
}

impl Status {
    /// Name of the state in messages.
    pub fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::InProgress => "in_progress",
            Status::Completed(_) => "completed",
            Status::Rejected(_) => "rejected",
        }
    }

    /// Whether the state cannot change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Completed(_) | Status::Rejected(_))
    }

    /// Checks the transition from this status to another.
    ///
    /// # Errors
    ///
    /// [`InvalidTransition`] if no request may make this transition, including one
    /// to its current status.
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

/// Message on the status subject, and reply of the status service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusMessage<'a> {
    /// Name of the brand.
    pub brand: &'a str,
    /// ID of the request.
    pub id: &'a RequestId,
    /// The right that is exercised; `None` if it could not be read.
    pub right: Option<Right>,
    /// State of the request.
    pub status: Status,
    /// When it reached this state, Unix milliseconds.
    pub at: i64,
    /// Of a rejected request, the sentence that names the field and the remedy;
    /// never a value. `None` if the reason says all, or the state is repeated.
    pub detail: Option<&'a str>,
}

impl StatusMessage<'_> {
    /// The message as JSON with sorted keys, without absent fields and without an
    /// end of line:
    /// `{"at":…,"brand":…,"detail":…,"id":…,"reason":…,"status":…,"type":…}`.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Json<'a> {
            at: i64,
            brand: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<&'a str>,
            id: &'a RequestId,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<Reason>,
            status: &'static str,
            #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
            right: Option<Right>,
        }
        let reason = match self.status {
            Status::Rejected(reason) => Some(reason),
            Status::Pending | Status::InProgress | Status::Completed(_) => None,
        };
        let json = Json {
            at: self.at,
            brand: self.brand,
            detail: self.detail.filter(|_| reason.is_some()),
            id: self.id,
            reason,
            status: self.status.name(),
            right: self.right,
        };
        // Texts and numbers: nothing in it can fail.
        serde_json::to_string(&json).unwrap_or_default()
    }
}

/// A message of the status subject that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedStatus {
    /// ID of the request.
    pub id: RequestId,
    /// State of the request; the counts of a completed one are zero.
    pub status: Status,
    /// When it reached this state, Unix milliseconds.
    pub at: i64,
}

impl PublishedStatus {
    /// Parses a message of [`StatusMessage::to_json`]; `None` for any other bytes.
    pub fn read(bytes: &[u8]) -> Option<PublishedStatus> {
        #[derive(Deserialize)]
        struct Json<'a> {
            at: i64,
            #[serde(borrow)]
            id: std::borrow::Cow<'a, str>,
            reason: Option<Reason>,
            #[serde(borrow)]
            status: std::borrow::Cow<'a, str>,
        }
        let json: Json<'_> = serde_json::from_slice(bytes).ok()?;
        let status = match (&*json.status, json.reason) {
            ("pending", None) => Status::Pending,
            ("in_progress", None) => Status::InProgress,
            ("completed", None) => Status::Completed(Counts::default()),
            ("rejected", Some(reason)) => Status::Rejected(reason),
            _ => return None,
        };
        Some(PublishedStatus {
            id: RequestId::read(&json.id)?,
            status,
            at: json.at,
        })
    }
}
