//! Consent strings against those of other implementations, a module per kind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod allowed;
mod gpp;
mod never_panics;
mod permits;
mod support;
mod tc_strings;
mod us_states;
mod vendor_list;
