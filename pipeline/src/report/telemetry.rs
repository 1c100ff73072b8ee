//! The metrics and the health of this process, as handles for the tasks that
//! report to both.

use std::sync::Arc;

use tributary_config::model::Config;

use super::health::Health;
use super::metrics::Metrics;

/// Handles to the metrics and the health of this process; clones share them.
#[derive(Clone)]
pub struct Telemetry {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The health.
    pub health: Arc<Health>,
}

impl Telemetry {
    /// As [`Telemetry::new`], with the metrics of a process without a dataflow.
    pub fn of_readers(config: &Config) -> Telemetry {
        Telemetry {
            metrics: Arc::new(Metrics::of_readers(config)),
            health: Arc::default(),
        }
    }

    /// All metrics at zero, and a process that is live and not ready.
    pub fn new(config: &Config) -> Telemetry {
        Telemetry {
            metrics: Arc::new(Metrics::new(config)),
            health: Arc::default(),
        }
    }
}
