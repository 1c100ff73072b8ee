//! The configuration file is read again while the process runs: at SIGHUP, and when it was
//! changed ([`super::file_watch`]).
//!
//! The file is checked as a whole, with the options of the command line and the
//! environment of the start. Either everything in it applies, or nothing does:
//! the log then names every problem, `tributary_config_last_reload_successful`
//! is 0, and the process goes on as before. What can change is a matter of
//! [`live_config`](crate::live_config). What is read where it is used is replaced
//! here; for the rest, the process itself changes.

use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tributary_config::Change;
use tributary_config::model::Config;

use crate::cli::file_watch::FileWatch;
use crate::cli::log;
use crate::live_config::{Reload, plan};
use crate::report::metrics::Metrics;

/// A request to a running process to go on with another configuration.
pub struct Request {
    /// The configuration.
    pub next: Arc<Config>,
    /// Receives the outcome, or the reason why everything stays as it was.
    pub answer: oneshot::Sender<Result<(), String>>,
}

/// What has a process read its configuration again.
pub struct Triggers {
    /// SIGHUP.
    pub hangup: Signal,
    /// A change of the files.
    pub files: FileWatch,
}

impl Triggers {
    /// Waits for the next one. Returns false if there is none any more.
    async fn next(&mut self) -> bool {
        tokio::select! {
            signal = self.hangup.recv() => return signal.is_some(),
            () = self.files.changed() => tracing::info!("the configuration was changed on disk"),
        }
        true
    }
}

/// Reloads at each trigger, forever. `read` reads the configuration as the start
/// did, and checks it. `process` takes what needs more than another value; a process
/// without a dataflow has none.
pub async fn at_each(
    mut triggers: Triggers,
    live: Arc<watch::Sender<Arc<Config>>>,
    metrics: Arc<Metrics>,
    read: impl Fn() -> anyhow::Result<Config> + Clone + Send + 'static,
    process: Option<mpsc::Sender<Request>>,
) {
    log::set_level(live.borrow().log.level);
    triggers.files.follow(&live.borrow());
    while triggers.next().await {
        triggers.files.before_reading();
        let outcome = reload(&live, read.clone(), process.as_ref()).await;
        metrics.config_reloaded(outcome.is_ok());
        match outcome {
            Ok(changes) => {
                for change in &changes {
                    tracing::info!(%change, "reloaded");
                }
                tracing::info!(changes = changes.len(), "the configuration was reloaded");
                triggers.files.follow(&live.borrow());
            }
            Err(problems) => {
                for problem in &problems {
                    tracing::error!(problem, "the new configuration is refused");
                }
                tracing::error!(
                    problems = problems.len(),
                    "the configuration was not reloaded: everything stays as it was"
                );
            }
        }
    }
    // Nothing else sends it: this process cannot be told to reload any more.
    std::future::pending().await
}

/// Reads the configuration and replaces the current one. Returns what is different.
///
/// # Errors
///
/// One sentence for each problem; nothing has changed then.
async fn reload(
    live: &watch::Sender<Arc<Config>>,
    read: impl Fn() -> anyhow::Result<Config> + Send + 'static,
    process: Option<&mpsc::Sender<Request>>,
) -> Result<Vec<Change>, Vec<String>> {
    let read = tokio::task::spawn_blocking(read).await;
    let config = read
        .map_err(anyhow::Error::from)
        .flatten()
        .map_err(|error| problems(&error))?;
    let level = config.log.level;
    let before = live.borrow().clone();
    let Reload {
        changes,
        next,
        of_the_process,
    } = plan(&before, config, process.is_some())?;
    match process.filter(|_| of_the_process) {
        None if changes.is_empty() => {}
        None => drop(live.send_replace(next)),
        Some(process) => {
            let (answer, outcome) = oneshot::channel();
            let ended = |_| vec!["the process ends".to_owned()];
            let request = Request { next, answer };
            process.send(request).await.map_err(|_| ended(()))?;
            let outcome = outcome.await.map_err(|_| ended(()))?;
            outcome.map_err(|why| vec![why])?;
        }
    }
    log::set_level(level);
    Ok(changes)
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
