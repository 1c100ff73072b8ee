//! The entries of an audit log in words, for people who account for requests.
//!
//! The log names a request by a keyed hash of its ID, so that the words do as
//! well: a request is recognized by its number in the log, which its receipt
//! contains.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::entry::{Content, Entry, Event};
use super::verify::Chain;
use crate::counts::Counts;
use crate::error::FileError;
use crate::keys::BrandKeys;

/// An entry of an audit log in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was appended, Unix milliseconds.
    pub at: i64,
    /// Keyed hash of the ID of the request; `None` for a checkpoint.
    pub request: Option<String>,
    /// What happened, as a word of [`CODES`].
    pub code: &'static str,
    /// The right of the request; `None` for a checkpoint.
    pub right: Option<&'static str>,
    /// Why the request was rejected.
    pub reason: Option<&'static str>,
    /// What the request touched, without what it did not.
    pub counts: BTreeMap<&'static str, u64>,
    /// The same as a sentence in English without a period.
    pub words: String,
}

/// Every code of a [`LogLine`].
pub const CODES: [&str; 7] = [
    "checkpoint",
    "moved",
    "accepted_loss",
    "received",
    "started",
    "completed",
    "rejected",
];

/// The members of [`LogLine::counts`], each with its word for one.
pub const TOUCHED: [(&str, &str); 7] = [
    ("records", "record"),
    ("ledger_entries", "ledger entry"),
    ("raw_messages", "stored message"),
    ("dead_letters", "dead letter"),
    ("cells", "cell"),
    ("suppressions", "objection"),
    ("not_overwritten", "file not overwritten"),
];

/// The last entries of a brand's audit log, at most `most`, the oldest first. Every
/// entry of the log is verified. The log is not changed; another process may be
/// appending to it.
///
/// # Errors
///
/// Those of [`verify`](super::verify).
pub fn history(path: &Path, keys: &BrandKeys, most: usize) -> Result<Vec<LogLine>, FileError> {
    let bytes = std::fs::read(path).map_err(|error| FileError::io(path, error))?;
    let mut lines = std::collections::VecDeque::new();
    let mut ledger = None;
    for entry in Chain::new(path, keys, &bytes) {
        let entry = entry?;
        let mut line = line(&entry);
        if let Content::Checkpoint(checkpoint) = &entry.content {
            let id = checkpoint.ledger.id();
            if ledger.replace(id).is_some_and(|before| before != id) && line.code == "checkpoint" {
                line.code = "moved";
                line.words = "Checkpoint: the log continues beside another ledger".to_owned();
            }
        }
        lines.push_back(line);
        if lines.len() > most {
            lines.pop_front();
        }
    }
    Ok(lines.into())
}

/// An entry in words.
fn line(entry: &Entry) -> LogLine {
    let mut line = LogLine {
        seq: entry.seq,
        at: entry.at,
        request: None,
        code: "checkpoint",
        right: None,
        reason: None,
        counts: BTreeMap::new(),
        words: "Checkpoint of the ledger and the objection list".to_owned(),
    };
    match &entry.content {
        Content::Checkpoint(checkpoint) => {
            if checkpoint.accepted.is_some() {
                line.code = "accepted_loss";
                line.words = "Checkpoint: the operator continued after an accepted loss".to_owned();
            }
        }
        Content::Step(request, right, event) => {
            line.request = Some(request.to_string());
            line.right = Some(right.name());
            let right = right.name().replace('_', " ");
            (line.code, line.words) = match event {
                Event::Received { .. } => ("received", format!("Request received: {right}")),
                Event::Started => ("started", format!("Work started: {right}")),
                Event::Completed { counts, .. } => {
                    line.counts = touched(counts);
                    let touched = summary(counts);
                    ("completed", format!("Completed: {right}, {touched}"))
                }
                Event::Rejected { reason } => {
                    line.reason = Some(reason.name());
                    let reason = reason.name().replace('_', " ");
                    ("rejected", format!("Rejected: {right}, {reason}"))
                }
            };
        }
    }
    line
}

/// What a request touched, as a part of a sentence.
pub fn summary(counts: &Counts) -> String {
    sentence(&touched(counts))
}

/// What a request touched.
fn touched(counts: &Counts) -> BTreeMap<&'static str, u64> {
    let numbers = [
        counts.records,
        counts.ledger_entries,
        counts.raw_messages,
        counts.dead_letters,
        counts.cells,
        counts.suppressions,
        counts.not_overwritten,
    ];
    let named = TOUCHED.into_iter().zip(numbers);
    let named = named.map(|((name, _), count)| (name, count));
    named.filter(|(_, count)| *count > 0).collect()
}

/// What a request touched, as the end of a sentence.
fn sentence(counts: &BTreeMap<&'static str, u64>) -> String {
    let parts = TOUCHED.into_iter().filter_map(|(name, word)| {
        let count = counts.get(name)?;
        Some(match (count, word.strip_suffix('y')) {
            (1, _) => format!("1 {word}"),
            (count, _) if name == "not_overwritten" => format!("{count} files not overwritten"),
            (count, Some(stem)) => format!("{count} {stem}ies"),
            (count, None) => format!("{count} {word}s"),
        })
    });
    let parts: Vec<String> = parts.collect();
    match parts.is_empty() {
        true => "nothing was found".to_owned(),
        false => parts.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_words_and_zeros_are_left_out() {
        let counts = Counts {
            records: 3,
            ledger_entries: 2,
            suppressions: 1,
            not_overwritten: 2,
            ..Counts::default()
        };
        assert_eq!(
            sentence(&touched(&counts)),
            "3 records, 2 ledger entries, 1 objection, 2 files not overwritten"
        );
        assert_eq!(sentence(&touched(&Counts::default())), "nothing was found");
    }
}
