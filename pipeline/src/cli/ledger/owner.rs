//! The owner of a ledger: only the user of the worker changes its files.
//!
//! A worker has a user of its own, and its files have mode 0600. A command that root runs
//! beside it would write files that the worker cannot open, so that the next start fails. What
//! was written must be readable by who owns the directory: whoever is somebody else is refused,
//! unless the directory was given to it by a group, like a volume of Kubernetes; root, who may
//! write everywhere, always is.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, bail};
use rustix::fs::{Access, access};
use rustix::process::geteuid;
use tributary_config::model::Config;

/// Refuses to change the ledgers of a configuration as another user than theirs.
///
/// # Errors
///
/// The users, and how to run the command; or a directory that cannot be read.
pub(super) fn refuse_others(config: &Config) -> anyhow::Result<()> {
    let directory = &config.ledger.directory;
    refuse_other_owner(directory)?;
    let Ok(entries) = std::fs::read_dir(directory) else {
        // It is begun by the command, whose user owns it then.
        return Ok(());
    };
    for entry in entries {
        let path = entry
            .with_context(|| directory.display().to_string())?
            .path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("process-") || name.starts_with("rights-") {
            refuse_other_owner(&path)?;
        }
    }
    Ok(())
}

/// Refuses to change a directory of another user; one that does not exist is nobody's.
///
/// # Errors
///
/// See [`refuse_others`].
pub(super) fn refuse_other_owner(directory: &Path) -> anyhow::Result<()> {
    let metadata = match std::fs::metadata(directory) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| directory.display().to_string()),
    };
    let (owner, own) = (metadata.uid(), geteuid());
    let is_given = !own.is_root() && access(directory, Access::WRITE_OK).is_ok();
    if owner == own.as_raw() || is_given {
        return Ok(());
    }
    bail!(
        "{} belongs to the {}, and this command is run by the {}: the worker could not open the files that it writes. \
         Run it as the user of the worker, beside the systemd unit with `tributary-ledger` in place of `tributary ledger`, \
         elsewhere with `setpriv --reuid {owner} --regid {} --clear-groups`",
        directory.display(),
        named(owner),
        named(own.as_raw()),
        metadata.gid()
    )
}

/// A user with its name, if `/etc/passwd` has one.
fn named(user: u32) -> String {
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(user)).then(|| name.to_owned())
    });
    match name {
        Some(name) => format!("user {user} ({name})"),
        None => format!("user {user}"),
    }
}
