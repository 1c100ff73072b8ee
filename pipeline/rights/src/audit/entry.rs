//! One line of the audit log.
//!
//! The hash stands at the end and is over the bytes before it as they are, so that there is one way to write a line and
//! nothing of it can be changed, not even a space.

use serde::{Deserialize, Serialize};

use crate::counts::Counts;
use crate::hex::Hash;
use crate::keys::{BrandKeys, Fingerprint, Purpose, RequestKey};
use crate::refusal::Reason;
use crate::request::Right;
use crate::status::Status;

/// What happened to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It came, with this content.
    Received {
        /// A keyed hash of the content.
        content: Fingerprint,
    },
    /// It is being done.
    Started,
    /// It is done.
    Completed {
        /// What it touched.
        counts: Counts,
    },
    /// It is not done.
    Rejected {
        /// Why.
        reason: Reason,
    },
}

impl Event {
    /// How the request stands after it.
    pub fn status(self) -> Status {
        match self {
            Event::Received { .. } => Status::Pending,
            Event::Started => Status::InProgress,
            Event::Completed { counts } => Status::Completed(counts),
            Event::Rejected { reason } => Status::Rejected(reason),
        }
    }
}

/// An entry of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its number, from 1.
    pub seq: u64,
    /// When, Unix milliseconds.
    pub at: i64,
    /// Which request.
    pub request: RequestKey,
    /// What it asks for.
    pub right: Right,
    /// What happened.
    pub event: Event,
}

/// The fields of a line but its hash, in the order of their names.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    at: i64,
    brand: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
    event: Word,
    previous: Hash,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    request: RequestKey,
    seq: u64,
    #[serde(rename = "type")]
    right: Right,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Received,
    Started,
    Completed,
    Rejected,
}

/// What stands between the fields and the digits of the hash.
const BEFORE_HASH: &str = ",\"hash\":\"";
const AFTER_HASH: &str = "\"}";

impl Entry {
    /// The line of this entry after the one of hash `previous`, with its end, and its hash.
    pub(super) fn line(&self, keys: &BrandKeys, previous: Hash) -> (String, Hash) {
        let (word, content, counts, reason) = match self.event {
            Event::Received { content } => (Word::Received, Some(content), None, None),
            Event::Started => (Word::Started, None, None, None),
            Event::Completed { counts } => (Word::Completed, None, Some(counts), None),
            Event::Rejected { reason } => (Word::Rejected, None, None, Some(reason)),
        };
        let fields = Line {
            at: self.at,
            brand: keys.name(),
            content,
            counts,
            event: word,
            previous,
            reason,
            request: self.request,
            seq: self.seq,
            right: self.right,
        };
        // Numbers and words: nothing in it can fail.
        let mut line = serde_json::to_string(&fields).unwrap_or_default();
        line.pop();
        let hash = keys.hash(Purpose::Chain, line.as_bytes());
        line.push_str(BEFORE_HASH);
        line.push_str(&hash.to_string());
        line.push_str(AFTER_HASH);
        line.push('\n');
        (line, hash)
    }

    /// Reads the line (without its end) of entry `seq`, which follows the one of hash `previous`.
    pub(super) fn read(
        line: &[u8],
        keys: &BrandKeys,
        seq: u64,
        previous: Hash,
    ) -> Result<(Entry, Hash), &'static str> {
        let hash = |line: &str| {
            let (fields, rest) = line.rsplit_once(BEFORE_HASH)?;
            let hash: Hash = rest.strip_suffix(AFTER_HASH)?.parse().ok()?;
            Some((
                format!("{fields}}}"),
                keys.hash(Purpose::Chain, fields.as_bytes()),
                hash,
            ))
        };
        let line = std::str::from_utf8(line).map_err(|_| "is no text")?;
        let (fields, computed, written) = hash(line).ok_or("has no hash at its end")?;
        // What the key made is compared in constant time.
        if blake3::Hash::from(*computed.as_bytes()) != *written.as_bytes() {
            return Err("its hash is not that of its content under the brand's key");
        }
        let fields: Line<'_> =
            serde_json::from_str(&fields).map_err(|_| "is no entry of this version")?;
        if fields.brand != keys.name() {
            return Err("belongs to another brand");
        }
        if fields.seq != seq {
            return Err("its number does not follow the one before");
        }
        if fields.previous != previous {
            return Err("does not follow the line before it");
        }
        let event = match (fields.event, fields.content, fields.counts, fields.reason) {
            (Word::Received, Some(content), None, None) => Event::Received { content },
            (Word::Started, None, None, None) => Event::Started,
            (Word::Completed, None, Some(counts), None) => Event::Completed { counts },
            (Word::Rejected, None, None, Some(reason)) => Event::Rejected { reason },
            _ => return Err("its fields are not those of its event"),
        };
        let entry = Entry {
            seq,
            at: fields.at,
            request: fields.request,
            right: fields.right,
            event,
        };
        Ok((entry, written))
    }
}
