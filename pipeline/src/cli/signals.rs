//! Signals: the first SIGTERM or SIGINT requests an orderly end, the second
//! ends the process at once. SIGHUP, which a closed terminal or a log rotation
//! sends as well, ends nothing: a worker and a server of pages read their
//! configuration again ([`super::reload`]).

use std::path::Path;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::file_watch::FileWatch;
use crate::cli::reload::Triggers;

/// The runtime of a process that goes on until a signal, and what has it read its configuration again from now on. To be
/// called before anything else: a signal that comes while the configuration is read ends
/// nothing, and has it read again.
///
/// # Errors
///
/// A runtime that cannot be started, or a signal that cannot be handled.
pub fn runtime(config: &Path) -> anyhow::Result<(Runtime, Triggers)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let guard = runtime.enter();
    let hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    drop(guard);
    let files = FileWatch::new(config);
    Ok((runtime, Triggers { hangup, files }))
}

/// Returns a flag that becomes true at the first SIGTERM or SIGINT; the second
/// exits the process with 130.
///
/// # Errors
///
/// A signal that cannot be handled.
pub fn stop() -> anyhow::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    // From now on SIGHUP no longer ends the process, whether or not anybody waits for it.
    let _ = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first {
                tracing::info!(
                    "stopping: finishing what has been read; a second signal exits at once"
                );
                let _ = sender.send(true);
            } else {
                std::process::exit(130);
            }
        }
    });
    Ok(receiver)
}
