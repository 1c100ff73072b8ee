//! The first signal ends a run in order, so that what it has measured is kept; the second ends the
//! process.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tributary_connectors::terminal;

/// Becomes true on SIGINT or SIGTERM. Call it within a runtime.
pub(super) fn watch() -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    if let [Ok(mut interrupt), Ok(mut terminate)] = signals {
        tokio::spawn(async move {
            for times in 0.. {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if times > 0 {
                    std::process::exit(130);
                }
                terminal::note("loadtest: ending the run; once more to end at once");
                stop.send_replace(true);
            }
        });
    }
    stopped
}
