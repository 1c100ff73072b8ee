//! Traces: recorded messages, one per line, in the order of their arrival.
//!
//! ```json
//! {"subject": "tributary.in.acme.web", "at": 1700000000000, "data": {"id": "w1"}}
//! ```
//!
//! A line that is not such a message is counted and skipped; a file that cannot
//! be read or decompressed ends the trace with an error. [`TraceLine`] defines
//! the members.

mod line;

use std::io::BufRead;
use std::path::{Path, PathBuf};

use crate::files::{self, OpenFile, Progress};
pub use line::TraceLine;

/// The maximum length of a line, bytes. A longer line is skipped like any other
/// that is not a message, and is never held in memory as a whole.
pub const MAX_LINE: usize = 64 << 20;

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be opened.
    #[error("cannot open the trace {path}: {error}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file cannot be read further, or its compression is damaged.
    #[error("cannot read the trace {path} after line {line}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The number of the last line that was read, from 1.
        line: u64,
        /// Why.
        error: std::io::Error,
    },
}

/// Iterates over the messages of a trace in order. After an error the iterator
/// ends.
pub struct TraceReader {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    progress: Progress,
    /// The current line.
    buffer: Vec<u8>,
    /// The lines read so far.
    lines: u64,
    /// The lines that were not messages.
    skipped: u64,
    /// Whether the file has ended or failed.
    ended: bool,
}

/// Opens a trace: plain, gzip or Zstandard, detected by content.
///
/// # Errors
/// [`TraceError::Open`] if the file cannot be opened.
/// ```
/// use tributary_connectors::trace;
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("trace");
/// std::fs::write(&path, r#"{"subject":"tributary.in.acme.web","at":5,"data":{"id":"w1"}}"#)?;
/// let mut messages = trace::open(&path)?;
/// let message = messages.next().expect("one message")?;
/// assert_eq!((message.at, message.data.as_slice()), (5, &br#"{"id":"w1"}"#[..]));
/// assert!(messages.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open(path: &Path) -> Result<TraceReader, TraceError> {
    let OpenFile { reader, progress } = files::open(path).map_err(|error| TraceError::Open {
        path: path.to_owned(),
        error,
    })?;
    Ok(TraceReader {
        path: path.to_owned(),
        reader,
        progress,
        buffer: Vec::new(),
        lines: 0,
        skipped: 0,
        ended: false,
    })
}

impl TraceReader {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of lines so far that were not messages; blank lines do not
    /// count.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The number of lines read so far, including blank and skipped ones.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Bytes of the file read so far; compressed ones if the file is
    /// compressed.
    pub fn bytes_read(&self) -> u64 {
        self.progress.read()
    }

    /// How much of the file has been read; remains valid while another thread
    /// reads on.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Reads the next line into the buffer, without its line break; `None` at
    /// the end of the file. The buffer is empty after an overlong line.
    fn fill(&mut self) -> std::io::Result<Option<Length>> {
        self.buffer.clear();
        let mut length = Length::Whole;
        let mut any = false;
        loop {
            let available = match self.reader.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if available.is_empty() {
                return Ok(any.then_some(length));
            }
            any = true;
            let end = memchr::memchr(b'\n', available);
            let part = available
                .get(..end.unwrap_or(available.len()))
                .unwrap_or_default();
            let used = part.len() + usize::from(end.is_some());
            if self.buffer.len() + part.len() > MAX_LINE {
                length = Length::TooLong;
                self.buffer = Vec::new();
            }
            if length == Length::Whole {
                self.buffer.extend_from_slice(part);
            }
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(length));
            }
        }
    }
}

/// Whether a line fits into the buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    /// It is in the buffer.
    Whole,
    /// It exceeds [`MAX_LINE`] and was dropped.
    TooLong,
}

impl Iterator for TraceReader {
    type Item = Result<TraceLine, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let length = match self.fill() {
                Ok(Some(length)) => length,
                Ok(None) => {
                    self.ended = true;
                    return None;
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(TraceError::Read {
                        path: self.path.clone(),
                        line: self.lines,
                        error,
                    }));
                }
            };
            self.lines += 1;
            let blank = files::strip_bom(&self.buffer).trim_ascii().is_empty();
            if length == Length::Whole && blank {
                continue;
            }
            match line::read(&self.buffer) {
                Some(line) => return Some(Ok(line)),
                None => self.skipped += 1,
            }
        }
        None
    }
}
