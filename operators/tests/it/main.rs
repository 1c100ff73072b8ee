//! The dataflow against the oracle and against its own promises, a module per promise.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod changes_wait;
mod computes_nobody;
mod counters;
mod crowded_days;
mod default_gate;
mod expires_what_was_judged;
mod held_and_erased;
mod isolates_nobody;
mod ladder_gate;
mod links_end;
mod noise_hides;
mod published_packages;
mod questions_of_rights;
mod random_histories;
mod retracted;
mod skewed_input;
mod support;
mod told_once;
mod withdrawn_and_renewed;
