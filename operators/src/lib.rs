//! Tributary's dataflow: identity, attribution, visits and counters, kept incrementally.
//!
//! Everything here is a pure function of the records held: no clock, no I/O, no JSON, no async. See
//! `ARCHITECTURE.md` at the root of the repository for the picture.

pub mod cell;
pub mod event;
pub mod label;
pub mod record;
pub mod settings;
