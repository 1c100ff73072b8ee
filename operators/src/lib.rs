//! Tributary's dataflow: identity, attribution, visits and counters, kept incrementally.
//!
//! Everything here is a pure function of the records held: no clock, no I/O, no JSON, no async. See
//! `ARCHITECTURE.md` at the root of the repository for the picture, [`dataflow`] for how the stages
//! hang together, and [`engine`] for the one shape they all have.

pub mod admit;
pub mod ask;
pub mod attribution;
pub mod calendar;
pub mod cell;
pub mod cells;
pub mod consents;
pub mod currency;
pub mod dataflow;
pub mod engine;
pub mod event;
pub mod facts;
pub mod hold;
pub mod identity;
pub mod label;
mod label_registry;
mod label_uses;
pub mod person;
pub mod presence;
pub mod record;
pub mod retention;
mod runs;
pub mod salt;
pub mod settings;
pub mod settle;
mod small_map;
mod statement_order;
pub mod statements;
pub mod stats;
pub mod steps;
pub mod sums;
