//! The parts of an epoch: batches and reports, queries, clocks, and numbers.
//!
//! An epoch is the unit of progress: its messages are decoded, committed,
//! computed and released together. Its number is a logical timestamp of the
//! dataflow and not a time.

pub mod batch;
pub mod clock;
pub mod epoch_clock;
pub mod queries;
