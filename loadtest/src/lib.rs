//! Replay and verification of traces, and what a load test measures.
//!
//! [`replay`] publishes a trace to NATS on an open schedule, [`markers`] measure how long a record
//! takes to become a published number, and [`run`] puts both and the state of the system into a
//! [`report`]. [`verify`] compares the cells of a replay with those that the batch oracle computes from
//! the same trace. [`matching`] judges how well sightings of partners meet
//! visits. The binary `loadtest` adds the command line and the generation of traces, which is
//! the crate `tributary_simulate`.

pub mod find_max;
pub mod markers;
pub mod matching;
pub mod measure;
pub mod members;
pub mod record;
pub mod replay;
pub mod report;
pub mod run;
pub mod verify;
