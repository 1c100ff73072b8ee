//! Traces: recorded messages, one a line, in the order of their arrival.
//!
//! `{"subject": "tributary.in.acme.web", "at": 1700000000000, "data": {…}}`. A line that is no such thing
//! is counted and skipped; a file that cannot be read or unpacked ends the trace with an error.

mod line;

use std::io::BufRead;
use std::path::{Path, PathBuf};

use crate::files::{self, OpenFile, Progress};
pub use line::TraceLine;

/// The longest line, in bytes. A longer one is skipped like any other that is no message.
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
    /// The file cannot be read on, or its compression is damaged.
    #[error("cannot read the trace {path} after line {line}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The last line that was read.
        line: u64,
        /// Why.
        error: std::io::Error,
    },
}

/// The messages of a trace, in order.
pub struct TraceReader {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    progress: Progress,
    buffer: Vec<u8>,
    lines: u64,
    skipped: u64,
    ended: bool,
}

/// Opens a trace: plain, `.gz` or `.zst`, whatever its name says.
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
    /// Lines that were no messages, blank ones not counted.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Lines read so far, blank and skipped ones included.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Bytes of the file read so far, compressed where it is.
    pub fn bytes_read(&self) -> u64 {
        self.progress.read()
    }

    /// How much of the file has been read; stays valid while the trace is read elsewhere.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Reads the next line into the buffer, without its end. False at the end of the file; an overlong
    /// line leaves nothing in the buffer.
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Whole,
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
