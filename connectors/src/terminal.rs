//! Writes the output of commands, and treats a closed pipe as a normal end.
//!
//! `tributary demo | head` and similar pipelines close the pipe that a command
//! writes to. A write then fails with [`OutputClosed`], which [`is_closed`]
//! finds in any error chain, and the command ends quietly. Notes go to standard
//! error on a best-effort basis and never fail.

use std::error::Error;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

/// Standard output is a pipe that nobody reads any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads the output any more")]
pub struct OutputClosed;

/// Buffered standard output. Flush it before the end: `Drop` writes what is
/// left, but cannot report a failure.
pub struct Stdout(BufWriter<StdoutLock<'static>>);

/// Locks standard output.
pub fn stdout() -> Stdout {
    Stdout(BufWriter::with_capacity(1 << 16, io::stdout().lock()))
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(map_broken_pipe)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.0.flush().and_then(|()| self.0.get_mut().flush());
        flushed.map_err(map_broken_pipe)
    }
}

impl Drop for Stdout {
    fn drop(&mut self) {
        // What could not be written has been said.
        let _ = self.0.flush();
    }
}

/// Replaces the error of a closed pipe by [`OutputClosed`].
fn map_broken_pipe(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::BrokenPipe => io::Error::new(ErrorKind::BrokenPipe, OutputClosed),
        _ => error,
    }
}

/// Prints on standard output, unbuffered as a whole.
///
/// # Errors
/// The operating system's error; [`is_closed`] recognizes a closed pipe.
pub fn print(text: impl Display) -> io::Result<()> {
    let mut out = stdout();
    write!(out, "{text}")?;
    out.flush()
}

/// Writes bytes to standard output, unbuffered as a whole.
///
/// # Errors
/// As [`print()`].
pub fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = stdout();
    out.write_all(bytes)?;
    out.flush()
}

/// Prints a line on standard output.
///
/// # Errors
/// As [`print()`].
pub fn print_line(text: impl Display) -> io::Result<()> {
    print(format_args!("{text}\n"))
}

/// Prints a line of a command whose exit status is the answer; a closed pipe is
/// no error.
///
/// # Errors
/// Any other error of [`print()`].
pub fn print_status_line(text: impl Display) -> io::Result<()> {
    match print_line(text) {
        Err(error) if is_closed(&error) => Ok(()),
        other => other,
    }
}

/// How often a pipe is checked for a reader.
const LOOK: Duration = Duration::from_secs(1);

/// Returns when standard output is a pipe that nobody reads any more; never
/// otherwise.
pub async fn wait_until_closed() {
    let pipe = || -> io::Result<Sender> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        match file.metadata()?.file_type().is_fifo() {
            // It is looked at and never written to, so that it stays in the mode in which it was given.
            true => Sender::from_owned_fd_unchecked(file.into()),
            false => Err(ErrorKind::Unsupported.into()),
        }
    };
    let Ok(pipe) = pipe() else {
        return std::future::pending().await;
    };
    while !matches!(pipe.ready(Interest::WRITABLE).await, Ok(ready) if ready.is_write_closed()) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Prints a line on standard error, ignoring failures.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether an error, or one of its sources, is [`OutputClosed`].
pub fn is_closed(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if error.is::<OutputClosed>() || inner.is_some_and(|inner| inner.is::<OutputClosed>()) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The message of an error, followed by those of its sources that it does not
/// repeat.
///
/// ```
/// use tributary_connectors::terminal::error_chain;
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("cannot read the trace")]
/// struct Outer(#[source] std::io::Error);
///
/// let error = Outer(std::io::Error::other("the disk is full"));
/// assert_eq!(error_chain(&error), "cannot read the trace: the disk is full");
/// ```
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Wrapped(&'static str, #[source] io::Error);

    #[test]
    fn a_closed_output_is_found_behind_any_context_and_no_other_pipe_is_one() {
        let closed = || map_broken_pipe(ErrorKind::BrokenPipe.into());
        assert!(is_closed(&closed()));
        assert!(is_closed(&Wrapped("the cells", closed())));
        assert!(!is_closed(&Wrapped(
            "the broker",
            ErrorKind::BrokenPipe.into()
        )));
        assert!(!is_closed(&map_broken_pipe(ErrorKind::StorageFull.into())));
    }

    #[test]
    fn causes_are_said_once() {
        let cause = || io::Error::other("the disk is full");
        assert_eq!(
            error_chain(&Wrapped("cannot write", cause())),
            "cannot write: the disk is full"
        );
        let repeats = Wrapped("cannot write: the disk is full", cause());
        assert_eq!(error_chain(&repeats), "cannot write: the disk is full");
    }
}
