//! The dataflow against the oracle and against its own promises, a module per promise.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod consent_toggles;
mod counters;
mod default_gate;
mod device_limit;
mod differencing_attacks;
mod erasure;
mod link_lifetime;
mod noise;
mod published_packages;
mod publishes_differences;
mod random_histories;
mod release_cadence;
mod retention_queries;
mod retracted;
mod rights_queries;
mod singling_out;
mod skewed_input;
mod support;
