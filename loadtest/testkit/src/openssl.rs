//! Certificates as an operator makes them: with openssl.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs openssl in a directory; false if it is not installed.
pub fn openssl(directory: &Path, arguments: &str) -> bool {
    let run = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match run {
        Ok(status) => {
            assert!(status.success(), "openssl {arguments}");
            true
        }
        Err(_) => false,
    }
}
