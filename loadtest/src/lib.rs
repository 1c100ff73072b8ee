//! Replay and verification of traces.
//!
//! [`replay`] publishes a trace to NATS, and [`verify`] compares the cells of a replay with those
//! that the batch oracle computes from the same trace. The binary `loadtest` adds the command line
//! and the generation of traces, which is the crate `tributary_simulate`.

pub mod replay;
pub mod verify;
