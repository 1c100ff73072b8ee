//! One entry of the audit log, and its line in the file.
//!
//! The hash is at the end and covers the bytes before it as they are, so that
//! each entry has exactly one line, in which nothing can be changed, not even a
//! space.

use serde::{Deserialize, Serialize};

use crate::counts::Counts;
use crate::head::{Head, LedgerWatermark};
use crate::hex::Hash;
use crate::keys::{BrandKeys, Fingerprint, KeyLevel, RequestKey};
use crate::refusal::Reason;
use crate::request::Right;
use crate::status::Status;

/// A step of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The request was received, with this content.
    Received {
        /// A keyed hash of the content.
        content: Fingerprint,
    },
    /// Work has started.
    Started,
    /// The request is complete.
    Completed {
        /// What it touched.
        counts: Counts,
        /// SHA-256 of the sealed answer, if the request has one.
        answer: Option<Hash>,
    },
    /// The request was rejected.
    Rejected {
        /// Why.
        reason: Reason,
    },
}

impl Event {
    /// State of the request after this step.
    pub fn status(self) -> Status {
        match self {
            Event::Received { .. } => Status::Pending,
            Event::Started => Status::InProgress,
            Event::Completed { counts, .. } => Status::Completed(counts),
            Event::Rejected { reason } => Status::Rejected(reason),
        }
    }
}

/// How far the files beside the log have advanced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The ledger of the process that keeps the log.
    pub ledger: LedgerWatermark,
    /// Its objection list.
    pub objections: Head,
    /// After an accepted loss, the highest entry of the log that any published
    /// receipt named, or number 0. Requests completed before this checkpoint need
    /// no receipt any more.
    pub accepted: Option<Head>,
}

/// An entry of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was appended, Unix milliseconds.
    pub at: i64,
    /// Its content.
    pub content: Content,
}

/// Content of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A step of a request of this right.
    Step(RequestKey, Right, Event),
    /// A checkpoint.
    Checkpoint(Checkpoint),
}

/// Fields of a line without its hash, in alphabetical order, which is the order
/// in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accepted: Option<Head>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Hash>,
    at: i64,
    brand: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
    event: Word,
    key: KeyLevel,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ledger: Option<LedgerWatermark>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    objections: Option<Head>,
    previous: Hash,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<RequestKey>,
    seq: u64,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    right: Option<Right>,
}

/// Name of the event in a line.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Received,
    Started,
    Completed,
    Rejected,
    Checkpoint,
}

/// Text between the fields and the digits of the hash.
const BEFORE_HASH: &str = ",\"hash\":\"";
/// Text after the digits of the hash.
const AFTER_HASH: &str = "\"}";

impl Entry {
    /// The line of this entry, including its end, and its hash. `previous` is the
    /// hash of the line before.
    pub(super) fn line(&self, keys: &BrandKeys, previous: Hash) -> (String, Hash) {
        let mut fields = Line {
            accepted: None,
            answer: None,
            at: self.at,
            brand: keys.name(),
            content: None,
            counts: None,
            event: Word::Checkpoint,
            key: keys.newest(),
            ledger: None,
            objections: None,
            previous,
            reason: None,
            request: None,
            seq: self.seq,
            right: None,
        };
        match self.content {
            Content::Step(request, right, event) => {
                (fields.request, fields.right) = (Some(request), Some(right));
                fields.event = match event {
                    Event::Received { content } => {
                        fields.content = Some(content);
                        Word::Received
                    }
                    Event::Started => Word::Started,
                    Event::Completed { counts, answer } => {
                        (fields.counts, fields.answer) = (Some(counts), answer);
                        Word::Completed
                    }
                    Event::Rejected { reason } => {
                        fields.reason = Some(reason);
                        Word::Rejected
                    }
                };
            }
            Content::Checkpoint(checkpoint) => {
                fields.ledger = Some(checkpoint.ledger);
                fields.objections = Some(checkpoint.objections);
                fields.accepted = checkpoint.accepted;
            }
        }
        // Numbers and words: nothing in it can fail.
        let mut line = serde_json::to_string(&fields).unwrap_or_default();
        line.pop();
        // The newest level has a key.
        let hash = keys.chain(keys.newest(), line.as_bytes());
        let hash = hash.unwrap_or(Hash::NONE);
        line.push_str(BEFORE_HASH);
        line.push_str(&hash.to_string());
        line.push_str(AFTER_HASH);
        line.push('\n');
        (line, hash)
    }

    /// Parses the line, without its end, of entry `seq` after the line with hash
    /// `previous`, which was made under the key of the level `before`. Levels
    /// never decrease, so that an older secret does not continue a log.
    ///
    /// # Errors
    ///
    /// What is wrong with the line, as the end of a sentence.
    pub(super) fn read(
        line: &[u8],
        keys: &BrandKeys,
        seq: u64,
        (previous, before): (Hash, KeyLevel),
    ) -> Result<(Entry, Hash, KeyLevel), &'static str> {
        let parts = |line: &str| {
            let (fields, rest) = line.rsplit_once(BEFORE_HASH)?;
            let hash: Hash = rest.strip_suffix(AFTER_HASH)?.parse().ok()?;
            Some((format!("{fields}}}"), hash))
        };
        let line = std::str::from_utf8(line).map_err(|_| "is not text")?;
        let (text, written) = parts(line).ok_or("has no hash at its end")?;
        let fields: Line<'_> =
            serde_json::from_str(&text).map_err(|_| "is not an entry of this version")?;
        let level = fields.key;
        if level < before {
            return Err("was made under an older secret than the line before it");
        }
        let hashed = text.strip_suffix('}').unwrap_or_default();
        let computed = keys.chain(level, hashed.as_bytes());
        let computed = computed.ok_or("was made under a newer secret than the brand has")?;
        // What the key made is compared in constant time.
        if blake3::Hash::from(*computed.as_bytes()) != *written.as_bytes() {
            return Err("its hash is not that of its content under the brand's key");
        }
        if fields.brand != keys.name() {
            return Err("belongs to another brand");
        }
        if fields.seq != seq {
            return Err("its number does not follow the one before");
        }
        if fields.previous != previous {
            return Err("does not follow the line before it");
        }
        let others = "its fields are not those of its event";
        let answer = fields.answer;
        let event = match (fields.event, fields.content, fields.counts, fields.reason) {
            (Word::Completed, None, Some(counts), None) => {
                Some(Event::Completed { counts, answer })
            }
            _ if answer.is_some() => return Err(others),
            (Word::Received, Some(content), None, None) => Some(Event::Received { content }),
            (Word::Started, None, None, None) => Some(Event::Started),
            (Word::Rejected, None, None, Some(reason)) => Some(Event::Rejected { reason }),
            (Word::Checkpoint, None, None, None) => None,
            _ => return Err(others),
        };
        let (request, right) = (fields.request, fields.right);
        let (ledger, objections, accepted) = (fields.ledger, fields.objections, fields.accepted);
        let content = match (event, request, right, ledger, objections) {
            (Some(event), Some(request), Some(right), None, None) if accepted.is_none() => {
                Content::Step(request, right, event)
            }
            (None, None, None, Some(ledger), Some(objections)) => Content::Checkpoint(Checkpoint {
                ledger,
                objections,
                accepted,
            }),
            _ => return Err(others),
        };
        let entry = Entry {
            seq,
            at: fields.at,
            content,
        };
        Ok((entry, written, level))
    }
}
