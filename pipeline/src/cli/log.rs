//! The log, on standard error. Its lines contain subjects, reasons and counts,
//! never the content of a record.
//!
//! Libraries do not follow that rule: below `info`, the NATS client logs the
//! bytes that it sends and receives. Their lines are therefore limited to
//! `info` and above, whatever `TRIBUTARY_LOG` requests.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::cli::args::LogFormat;

/// Starts the log. `TRIBUTARY_LOG` filters it; `level` is the default.
pub fn start(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_env("TRIBUTARY_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("{level},async_nats=warn")));
    let lines = tracing_subscriber::fmt::layer::<Registry>()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let lines = lines.with_filter(capped(filter));
    tracing_subscriber::registry().with(lines).init();
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
