//! The memory of the process, which holds secrets, pseudonyms and for a moment
//! clear text, stays out of files and out of the reach of other processes.
//!
//! There is no core dump, whatever the limits of the system say, and processes of
//! the same user can neither attach a debugger nor read `/proc/PID/mem`
//! (`PR_SET_DUMPABLE`, prctl(2)). The superuser still can, and so can whoever reads
//! the swap space or a snapshot of a virtual machine.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Protects the memory of this process. What the system refuses is only logged:
/// the command does its work all the same.
pub fn protect() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "cannot keep other processes from reading the memory of this one");
    }
    if let Err(error) = rlimit::setrlimit(rlimit::Resource::CORE, 0, 0) {
        tracing::warn!(%error, "cannot turn off core dumps");
    }
}
