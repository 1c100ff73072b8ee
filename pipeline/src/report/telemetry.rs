//! The metrics, the health and the traces of this process, as handles for the
//! tasks that report to them.

use std::sync::Arc;

use tributary_config::model::Config;

use super::health::Health;
use super::metrics::Metrics;
use crate::otlp::spans::Traces;

/// Handles to the metrics, the health and the traces of this process; clones share
/// them.
#[derive(Clone)]
pub struct Telemetry {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The health.
    pub health: Arc<Health>,
    /// The traces; nothing is traced unless [`Telemetry::tracing`] says where to.
    pub traces: Traces,
}

impl Telemetry {
    /// As [`Telemetry::new`], with the metrics of a process without a dataflow.
    pub fn of_readers(config: &Config) -> Telemetry {
        Telemetry {
            metrics: Arc::new(Metrics::of_readers(config)),
            health: Arc::default(),
            traces: Traces::default(),
        }
    }

    /// The same, with traces.
    pub fn tracing(self, traces: Traces) -> Telemetry {
        Telemetry { traces, ..self }
    }

    /// Logs and counts replaced files of a ledger that could not be overwritten before
    /// they were removed.
    pub fn not_overwritten(&self, files: usize) {
        if files > 0 {
            tracing::error!(
                files,
                "could not overwrite replaced files of the ledger: their sealed bytes stay on the disk until it uses the \
                 space again"
            );
            self.metrics.not_overwritten(files as u64);
        }
    }

    /// Sets the metrics of the export, if there is one.
    pub fn count_exports(&self) {
        for (signal, outcomes) in self.traces.outcomes().into_iter().flatten() {
            let (sent, dropped) = (outcomes.sent(), outcomes.dropped());
            self.metrics.exported(signal, sent, dropped);
        }
    }

    /// All metrics at zero, and a process that is live and not ready.
    pub fn new(config: &Config) -> Telemetry {
        Telemetry {
            metrics: Arc::new(Metrics::new(config)),
            health: Arc::default(),
            traces: Traces::default(),
        }
    }
}
