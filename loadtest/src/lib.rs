//! Traces made, replayed and verified.
//!
//! [`generate`] makes the traffic of a brand that does not exist, [`replay`] plays a trace into
//! NATS, [`verify`] compares the cells of a replay with what the batch oracle makes of the same
//! trace, and [`inputs`] opens what they all read. [`testing`] starts a NATS server for a test. The
//! binary `loadtest` is a thin shell around these.

pub mod replay;
pub mod verify;
