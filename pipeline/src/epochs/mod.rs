//! What an epoch is made of: batches and reports, queries, clocks, and ticks.

pub mod batch;
pub mod clock;
pub mod queries;
pub mod tick;
