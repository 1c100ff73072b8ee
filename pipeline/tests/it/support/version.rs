//! The program as a build of another version.

use std::path::{Path, PathBuf};
use std::process::Command;

use tributary_testkit::skipped;

/// The program of another version in a directory, or none with a printed reason: the version is a text in it.
pub fn other_version(directory: &Path) -> Option<PathBuf> {
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let mut other = version.to_vec();
    let digit = other.last_mut().unwrap();
    *digit = if *digit == b'7' { b'8' } else { b'7' };
    let mut program = std::fs::read(env!("CARGO_BIN_EXE_tributary")).unwrap();
    let places: Vec<usize> = memchr::memmem::find_iter(&program, version).collect();
    for place in places {
        program[place..place + version.len()].copy_from_slice(&other);
    }
    let path = directory.join("tributary-of-another-version");
    std::fs::write(&path, program).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let said = Command::new(&path).arg("--version").output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let other = String::from_utf8_lossy(&other);
    let is_other = said.is_ok_and(|said| said.contains(&*other));
    if !is_other {
        skipped("the version of the program cannot be changed in a copy of it");
    }
    is_other.then_some(path)
}
