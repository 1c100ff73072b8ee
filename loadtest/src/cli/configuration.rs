//! The configuration that a command uses.

use std::path::Path;

use tributary_config::model::Config;
use tributary_connectors::terminal;

/// Reads a configuration, and prints its warnings.
///
/// # Errors
///
/// The file cannot be read, or contains errors.
pub(super) fn configuration(path: &Path) -> anyhow::Result<Config> {
    let loaded = tributary_config::load(path)?;
    for warning in &loaded.warnings {
        terminal::note(format_args!("warning: {warning}"));
    }
    Ok(loaded.config)
}

/// Reads a configuration for a command that connects by it and has no use for its
/// other settings, whose warnings are those of a worker.
///
/// # Errors
///
/// The file cannot be read, or contains errors.
pub(super) fn of_broker(path: &Path) -> anyhow::Result<Config> {
    Ok(tributary_config::load(path)?.config)
}
