//! The passes over the inputs of a replay: one, or as many as a duration takes.

use tributary_connectors::inputs::{Inputs, InputsError};
use tributary_connectors::trace::TraceLine;

use super::shift::Shift;

/// The arrivals of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The earliest, Unix milliseconds.
    pub first: i64,
    /// The latest, Unix milliseconds.
    pub last: i64,
}

impl Span {
    /// Milliseconds from the first to the last.
    pub fn length(&self) -> i64 {
        self.last.saturating_sub(self.first)
    }
}

/// Reads the arrivals of inputs; `None` without a message.
///
/// # Errors
///
/// The first input that cannot be read.
pub fn span(inputs: Inputs) -> Result<Option<Span>, InputsError> {
    let mut span: Option<Span> = None;
    for line in inputs {
        let at = line?.at;
        let found = span.get_or_insert(Span {
            first: at,
            last: at,
        });
        found.first = found.first.min(at);
        found.last = found.last.max(at);
    }
    Ok(span)
}

/// How passes follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loop {
    /// Each begins where the one before it has ended, a millisecond later, so that the clock of the trace
    /// only ever advances.
    Advance(Span),
    /// Each ends at the present of its beginning, so that no record lies in the future.
    Present(Span),
}

/// The messages of all passes.
pub struct Passes<F> {
    /// Opens the inputs for the next pass.
    open: F,
    /// The inputs of this pass.
    inputs: Inputs,
    /// How messages of this pass are moved.
    shift: Shift,
    /// What follows a pass, if anything does.
    looped: Option<Loop>,
    /// Lines of earlier passes that were not messages.
    skipped: u64,
    /// Whether this pass has had a message.
    has_any: bool,
}

impl<F: FnMut() -> Result<Inputs, InputsError>> Passes<F> {
    /// One pass over the inputs, moved by some milliseconds; or pass after pass for ever.
    ///
    /// # Errors
    ///
    /// The first input that cannot be opened.
    pub fn new(mut open: F, by_ms: i64, looped: Option<Loop>) -> Result<Passes<F>, InputsError> {
        Ok(Passes {
            inputs: open()?,
            open,
            shift: Shift { by_ms, pass: 0 },
            looped,
            skipped: 0,
            has_any: false,
        })
    }

    /// Lines so far that were not messages.
    pub fn skipped(&self) -> u64 {
        self.skipped + self.inputs.skipped()
    }

    /// Passes that have ended.
    pub fn passes(&self) -> u64 {
        self.shift.pass
    }
}

impl<F: FnMut() -> Result<Inputs, InputsError>> Iterator for Passes<F> {
    type Item = Result<TraceLine, InputsError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(line) = self.inputs.next() {
                self.has_any = true;
                return Some(line.map(|line| self.shift.apply(line)));
            }
            // Inputs without a message have no end of a loop either.
            let looped = self.looped.filter(|_| self.has_any)?;
            self.skipped += self.inputs.skipped();
            match (self.open)() {
                Ok(inputs) => self.inputs = inputs,
                Err(error) => {
                    self.looped = None;
                    return Some(Err(error));
                }
            }
            self.has_any = false;
            self.shift.pass += 1;
            self.shift.by_ms = match looped {
                Loop::Advance(span) => self
                    .shift
                    .by_ms
                    .saturating_add(span.length().saturating_add(1)),
                Loop::Present(span) => jiff::Timestamp::now()
                    .as_millisecond()
                    .saturating_sub(span.last),
            };
        }
    }
}
