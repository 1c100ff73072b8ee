//! Small and read-only disks for a test.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A file system in memory, removed with the test.
pub struct Disk(TempDir);

impl Disk {
    /// A disk of so many bytes; says so and returns nothing where this user may not mount one.
    pub fn mount(bytes: u64) -> Option<Disk> {
        let directory = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mounted = run(
            "mount",
            &["-t", "tmpfs", "-o", &size, "tmpfs"],
            directory.path(),
        );
        if !mounted {
            tributary_testkit::skipped("no disk of its own: mounting one needs root");
            return None;
        }
        Some(Disk(directory))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes the disk read-only, or writable again.
    pub fn read_only(&self, read_only: bool) {
        let how = if read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        assert!(run("mount", &["-o", how], self.path()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l"], self.0.path());
    }
}

fn run(program: &str, arguments: &[&str], directory: &Path) -> bool {
    let output = Command::new(program)
        .args(arguments)
        .arg(directory)
        .output();
    output.is_ok_and(|output| output.status.success())
}
