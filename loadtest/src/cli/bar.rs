//! Progress on standard error, where somebody looks at it.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar towards a known total; of events or of bytes, as `unit` says. Hidden where standard error
/// is no terminal.
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

/// Progress without a known end.
pub fn counting() -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} events, {per_sec} {msg}")
    {
        bar.set_style(style);
    }
    bar
}

/// What a bar counts.
#[derive(Clone, Copy)]
pub enum Unit {
    Events,
    Bytes,
}
