//! Traces made, replayed and verified.
//!
//! [`generate`] makes the traffic of a brand that does not exist, [`replay`] plays a trace into
//! NATS, [`verify`] compares the cells of a replay with what the batch oracle makes of the same
//! trace, and [`inputs`] opens what they all read. [`testing`] starts a NATS server for a test. The
//! binary `loadtest` is a thin shell around these.

mod broker;
pub mod generate;
pub mod inputs;
pub mod replay;
pub mod testing;
pub mod verify;

pub use broker::nats_at;
