//! Configurations as people write them, a module per promise.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod agreement;
mod all_at_once;
mod anything_goes;
mod column_maps;
mod common;
mod consent;
mod deploy;
mod each_problem;
mod environment;
mod example;
mod http_ingest;
mod secrets;
