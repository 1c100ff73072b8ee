//! The memory of a process is not for others: no core dump, and no debugger of the same user.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use crate::support::story::until;
use crate::support::tributary;

/// Some user that is not the superuser.
const NOBODY: u32 = 65_534;

#[test]
fn no_core_dump_and_no_debugger_of_the_same_user() {
    // It waits for its input until the test has looked.
    let start = |user: Option<u32>| {
        let mut command = tributary();
        command.args(["receipt", "verify", "/dev/null", "--key", "-"]);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        if let Some(user) = user {
            command.uid(user);
        }
        command.spawn()
    };
    // The files of a process of the superuser are the superuser's in any case.
    let me = std::fs::metadata("/proc/self").unwrap().uid();
    let other = (me == 0).then_some(NOBODY);
    let mut child = match start(other) {
        Ok(child) => child,
        Err(error) => {
            eprintln!("no other user may start the program ({error}): only its limits are seen");
            start(None).unwrap()
        }
    };
    let proc = std::path::PathBuf::from(format!("/proc/{}", child.id()));
    let core = || {
        let limits = std::fs::read_to_string(proc.join("limits")).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        line.unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // The kernel gives the files of a process that must not be read to the superuser (proc(5)).
    let owner = || std::fs::metadata(proc.join("environ")).unwrap().uid();
    until("its memory is its own", || {
        owner() == 0 && core()[4..6] == ["0", "0"]
    });
    child.stdin.take().unwrap().write_all(b"none").unwrap();
    assert!(!child.wait().unwrap().success());
}
