//! The export of a process: its thread, from the configuration to the last line.
//!
//! The thread has a runtime of its own. It takes nothing from the runtime of the
//! command when a collector hangs, and it outlives it: [`Export::finish`] is called
//! when the command has ended and its last line is in the queue, and waits a few
//! seconds at most for what is left. With the time that a worker takes to drain and
//! its runtime to end, that is less than the grace period of orchestrators.

use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::watch;
use tributary_config::model::Config;

use super::client::{Client, ClientError};
use super::delivery::Delivery;
use super::encode::{Resource, rejected_lines, rejected_spans};
use super::lines;
use super::queue::Signal;
use super::spans::Traces;

/// Maximum time for what is left at the end.
const FLUSH: Duration = Duration::from_secs(3);

/// Reason why an export cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The settings of the collector cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The thread cannot be created.
    #[error("cannot start the export of telemetry: {0}")]
    Thread(#[from] io::Error),
}

/// The export of a process. It does nothing without an endpoint.
#[derive(Default)]
pub struct Export {
    traces: Traces,
    /// `None` without an endpoint.
    thread: Option<Thread>,
}

/// The thread of the export.
struct Thread {
    /// Ends it.
    stop: watch::Sender<bool>,
    /// Says that it has emptied the queues.
    done: mpsc::Receiver<()>,
}

impl Export {
    /// Begins the export that a configuration demands, if it does. The lines since
    /// the start of the log leave first.
    ///
    /// # Errors
    ///
    /// See [`ExportError`].
    pub fn start(config: &Config) -> Result<Export, ExportError> {
        // Without an endpoint nobody reads the lines from here on, and none is kept.
        let taken = lines::take();
        let Some(endpoint) = &config.telemetry.otlp_endpoint else {
            return Ok(Export::default());
        };
        let client = Arc::new(Client::new(endpoint, &config.telemetry)?);
        let resource = Resource::new(config);
        let of_lines = taken.as_ref().map(|(_, outcomes)| outcomes.clone());
        let (traces, spans) = Traces::new(config, of_lines.unwrap_or_default());
        let (stop, stopped) = watch::channel(false);
        let of_spans = Delivery {
            signal: Signal::Traces,
            entries: spans,
            outcomes: traces.spans(),
            client: client.clone(),
            encode: {
                let resource = resource.clone();
                Box::new(move |spans| resource.spans(spans))
            },
            rejected: rejected_spans,
            stop: stopped.clone(),
        };
        let of_lines = taken.map(|(entries, outcomes)| Delivery {
            signal: Signal::Logs,
            entries,
            outcomes,
            client,
            encode: Box::new(move |lines| resource.lines(lines)),
            rejected: rejected_lines,
            stop: stopped,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (finished, done) = mpsc::channel();
        std::thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let of_lines = async {
                        if let Some(of_lines) = of_lines {
                            of_lines.run().await;
                        }
                    };
                    tokio::join!(of_spans.run(), of_lines);
                });
                // Whoever waits may have given up.
                let _ = finished.send(());
            })?;
        let thread = Some(Thread { stop, done });
        Ok(Export { traces, thread })
    }

    /// Where the parts of the process report what is traced.
    pub fn traces(&self) -> Traces {
        self.traces.clone()
    }

    /// Sends what is left when the command has ended, within a few seconds. The error
    /// of the command, which the process writes to standard error after this, is the
    /// last line.
    pub fn finish<T>(self, outcome: &anyhow::Result<T>) {
        let Some(Thread { stop, done }) = self.thread else {
            return;
        };
        if let Err(error) = outcome {
            lines::push_error(&format!("{error:#}"));
        }
        stop.send_replace(true);
        if done.recv_timeout(FLUSH).is_err() {
            tracing::warn!("the collector did not take the last telemetry within {FLUSH:?}");
        }
    }
}
