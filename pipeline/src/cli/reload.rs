//! SIGHUP: the configuration file is read again while the process runs.
//!
//! The file is checked as a whole, with the options of the command line and the
//! environment of the start. Either everything in it applies, or nothing does:
//! the log then names every problem, `tributary_config_last_reload_successful`
//! is 0, and the process goes on as before. What can change is a matter of
//! [`live_config`](crate::live_config).

use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tributary_config::model::Config;

use crate::cli::log;
use crate::live_config::replace;
use crate::report::metrics::Metrics;

/// Reloads at each signal, forever. `read` reads the configuration as the start
/// did, and checks it.
pub async fn at_each(
    mut hangup: Signal,
    live: watch::Sender<Arc<Config>>,
    metrics: Arc<Metrics>,
    read: impl Fn() -> anyhow::Result<Config> + Clone + Send + 'static,
) {
    log::set_level(live.borrow().log.level);
    while hangup.recv().await.is_some() {
        let outcome = reload(&live, read.clone()).await;
        metrics.config_reloaded(outcome.is_ok());
        if let Err(problems) = outcome {
            for problem in &problems {
                tracing::error!(problem, "the new configuration is refused");
            }
            tracing::error!(
                problems = problems.len(),
                "the configuration was not reloaded: everything stays as it was"
            );
        }
    }
    // Nothing else sends it: this process cannot be told to reload any more.
    std::future::pending().await
}

/// Reads the configuration and replaces the current one.
///
/// # Errors
///
/// One sentence for each problem; nothing has changed then.
async fn reload(
    live: &watch::Sender<Arc<Config>>,
    read: impl Fn() -> anyhow::Result<Config> + Send + 'static,
) -> Result<(), Vec<String>> {
    let read = tokio::task::spawn_blocking(read).await;
    let config = read
        .map_err(anyhow::Error::from)
        .flatten()
        .map_err(|error| problems(&error))?;
    let level = config.log.level;
    let changed = replace(live, config)?;
    log::set_level(level);
    for change in &changed {
        tracing::info!(%change, "reloaded");
    }
    tracing::info!(changes = changed.len(), "the configuration was reloaded");
    Ok(())
}

/// The problems that an error has, one sentence each.
fn problems(error: &anyhow::Error) -> Vec<String> {
    match error.downcast_ref::<tributary_config::ConfigError>() {
        Some(tributary_config::ConfigError::Invalid(problems)) => {
            problems.0.iter().map(ToString::to_string).collect()
        }
        _ => vec![format!("{error:#}")],
    }
}
