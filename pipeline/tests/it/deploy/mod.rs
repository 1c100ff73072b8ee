//! What is deployed, with the programs: completions and manual pages, the image, the Debian package, what the compose file
//! starts, and that commands beside a worker leave it what it can open.

mod command_line;
mod compose;
mod debian;
mod image;
mod owner;

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

/// An empty directory that stays until the next run, for what several tests share.
fn shared(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// The programs as small as they get, in a directory: what packs them takes long over those of tests, most of which is names.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let directory = shared("programs");
        let own = PathBuf::from(env!("CARGO_BIN_EXE_tributary"));
        for (program, name) in [(own, "tributary"), (loadtest(), "loadtest")] {
            let small = directory.join(name);
            succeed(Command::new("strip").arg("-o").arg(&small).arg(program));
        }
        directory
    })
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
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("tributary");
    std::fs::copy(env!("CARGO_BIN_EXE_tributary"), &program).unwrap();
    succeed(script("split-debug.sh").arg(&program));
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
    let beside = directory.path().join("tributary.debug");
    assert!(sections(&beside).contains(".debug_line"));

    // Once more changes nothing: what is beside a small program is not replaced by nothing.
    let size = std::fs::metadata(&beside).unwrap().len();
    succeed(script("split-debug.sh").arg(&program));
    assert_eq!(std::fs::metadata(&beside).unwrap().len(), size);
    assert_eq!(std::fs::metadata(&program).unwrap().len(), after);
}
