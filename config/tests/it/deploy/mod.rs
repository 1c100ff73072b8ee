//! What `config/deploy` holds, checked by what operators would use: the unit by systemd, the compose file by Docker
//! Compose, the chart by Helm, and each of their configurations by the program's own reader.

mod chart;
mod compose;
mod ledger_command;
mod ledger_job;
mod unit;
mod upkeep;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tributary_testkit::skipped;

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file or directory of `config/deploy`.
fn deploy(name: &str) -> PathBuf {
    root().join("config/deploy").join(name)
}

/// The directory of a tool that `.ci/tools.sh` brings, or none with a printed reason.
fn tool_or_skip(name: &str) -> Option<PathBuf> {
    let path = root().join("target/tools").join(name);
    if path.exists() {
        return Some(path);
    }
    skipped(&format!("no {name}: run `bash .ci/tools.sh deploy`"));
    None
}

/// Runs a command; what it says, on both outputs.
fn run<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: &[A]) -> (Output, String) {
    let output = Command::new(&program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.as_ref().display()));
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output, said)
}
