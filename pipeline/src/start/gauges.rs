//! The task that refreshes the gauges of `/metrics` that are derived from
//! counts and released cells.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tributary_config::model::Config;
use tributary_connectors::nats::Fence;

use crate::durability::backups::Backup;
use crate::durability::standbys::Standbys;
use crate::report::published_cells::SharedCells;
use crate::report::tally::Tally;
use crate::report::telemetry::Telemetry;
use crate::serve::gauges::BusinessGauges;

/// The interval of refreshes.
const EVERY: Duration = Duration::from_secs(1);

/// Says once per second, forever, whether this process holds its lease: from the
/// moment that it has taken it, while it waits for other processes as well.
pub(super) async fn lease(telemetry: Telemetry, fence: Fence) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        every.tick().await;
        let holds = fence.holds(None);
        telemetry.metrics.lease_held(holds);
        telemetry.health.set_lease(holds);
    }
}

/// Refreshes the gauges once per second, forever.
pub(super) async fn gauge(
    config: Config,
    telemetry: Telemetry,
    cells: SharedCells,
    tally: Arc<Tally>,
    standbys: Standbys,
    backup: Backup,
) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut gauges = BusinessGauges::default();
    loop {
        every.tick().await;
        telemetry
            .metrics
            .sync(&tally.counts(), &tally.dead_letters());
        telemetry.metrics.standbys(standbys.count());
        telemetry.metrics.backup_age(backup.age());
        telemetry.metrics.profiles(&tally.profiles());
        telemetry.count_exports();
        telemetry
            .metrics
            .ready(telemetry.health.not_ready().is_empty());
        gauges.refresh(&config, &telemetry, &cells);
    }
}
