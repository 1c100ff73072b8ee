//! The configuration file of a command.

use std::path::Path;

use anyhow::Context;
use tributary_config::model::Config;

/// Reads a configuration and logs its warnings.
///
/// # Errors
///
/// A file that cannot be read or is not valid; the error names every problem.
pub fn load(path: &Path) -> anyhow::Result<Config> {
    let loaded = tributary_config::load(path)
        .with_context(|| format!("the configuration {} is not valid", path.display()))?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(loaded.config)
}
