//! The report of a run: one JSON file with everything that was measured and where, from which text,
//! one page of HTML, thresholds and comparisons are made.

mod chart;
mod compare;
mod figures;
mod html;
mod machine;
mod model;
mod text;
mod threshold;

pub use compare::{Change, Verdict, compare};
pub use html::html;
pub use machine::Machine;
pub use model::{Report, ReportError};
pub use text::{comparison, text};
pub use threshold::{Threshold, ThresholdError};
