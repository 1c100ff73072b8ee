//! Real parts for tests: a NATS server, a bad line to it, and free ports.
//!
//! What a test needs and lacks is said, past the capture of a passing test's output, so that it is
//! seen and counted; under continuous integration (`CI=true`) that is a failure. Failures here are
//! the test's failures, so that this module panics instead of returning errors.

mod nats_server;
mod ports;
mod proxy;

use std::io::Write;

pub use nats_server::NatsServer;
pub use ports::free_port;
pub use proxy::Proxy;

/// Says that a test is left out, past the capture of a passing test's output, so that it is seen and counted.
///
/// # Panics
/// When `CI` is `true`: there nothing may be left out.
pub fn skipped(reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "nothing may be left out with CI=true: {reason}"
    );
}
