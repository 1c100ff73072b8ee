//! The task that refreshes the gauges of `/metrics` that are derived from
//! counts and released cells.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_config::model::Config;

use crate::epochs::clock;
use crate::report::published_cells::SharedCells;
use crate::report::tally::Tally;
use crate::report::telemetry::Telemetry;

/// Refreshes the gauges once per second, forever. The gauges of cells are
/// recomputed when a cell has changed, and at least once per minute, because
/// the current day of a brand depends on the clock.
pub(super) async fn gauge(
    config: Config,
    telemetry: Telemetry,
    cells: SharedCells,
    tally: Arc<Tally>,
) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut computed = None;
    loop {
        every.tick().await;
        telemetry
            .metrics
            .sync(&tally.counts(), &tally.dead_letters());
        let now = jiff::Timestamp::now();
        telemetry
            .metrics
            .ready(telemetry.health.not_ready().is_empty());
        // The workers write to the board: a copy is read, where anything or the day can have changed.
        let due = computed.is_none_or(|(stamp, at): (u64, Instant)| {
            stamp != cells.lock().stamp() || at.elapsed() > Duration::from_secs(60)
        });
        if !due {
            continue;
        }
        let board = cells.lock().clone();
        computed = Some((board.stamp(), Instant::now()));
        telemetry.metrics.board(&board, |brand| {
            let zone = config
                .brands
                .iter()
                .find(|b| b.name == brand)
                .map(|b| b.timezone.clone());
            clock::day(now, &zone.unwrap_or(jiff::tz::TimeZone::UTC))
        });
    }
}
