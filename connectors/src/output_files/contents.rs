//! The kind of a file's content, recognized by its first line.

use std::io::{self, BufRead, Read};
use std::path::Path;

use crate::files;

/// How much of a file is read to recognize it, bytes.
const LOOK: u64 = 1 << 20;

/// The kind of content that an output may replace without `force`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// None: an existing file is never replaced.
    Nothing,
    /// One cell per line.
    Cells,
    /// A trace.
    Trace,
    /// A trace of dead letters.
    DeadLetters,
}

impl Contents {
    /// The noun for messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Contents::Nothing => "file to replace",
            Contents::Cells => "file of cells",
            Contents::Trace => "trace",
            Contents::DeadLetters => "file of refused lines",
        }
    }

    /// Whether a file has this kind of content, by its first line. An empty
    /// file has every kind but [`Contents::Nothing`].
    pub(super) fn are_in(self, path: &Path) -> bool {
        let line = || -> io::Result<Vec<u8>> {
            let mut line = Vec::new();
            let reader = files::open(path)?.reader;
            reader.take(LOOK).read_until(b'\n', &mut line)?;
            Ok(line)
        };
        let Ok(line) = line() else { return false };
        if line.is_empty() {
            return self != Contents::Nothing;
        }
        let has = |keys: &[&str]| {
            let object = serde_json::from_slice::<serde_json::Map<_, serde_json::Value>>(&line);
            object.is_ok_and(|object| keys.iter().all(|key| object.contains_key(*key)))
        };
        match self {
            Contents::Nothing => false,
            Contents::Cells => has(&["family", "cell", "value"]),
            Contents::Trace => has(&["subject", "at"]),
            Contents::DeadLetters => {
                let reason = b"Tributary-Reason";
                has(&["subject", "at", "headers"])
                    && line.windows(reason.len()).any(|part| part == reason)
            }
        }
    }
}
