//! What comes in and what goes out, a module per format or promise.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod announced_labels;
mod bad_input;
mod bodies;
mod common;
mod consent_of_web_records;
mod consent_records;
mod exchanged_secrets;
mod formats;
mod fuzz_decoders;
mod inputs_are_named;
mod names_of_sales;
mod notices;
mod partner_files;
mod partner_records;
mod pings;
mod shared_csv;
#[path = "common/sink.rs"]
mod sink;
mod spend_files;
mod steps_of_strings;
#[path = "common/strings.rs"]
mod strings;
mod subjects;
mod traces;
mod wallet_records;
