//! Business gauges of `/metrics`, kept up to date with the released cells.

use std::time::{Duration, Instant};

use tributary_config::model::Config;

use crate::epochs::clock;
use crate::report::published_cells::SharedCells;
use crate::report::telemetry::Telemetry;

/// Maximum age of the gauges, because the current day of a brand depends on the
/// clock.
const OLDEST: Duration = Duration::from_secs(60);

/// Computes the business gauges when a cell has changed, and at least once per
/// minute.
#[derive(Default)]
pub struct BusinessGauges {
    /// Stamp of the cells and time of the last computation.
    computed: Option<(u64, Instant)>,
}

impl BusinessGauges {
    /// Computes the gauges if they are due.
    pub fn refresh(&mut self, config: &Config, telemetry: &Telemetry, cells: &SharedCells) {
        // The workers write to the cells: a copy is read, where anything or the day can have changed.
        let is_due = self
            .computed
            .is_none_or(|(stamp, at)| stamp != cells.lock().stamp() || at.elapsed() > OLDEST);
        if !is_due {
            return;
        }
        let board = cells.lock().clone();
        self.computed = Some((board.stamp(), Instant::now()));
        let now = jiff::Timestamp::now();
        telemetry.metrics.board(&board, |brand| {
            let mut brands = config.brands.iter();
            let zone = brands
                .find(|known| known.name == brand)
                .map(|brand| brand.timezone.clone());
            clock::day(now, &zone.unwrap_or(jiff::tz::TimeZone::UTC))
        });
    }
}

/// Keeps the business gauges and the readiness of a process without a dataflow up
/// to date, once per second, forever.
pub async fn business(config: &Config, telemetry: &Telemetry, cells: &SharedCells) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut gauges = BusinessGauges::default();
    loop {
        every.tick().await;
        telemetry.count_exports();
        telemetry
            .metrics
            .ready(telemetry.health.not_ready().is_empty());
        gauges.refresh(config, telemetry, cells);
    }
}
