//! The status: what the page shows of the process, whether its numbers can be
//! relied upon, and its counts.

use serde::Serialize;
use tributary_connectors::dead_letter::Reason;

use super::PageState;
use crate::report::metrics::Metrics;
use crate::report::metrics::label::{Label, OUTCOMES};
use crate::report::metrics::table::Id;

/// The process as it is now. Its field names are part of the interface to the
/// script.
#[derive(PartialEq, Serialize)]
pub struct Status<'a> {
    /// Build of the page that this process serves.
    build: &'a str,
    /// Names of the brands.
    brands: Vec<&'a str>,
    /// Number of this process, from 1, and number of processes: with several, each
    /// shows the cells that it owns.
    process: [usize; 2],
    /// Whether the current day is not that of the clock.
    simulated: bool,
    /// Whether the process is ready.
    ready: bool,
    /// Reasons why it is not ready, as sentences.
    reasons: Vec<String>,
    /// Minimum number of contributors of a released cell.
    k: u64,
    /// How far closed epochs trail the input.
    lag_seconds: f64,
    /// When the newest epoch closed, Unix seconds; `None` before the first.
    epoch: Option<f64>,
    /// Number of stored records.
    held: Option<f64>,
    /// Number of released cells.
    released: Option<f64>,
    /// Number of suppressed cells.
    hidden: Option<f64>,
    /// Number of accepted records and pings.
    accepted: f64,
    /// Rejected lines: reason, its meaning, and number.
    dead: Vec<(String, &'static str, f64)>,
    /// Rights requests.
    rights: Rights,
    /// Uses that require permission: name, identifiers that allow it, identifiers
    /// that refuse it.
    consents: Vec<(&'static str, f64, f64)>,
    /// Time of the last retention pass, Unix seconds, of the brand whose pass is
    /// the oldest; `None` before each brand had one.
    retention: Option<f64>,
}

/// Rights requests of all brands: answered since the start, and waiting.
#[derive(PartialEq, Serialize)]
struct Rights {
    /// Completed requests.
    completed: f64,
    /// Rejected requests.
    rejected: f64,
    /// Waiting requests.
    open: f64,
    /// Age of the oldest one.
    oldest_seconds: f64,
}

impl Rights {
    /// Reads the numbers from the metrics.
    fn of(metrics: &Metrics) -> Rights {
        let ended = metrics.counted(Id::RightsRequests, Label::Outcome);
        let [completed, rejected] =
            OUTCOMES.map(|outcome| ended.get(outcome).copied().unwrap_or(0.0));
        let oldest = metrics.gauges(Id::RightsOldest);
        Rights {
            completed,
            rejected,
            open: metrics.gauges(Id::RightsOpen).into_iter().sum(),
            oldest_seconds: oldest.into_iter().fold(0.0, f64::max).round(),
        }
    }
}

impl Status<'_> {
    /// Reads health and metrics.
    pub fn of(state: &PageState) -> Status<'_> {
        let (page, metrics) = (&state.page, &*state.telemetry.metrics);
        let reasons = state.telemetry.health.not_ready();
        let accepted = metrics.counted(Id::Accepted, Label::Kind);
        let dead = metrics.counted(Id::DeadLetters, Label::Reason);
        let help = |name: &str| {
            let reason = Reason::ALL.into_iter().find(|reason| reason.name() == name);
            reason.map_or("", Reason::help)
        };
        Status {
            build: &page.document.build,
            brands: page
                .brands
                .iter()
                .map(|brand| brand.name.as_str())
                .collect(),
            process: page.process,
            simulated: page.simulated().is_some(),
            ready: reasons.is_empty(),
            reasons,
            k: page.k,
            lag_seconds: (state.telemetry.health.lag_seconds() * 10.0).round() / 10.0,
            epoch: metrics.gauge(Id::Epoch).filter(|epoch| *epoch > 0.0),
            held: metrics.gauge(Id::Held),
            released: metrics.gauge(Id::Released),
            hidden: metrics.gauge(Id::Hidden),
            accepted: accepted.values().sum(),
            rights: Rights::of(metrics),
            consents: metrics
                .consents()
                .into_iter()
                .map(|(step, [allow, refuse])| (step.name(), allow, refuse))
                .collect(),
            retention: metrics
                .gauges(Id::RetentionPass)
                .into_iter()
                .min_by(f64::total_cmp)
                .filter(|pass| *pass > 0.0),
            dead: dead
                .into_iter()
                .map(|(name, count)| (help(&name), name, count))
                .map(|(help, name, count)| (name, help, count))
                .collect(),
        }
    }
}
