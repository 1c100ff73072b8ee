//! Real parts for tests: a NATS server, a bad line to it, and free ports.
//!
//! What a test needs and lacks is said, past the capture of a passing test's output, so that it is
//! seen and counted; under continuous integration (`CI=true`) that is a failure. Failures here are
//! the test's failures, so that this module panics instead of returning errors.

mod nats_server;
mod ports;
mod proxy;
mod skip;

pub use nats_server::NatsServer;
pub use ports::free_port;
pub use proxy::Proxy;
pub use skip::skipped;
