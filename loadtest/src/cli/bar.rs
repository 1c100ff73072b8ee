//! Progress bars on standard error, if it is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar with a known total of events or bytes.
pub fn towards(total: u64, unit: Unit) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = match unit {
        Unit::Events => "{bar:30} {human_pos} of {human_len} events, {per_sec}, {eta} left {msg}",
        Unit::Bytes => "{bar:30} {binary_bytes} of {binary_total_bytes}, {eta} left {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A progress display without a known total.
pub fn counting() -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} events, {per_sec} {msg}")
    {
        bar.set_style(style);
    }
    bar
}

/// The unit of a progress bar.
#[derive(Clone, Copy)]
pub enum Unit {
    /// Events of a trace.
    Events,
    /// Bytes of the input files.
    Bytes,
}
