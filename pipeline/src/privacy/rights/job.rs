//! A job: one rights request between its receipt and its answer.

use tributary_operators::record::BrandId;
use tributary_rights::request::RequestBody;
use tributary_rights::{Counts, Hash, Reason, Request, RequestKey};

/// A valid request in progress, with everything its receipt will state.
pub(super) struct Job {
    /// The brand that received the request.
    pub brand: BrandId,
    /// The request, in clear text; it exists only in memory and in the stream.
    pub request: Request,
    /// The request ID, keyed, as the audit log knows it.
    pub key: RequestKey,
    /// Sequence numbers of its messages in the stream: more than one if the sender
    /// repeated it.
    pub sequences: Vec<u64>,
    /// Sequence numbers of further messages that are deleted with the request: its
    /// cancellation, its starts, and the confirmations of other processes.
    pub parts: Vec<u64>,
    /// Whether an attempt before has begun to erase.
    pub is_begun: bool,
    /// Sequence numbers of its starts, of all attempts.
    pub starts: Vec<u64>,
    /// Those of its starts whose confirmations are awaited.
    pub awaited: Vec<u64>,
    /// Whom to inform of each status.
    pub callbacks: Vec<String>,
    /// When the first message arrived, Unix milliseconds.
    pub received: i64,
    /// What was changed, for the receipt.
    pub counts: Counts,
    /// SHA-256 of its sealed answer, for the receipt.
    pub answer: Option<Hash>,
    /// The reason for a rejection; `None` while the request can still be completed.
    pub rejected: Option<Reason>,
    /// Of a rejection, the sentence that names the field and the remedy; never a
    /// value.
    pub detail: Option<String>,
}

impl Job {
    /// Rejects the request, with a sentence that names the field and the remedy and
    /// repeats no value. An earlier reason is kept.
    pub fn reject(&mut self, reason: Reason, detail: impl Into<String>) {
        if self.rejected.is_none() {
            self.rejected = Some(reason);
            self.detail = Some(detail.into());
        }
    }

    /// When the data subject made the request, Unix milliseconds. It is at most the
    /// time of arrival, so that no statement takes effect in the future.
    pub fn said(&self) -> i64 {
        self.request.ts.min(self.received)
    }
}

/// Whether a request removes all data of the person. `dead` states whether a
/// notice of death meets an instruction to erase.
pub(super) fn erases(asked: &RequestBody, dead: bool) -> bool {
    match asked {
        RequestBody::Erase | RequestBody::Object => true,
        RequestBody::Directive { notice: true, .. } => dead,
        _ => false,
    }
}
