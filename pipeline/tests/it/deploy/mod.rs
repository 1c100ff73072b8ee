//! What is deployed, with the programs: completions and manual pages, the image, the Debian package, and what the compose file
//! starts.

mod command_line;
mod compose;
mod debian;
mod image;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::guides_parts::commands::loadtest;
use crate::guides_parts::document::root;
use crate::support::succeed;

/// A script of `config/deploy`.
fn script(name: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg(root().join("config/deploy").join(name));
    command
}

/// The programs without what names source lines, as they are deployed. Each test would take long over that by itself.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<tempfile::TempDir> = OnceLock::new();
    let directory = PROGRAMS.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let own = PathBuf::from(env!("CARGO_BIN_EXE_tributary"));
        for (program, name) in [(own, "tributary"), (loadtest(), "loadtest")] {
            std::fs::copy(program, directory.path().join(name)).unwrap();
        }
        let program = |name: &str| directory.path().join(name);
        succeed(script("split-debug.sh").args([program("tributary"), program("loadtest")]));
        directory
    });
    directory.path()
}

/// Status and body of what a server answers.
fn get(port: u16, path: &str) -> Option<(bool, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some((
        answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"),
        answer,
    ))
}

#[test]
fn programs_are_small_and_what_names_lines_stands_beside_them() {
    let before = std::fs::metadata(env!("CARGO_BIN_EXE_tributary"))
        .unwrap()
        .len();
    let program = programs().join("tributary");
    let after = std::fs::metadata(&program).unwrap().len();
    assert!(after < before / 2, "{after} of {before}");
    succeed(Command::new(&program).arg("--version"));
    let sections = |path: &Path| {
        let output = succeed(
            Command::new("readelf")
                .args(["--sections", "--wide"])
                .arg(path),
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let small = sections(&program);
    assert!(small.contains(".gnu_debuglink") && small.contains(".symtab"));
    assert!(!small.contains(".debug_line"));
    let beside = programs().join("tributary.debug");
    assert!(sections(&beside).contains(".debug_line"));

    // Once more changes nothing: what is beside a small program is not replaced by nothing.
    let size = std::fs::metadata(&beside).unwrap().len();
    succeed(script("split-debug.sh").arg(&program));
    assert_eq!(std::fs::metadata(&beside).unwrap().len(), size);
    assert_eq!(std::fs::metadata(&program).unwrap().len(), after);
}
