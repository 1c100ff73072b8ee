//! The program as a build of another version, or of another commit.

use std::path::{Path, PathBuf};
use std::process::Command;

use tributary::version::COMMIT;
use tributary_testkit::skipped;

/// The program of another version in a directory, or none with a printed reason: the version is a text in it.
pub fn other_version(directory: &Path) -> Option<PathBuf> {
    let mut other = env!("CARGO_PKG_VERSION").to_owned();
    let last = if other.ends_with('7') { '8' } else { '7' };
    other.pop();
    other.push(last);
    patched(directory, env!("CARGO_PKG_VERSION"), &other)
}

/// The program of the same version and another commit in a directory, with that commit, or none with a printed reason.
pub fn other_build(directory: &Path) -> Option<(PathBuf, String)> {
    if COMMIT == "unknown" {
        skipped("the commit of the program is not known");
        return None;
    }
    let other: String = COMMIT
        .chars()
        .map(|c| {
            if c == 'a' {
                'b'
            } else if c.is_ascii_digit() {
                'a'
            } else {
                c
            }
        })
        .collect();
    Some((patched(directory, COMMIT, &other)?, other))
}

/// The program in a directory, with another text in place of one of the same length.
fn patched(directory: &Path, text: &str, other: &str) -> Option<PathBuf> {
    assert_eq!(text.len(), other.len());
    let (text, replaced) = (text.as_bytes(), other.as_bytes());
    let mut program = std::fs::read(env!("CARGO_BIN_EXE_tributary")).unwrap();
    let places: Vec<usize> = memchr::memmem::find_iter(&program, text).collect();
    for place in places {
        program[place..place + text.len()].copy_from_slice(replaced);
    }
    let path = directory.join("another-tributary");
    std::fs::write(&path, program).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let said = Command::new(&path).arg("--version").output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let is_other = said.is_ok_and(|said| said.contains(other));
    if !is_other {
        skipped("the program cannot be changed in a copy of it");
    }
    is_other.then_some(path)
}
