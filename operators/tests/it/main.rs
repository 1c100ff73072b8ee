//! The dataflow against the batch oracle and against its own guarantees, one module per guarantee.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod changed_settings;
mod consent_toggles;
mod counters;
mod default_gate;
mod device_limit;
mod differencing_attacks;
mod emptied_names;
mod erasure;
mod ladder_attacks;
mod ladder_gate;
mod link_lifetime;
mod matching;
mod noise;
mod published_packages;
mod publishes_differences;
mod random_histories;
mod release_cadence;
mod restarts_agree;
mod retention_queries;
mod retracted;
mod rights_queries;
mod settling;
mod singling_out;
mod skewed_input;
mod support;
mod waiting_months;
mod who_counts;
