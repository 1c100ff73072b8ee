//! The log, on standard error. Its lines contain subjects, reasons and counts,
//! never the content of a record.
//!
//! Libraries do not follow that rule: below `info`, the NATS client logs the
//! bytes that it sends and receives. Their lines are therefore limited to
//! `info` and above, whatever `TRIBUTARY_LOG` requests.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, reload};
use tributary_config::model::LogLevel;

use crate::cli::args::LogFormat;
use crate::otlp::lines;

/// The variable that filters the log.
const VARIABLE: &str = "TRIBUTARY_LOG";

/// The filter of the log.
type Lines = Box<dyn Filter<Registry> + Send + Sync>;

/// Replaces the filter of the log once it has started.
static FILTER: OnceLock<reload::Handle<Lines, Registry>> = OnceLock::new();

/// Starts the log. `TRIBUTARY_LOG` filters it; `level` is the default. Whether its
/// lines are exported is a matter of the configuration, if they `may_leave`.
pub fn start(format: LogFormat, level: &str, may_leave: bool) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| of_level(level));
    let shown = tracing_subscriber::fmt::layer::<Registry>()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let shown = match format {
        LogFormat::Text => shown.with_target(false).boxed(),
        LogFormat::Json => shown.json().boxed(),
    };
    let (filter, handle) = reload::Layer::new(Box::new(capped(filter)) as Lines);
    let _ = FILTER.set(handle);
    tracing_subscriber::registry()
        .with(
            shown
                .and_then(may_leave.then(lines::layer))
                .with_filter(filter),
        )
        .init();
}

/// Sets the level of the log, unless `TRIBUTARY_LOG` filters it.
pub fn set_level(level: LogLevel) {
    if EnvFilter::try_from_env(VARIABLE).is_ok() {
        return;
    }
    let Some(filter) = FILTER.get() else {
        return;
    };
    // It fails only when the log has ended.
    let _ = filter.reload(Box::new(capped(of_level(level.name()))) as Lines);
}

/// The filter of a level.
fn of_level(level: &str) -> EnvFilter {
    // The client of NATS says at `info` what the worker says itself.
    let client = if level == "error" { "error" } else { "warn" };
    EnvFilter::new(format!("{level},async_nats={client}"))
}

/// A filter that excludes lines of libraries below `info`.
pub fn capped(filter: EnvFilter) -> impl Filter<Registry> + Send + Sync + 'static {
    filter.and(filter_fn(may_be_logged))
}

/// Whether a line may be logged: it is one of this program, or at least `info`.
fn may_be_logged(line: &Metadata<'_>) -> bool {
    let own = line.target().split("::").next();
    *line.level() <= Level::INFO
        || own.is_some_and(|own| own == "tributary" || own.starts_with("tributary_"))
}
