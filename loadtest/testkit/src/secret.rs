//! Files with secrets, which are their owner's alone: a configuration warns of others.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A secret of a brand that was drawn at random, as a configuration demands. Put a name
/// before or behind it where brands need different ones.
pub const SECRET: &str = "224ff3c627f30dd0f8e3fdb63bf28aa6";

/// Writes a secret to a file that only its owner can read; an existing file is
/// replaced.
///
/// # Panics
///
/// If the file cannot be written.
#[allow(clippy::expect_used, reason = "a test may fail")]
pub fn write_secret(path: impl AsRef<Path>, secret: &str) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).expect("the file of a secret");
    file.write_all(secret.as_bytes()).expect("the secret");
}
