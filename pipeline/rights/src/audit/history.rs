//! The entries of an audit log in words, for people who account for requests.
//!
//! The log names a request by a keyed hash of its ID, so that the words do as
//! well: a request is recognized by its number in the log, which its receipt
//! contains.

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
    /// What happened, as a sentence without a period.
    pub words: String,
}

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
    for entry in Chain::new(path, keys, &bytes) {
        lines.push_back(line(&entry?));
        if lines.len() > most {
            lines.pop_front();
        }
    }
    Ok(lines.into())
}

/// An entry in words.
fn line(entry: &Entry) -> LogLine {
    let (request, words) = match &entry.content {
        Content::Checkpoint(checkpoint) => (
            None,
            match checkpoint.accepted {
                None => "Checkpoint of the ledger and the objection list".to_owned(),
                Some(_) => "Checkpoint: the operator continued after an accepted loss".to_owned(),
            },
        ),
        Content::Step(request, right, event) => {
            let right = right.name().replace('_', " ");
            let words = match event {
                Event::Received { .. } => format!("Request received: {right}"),
                Event::Started => format!("Work started: {right}"),
                Event::Completed { counts } => format!("Completed: {right}{}", touched(counts)),
                Event::Rejected { reason } => {
                    format!("Rejected: {right}, {}", reason.name().replace('_', " "))
                }
            };
            (Some(request.to_string()), words)
        }
    };
    LogLine {
        seq: entry.seq,
        at: entry.at,
        request,
        words,
    }
}

/// What a request touched, as the end of a sentence.
fn touched(counts: &Counts) -> String {
    let of = [
        (counts.records, "record"),
        (counts.ledger_entries, "ledger entry"),
        (counts.raw_messages, "stored message"),
        (counts.dead_letters, "dead letter"),
        (counts.cells, "cell"),
        (counts.suppressions, "objection"),
    ];
    let parts = of
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| match (count, word.strip_suffix('y')) {
            (1, _) => format!("1 {word}"),
            (count, Some(stem)) => format!("{count} {stem}ies"),
            (count, None) => format!("{count} {word}s"),
        });
    let parts: Vec<String> = parts.collect();
    match parts.is_empty() {
        true => ", nothing was found".to_owned(),
        false => format!(", {}", parts.join(", ")),
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
            ..Counts::default()
        };
        assert_eq!(
            touched(&counts),
            ", 3 records, 2 ledger entries, 1 objection"
        );
        assert_eq!(touched(&Counts::default()), ", nothing was found");
    }
}
