//! The configuration that a command is given.

use std::path::Path;

use tributary_config::model::Config;
use tributary_connectors::terminal;

/// Reads a configuration and says what may surprise about it.
pub(super) fn configuration(path: &Path) -> anyhow::Result<Config> {
    let loaded = tributary_config::load(path)?;
    for warning in &loaded.warnings {
        terminal::note(format_args!("warning: {warning}"));
    }
    Ok(loaded.config)
}
