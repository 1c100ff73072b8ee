//! Libraries that a process loads first, so that its system is another one.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::succeed;

/// Compiles the library `name.c` beside this file into a directory.
pub fn shim(directory: &Path, name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support");
    let source = source.join(name).with_extension("c");
    let shim = directory.join(name).with_extension("so");
    // Whoever builds Rust has this to link with.
    let mut compile = Command::new("cc");
    succeed(
        compile
            .args(["-shared", "-fPIC", "-o"])
            .arg(&shim)
            .arg(source),
    );
    shim
}
