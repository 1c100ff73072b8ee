//! A measured run: a replay, markers beside it, and the system under test, in one report.
//!
//! A run that a signal ends, or whose broker fails, has a whole report of what was measured until then.

use std::path::PathBuf;
use std::time::Duration;

use tributary_connectors::inputs::InputsError;
use tributary_connectors::nats::Client;
use tributary_connectors::trace::TraceLine;

use crate::markers::{MarkerOptions, Markers, Route};
use crate::measure::system::{System, SystemOptions};
use crate::replay::{Progress, ReplayError, ReplayOptions, replay};
use crate::report::Report;

/// How long the cells of the last markers are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a run measures beside its replay.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The name of the run.
    pub title: String,
    /// The configuration file, for its digest.
    pub config: Option<PathBuf>,
    /// Where markers go, and how many a second, if there are any.
    pub markers: Option<(Route, f64)>,
    /// What is looked at every second.
    pub system: SystemOptions,
}

/// Replays messages over `clients`, and measures. Markers go over the connection `beside`.
///
/// The error of a replay that failed comes with the report of what was measured before.
pub async fn run(
    clients: &[Client],
    beside: Option<Client>,
    lines: impl Iterator<Item = Result<TraceLine, InputsError>>,
    replay_options: ReplayOptions,
    options: RunOptions,
    seen: impl FnMut(&Progress),
) -> (Report, Option<ReplayError>) {
    let mut report = Report::begin(&options.title, options.config.as_deref());
    let progress = replay_options.progress.clone();
    let stop = replay_options.stop.clone();
    let system = System::start(options.system.clone(), progress.begin());
    let markers = match (options.markers, beside) {
        (Some((route, rate)), Some(client)) => {
            let options = MarkerOptions {
                route,
                rate,
                load: progress.clone(),
                clock: replay_options.clock,
                metrics: options.system.metrics.clone(),
                token: options.system.token.clone(),
            };
            match Markers::start(client, options).await {
                Ok(markers) => Some(markers),
                Err(error) => return (report, Some(error)),
            }
        }
        _ => None,
    };
    let mut failed = None;
    let summary = match replay(clients, lines, replay_options, seen).await {
        Ok(summary) => summary,
        Err(error) => {
            failed = Some(error);
            progress.summary()
        }
    };
    report.set_load(&progress, summary);
    report.interrupted = stop.is_some_and(|stop| *stop.borrow());
    if let Some(markers) = markers {
        let patience = match report.interrupted || failed.is_some() {
            true => Duration::from_secs(1),
            false => PATIENCE,
        };
        match markers.finish(patience).await {
            Ok(figures) => {
                if figures.unseen > 0 {
                    let why = format!(
                        "the cells of {} of {} markers did not come",
                        figures.unseen, figures.sent
                    );
                    report.invalid.push(why);
                }
                report.markers = Some(figures);
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    if let Some(error) = &failed {
        report.invalid.push(error.to_string());
    }
    report.system = system.finish();
    (report, failed)
}
