//! A small disk of a test's own: a tmpfs that can be full, larger and read-only.
//!
//! Mounting is root's. Where the test is not, it runs once more in a user namespace in which it is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tributary_testkit::skipped;

use super::succeed;

/// Set where the test runs in a namespace of its own.
const INSIDE: &str = "TRIBUTARY_TEST_NAMESPACE";

/// A mounted tmpfs. Dropping it unmounts it.
pub struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    /// Mounts a disk of a size, as `256k`. None where `test`, the name of the calling one, has run elsewhere
    /// or is left out.
    pub fn mount_or_skip(test: &str, size: &str) -> Option<Disk> {
        let directory = tempfile::tempdir().expect("a directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]);
        mount.arg(directory.path()).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Disk { directory });
        }
        let unshare = || {
            let mut unshare = Command::new("unshare");
            unshare.arg("-rm");
            unshare
        };
        let may = unshare().arg("true").stderr(Stdio::null()).status();
        if std::env::var_os(INSIDE).is_some() || !may.is_ok_and(|status| status.success()) {
            skipped("no disk of its own: neither mount nor unshare -rm is allowed");
            return None;
        }
        let program = std::env::current_exe().expect("this program");
        let mut inside = unshare();
        inside.arg(program).args(["--exact", test]);
        succeed(inside.env(INSIDE, "1"));
        None
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The configuration's section that keeps the ledger on it.
    pub fn section(&self) -> String {
        format!("[ledger]\ndirectory = \"{}\"\n", self.path().display())
    }

    /// The ledger of a process.
    pub fn ledger(&self, process: usize) -> PathBuf {
        self.path().join(format!("process-{process}"))
    }

    /// Mounts it anew with other options, as `size=64m` or `ro`.
    pub fn remount(&self, options: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{options}")]);
        succeed(mount.arg(self.path()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, since the worker may still be there after a failure.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
