//! Tributary's dataflow: identity, attribution, visits and counters, maintained incrementally.
//!
//! The crate is pure: no clock, no I/O, no JSON, no async. Every output is a function of the current records.
//! `ARCHITECTURE.md` at the root of the repository gives the overview, [`dataflow`] shows how the operators are
//! connected, and [`engine`] defines the trait that all of them implement.

pub mod aggregate;
pub mod allowed_uses;
pub mod ask;
pub mod attribution;
pub mod calendar;
pub mod cell;
mod cell_hash;
pub mod cells;
pub mod consent_counts;
pub mod consent_state;
pub mod currency;
pub mod current_settings;
pub mod dataflow;
mod delta_buffer;
pub mod engine;
pub mod event;
pub mod facts;
mod hash_key;
pub mod horizons;
pub mod id_sets;
pub mod identity;
pub mod label;
mod label_numbers;
mod label_registry;
mod label_uses;
pub mod matching;
pub mod net_sales;
pub mod notices;
mod packed_multiset;
mod packed_runs;
mod packed_time;
pub mod person;
pub mod policy;
pub mod policy_filter;
mod range_sums;
pub mod reach;
pub mod record;
pub mod release;
pub mod retention_query;
pub mod routing;
mod runs;
pub mod salt;
pub mod sessionize;
mod set_table;
pub mod settings;
mod small_map;
mod statement_order;
pub mod stats;
pub mod upsert;
pub mod wallet;
