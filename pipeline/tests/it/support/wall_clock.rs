//! Wall clocks that are wrong.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::succeed;

/// What a process loads to have another wall clock.
pub fn shim(directory: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/wall_clock.c");
    let shim = directory.join("wall_clock.so");
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
