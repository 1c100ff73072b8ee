//! What a load test measures: times in HDR histograms, and the state of the system under test.

pub mod process;
pub mod prometheus;
pub mod system;
mod times;

pub use times::{Interval, Percentiles, Times, TimesReport};
