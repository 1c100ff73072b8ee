//! Test infrastructure: a NATS server, a faulty connection to it, a collector of telemetry, and free ports.
//!
//! A test that lacks a tool reports that it was skipped, past the capture of the output of passing
//! tests, so that skipped tests are visible and can be counted; under continuous integration
//! (`CI=true`) it fails instead. Errors here are errors of the test, so this crate panics instead
//! of returning them.

mod nats_server;
mod openssl;
pub mod otlp;
mod ports;
mod proxy;
mod secret;
mod skip;

pub use nats_server::NatsServer;
pub use openssl::openssl;
pub use ports::free_port;
pub use proxy::Proxy;
pub use secret::{SECRET, write_secret};
pub use skip::skipped;
