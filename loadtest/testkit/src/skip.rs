//! Tests that are skipped because a tool or a data set is missing.

use std::io::Write;

/// Reports on standard error that a test is skipped, past the capture of the output of passing
/// tests.
///
/// # Panics
///
/// If `CI` is `true`, where no test may be skipped.
pub fn skipped(reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "nothing may be left out with CI=true: {reason}"
    );
}
