//! `loadtest replay`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use tributary_config::model::{Config, Format};
use tributary_config::nats_at;
use tributary_connectors::inputs::{self, Inputs, InputsError};
use tributary_connectors::terminal;
use tributary_loadtest::markers::Route;
use tributary_loadtest::measure::system::SystemOptions;
use tributary_loadtest::replay::{
    Clock, HttpOptions, Loop, Pace, Passes, Progress, RateCurve, ReplayOptions, replay_http, span,
};
use tributary_loadtest::run::{RunOptions, run};

use super::bar::{self, Unit};
use super::connection::{broker_of, clients, connected, length, token};
use super::interrupt;
use super::outcome::{Outcome, outcome};

/// Replay traces into NATS, and measure how long messages take to be acknowledged.
///
/// Every message carries the trace's arrival time in the header Tributary-At, so that a worker
/// whose sources set `arrival_header = true` computes exactly the cells that `tributary replay`
/// writes. The input stream is created if it is missing.
///
///   loadtest replay --url nats://localhost:4222 t.ndjson.zst
///   loadtest replay --config t.toml --speed-up 1 --shift-to now t.ndjson.zst
///   loadtest replay --config t.toml --rate 20000 --duration 5m --clients 4 t.ndjson.zst
///   loadtest replay --config t.toml --pack 100 --at last t.ndjson.zst
///   loadtest replay --config t.toml --rate 5000 --markers 20 --report run.json t.ndjson.zst
///   loadtest replay --http http://127.0.0.1:9465 --connections 16 t.ndjson.zst
///
/// With --rate or --speed-up every message has a time, and is sent then, whether those before it are
/// acknowledged or not; latency counts from that time, not from the sending. How late messages were
/// sent is measured of its own: if more than 1 % of them are more than 100 ms late, the rate was
/// missed, the figures are not those of the rate, and the exit status is 3.
///
/// Rates are events per second, and may change:
///
///   --rate 2000               the same all the time
///   --rate 0..5000/1m         a ramp: from 0 to 5000 within a minute, then 5000
///   --rate 500^5000@30s/10s   a spike: 500, after 30 s 5000 for 10 s, then 500 again
///
/// For throughput with the exact clock, generate packed lines: loadtest generate --pack 100.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Replay {
    /// Traces, or CSV files of the configuration's sources as SOURCE=PATH or BRAND/SOURCE=PATH
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<String>,
    /// A configuration, for its `[nats]` section
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The broker's address, as an alternative to a configuration
    #[arg(
        long,
        conflicts_with = "config",
        default_value = "nats://127.0.0.1:4222"
    )]
    url: String,
    /// Send through an HTTP ingest server instead, such as http://127.0.0.1:9465, one request per message
    #[arg(long, value_name = "URL", conflicts_with_all = ["core", "window", "clients"])]
    http: Option<String>,
    /// The number of HTTP connections; only one keeps the order of all messages
    #[arg(long, default_value_t = 1, requires = "http", value_parser = clap::value_parser!(u32).range(1..=256))]
    connections: u32,
    /// A file with the token of the source, for --http
    #[arg(long, value_name = "FILE", requires = "http")]
    token_file: Option<PathBuf>,
    /// Events per second, a ramp or a spike, as above [default: as fast as possible]
    #[arg(long, conflicts_with = "speed_up")]
    rate: Option<RateCurve>,
    /// Speed relative to the trace's own clock; 1 is the recorded clock
    #[arg(long)]
    speed_up: Option<f64>,
    /// Replay for this long, such as 90s or 1h, from the beginning again as often as it takes; every
    /// pass has records of its own, of the same people, and follows the one before it in time, or with
    /// --shift-to now ends now as well: then use a trace of one day, because older pings are rejected
    #[arg(long, value_parser = length)]
    duration: Option<Duration>,
    /// Move the trace in time, arrivals and the times in native records, so that it ends now, or, with
    /// --speed-up, when the replay ends
    #[arg(long, value_enum)]
    shift_to: Option<ShiftTo>,
    /// The number of connections to the broker; only one keeps the order of all messages
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    clients: u32,
    /// The maximum number of events per message
    #[arg(long, default_value_t = 1)]
    pack: usize,
    /// The arrival time to use
    #[arg(long, value_enum, default_value_t = At::Exact)]
    at: At,
    /// Publish without acknowledgments: faster, but the broker silently drops messages it cannot
    /// store in time, and no latency is measured
    #[arg(long)]
    core: bool,
    /// The maximum number of unacknowledged messages of a client. While as many are in flight, sending
    /// waits, and what is sent late counts as late
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    window: u32,
    /// Send markers beside the load, so many a second: clicks of campaigns of their own, whose cells on NATS
    /// are waited for. They become released cells, so use a broker and a worker for load tests only
    #[arg(
        long,
        value_name = "RATE",
        requires = "config",
        conflicts_with = "http"
    )]
    markers: Option<f64>,
    /// The brand of the markers [default: the first]
    #[arg(long, requires = "markers")]
    brand: Option<String>,
    /// The address of the worker, such as 127.0.0.1:9464, whose /metrics is read every second, and for
    /// markers ten times a second
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "http")]
    metrics: Option<String>,
    /// A file with the token for --metrics, of the role `operate`
    #[arg(long, value_name = "FILE", requires = "metrics")]
    metrics_token_file: Option<PathBuf>,
    /// Write a report for `loadtest report`; a report may be overwritten, any other file only with --force
    #[arg(long, value_name = "FILE", conflicts_with = "http")]
    report: Option<PathBuf>,
    /// The name of the run in the report
    #[arg(long, default_value = "replay", requires = "report")]
    title: String,
    /// Overwrite a file of --report that is no report
    #[arg(long)]
    force: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// The time that a trace is moved to.
#[derive(Clone, Copy, ValueEnum)]
enum ShiftTo {
    /// The present
    Now,
}

#[derive(Clone, Copy, ValueEnum)]
enum At {
    /// The trace's; a message holds only events that arrived together
    Exact,
    /// The trace's; a message arrives with the last of its events
    Last,
    /// The broker's own; pings of past days are then too late
    Stream,
}

impl Replay {
    /// Replays the traces, and prints a summary.
    ///
    /// # Errors
    ///
    /// Invalid options, an input that cannot be read, or an error of the broker.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let pace = match (&self.rate, self.speed_up) {
            (None, None) => Pace::Free,
            (Some(curve), _) => Pace::Rate(curve.clone()),
            (None, Some(factor)) if factor.is_finite() && factor > 0.0 => Pace::SpeedUp(factor),
            _ => bail!("a speed-up must be above 0"),
        };
        let config = match &self.config {
            Some(path) => Some(super::configuration::of_broker(path)?),
            None => None,
        };
        let inputs = inputs::open(config.as_ref(), &self.traces)?;
        let progress = inputs.progress();
        let total = progress.total();
        let mut first = Some(inputs);
        let (by_ms, looped) = self.passes(config.as_ref())?;
        let open = || match first.take() {
            Some(inputs) => Ok(inputs),
            None => inputs::open(config.as_ref(), &self.traces),
        };
        let mut passes = Passes::new(open, by_ms, looped)?;
        let bar = bar::towards(total, Unit::Bytes);
        if self.http.is_some() {
            let seen = |requests: u64| {
                if requests.is_multiple_of(256) {
                    bar.set_position(progress.read());
                    bar.set_message(format!("{requests} requests"));
                }
            };
            let outcome = self.run_http(&mut passes, pace, seen);
            bar.finish_and_clear();
            return outcome;
        }
        let nats = config
            .as_ref()
            .map_or_else(|| nats_at(&self.url), |config| config.nats.clone());
        let brands: Vec<&str> = config
            .iter()
            .flat_map(|config| config.brands.iter().map(|brand| brand.name.as_str()))
            .collect();
        let markers = match (&config, self.markers) {
            (Some(config), Some(rate)) => Some((self.route(config)?, rate)),
            _ => None,
        };
        let output = match &self.report {
            Some(path) => {
                let mut read = inputs::files(config.as_ref(), &self.traces)?;
                read.extend(self.config.clone());
                Some(super::report::output(path, read, self.force)?)
            }
            None => None,
        };
        let mut calls = 0_u64;
        let seen = |sent: &Progress| {
            calls += 1;
            if calls.is_multiple_of(256) {
                bar.set_position(progress.read());
                bar.set_message(format!("{} events", sent.events()));
            }
        };
        let token = self.metrics_token_file.as_deref().map(token).transpose()?;
        let runtime = tokio::runtime::Runtime::new()?;
        let (mut report, failed) = runtime.block_on(async {
            let clients = clients(&nats, &brands, self.clients).await?;
            let beside = match &markers {
                Some(_) => Some(connected(&nats).await?),
                None => None,
            };
            let replay_options = ReplayOptions {
                pace,
                pack: self.pack,
                clock: self.clock(),
                window: (!self.core).then_some(self.window as usize),
                duration: self.duration,
                stop: Some(interrupt::watch()),
                progress: Progress::new(),
            };
            let options = RunOptions {
                title: self.title.clone(),
                config: self.config.clone(),
                markers,
                system: SystemOptions {
                    metrics: self.metrics.clone(),
                    token,
                    broker: broker_of(&nats),
                },
            };
            anyhow::Ok(run(&clients, beside, &mut passes, replay_options, options, seen).await)
        })?;
        report.load.skipped = passes.skipped();
        bar.finish_and_clear();
        if let Some(file) = &output {
            super::report::write(file, &report)?;
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        let summary = &report.load;
        match self.json {
            true => terminal::print_line(serde_json::to_string(summary)?)?,
            false => {
                terminal::print_line(format_args!(
                    "{} events in {} messages, {} bytes, {:.2} s, {:.0} events/s, {} lines skipped",
                    summary.events,
                    summary.messages,
                    summary.bytes,
                    summary.seconds,
                    summary.events_per_second,
                    summary.skipped
                ))?;
                let cell = report.markers.as_ref().map(|of| of.to_cell.percentiles);
                let metrics = report
                    .markers
                    .as_ref()
                    .and_then(|of| Some(of.to_metrics.as_ref()?.percentiles));
                for (name, times) in [
                    ("latency ", Some(summary.latency)),
                    ("lateness", Some(summary.lateness)),
                    ("cell    ", cell),
                    ("metrics ", metrics),
                ] {
                    if let Some(times) = times.filter(|times| times.count > 0) {
                        terminal::print_line(format_args!("{name}  {}", times.line()))?;
                    }
                }
            }
        }
        Ok(outcome(&report.invalid))
    }

    /// Where markers go.
    fn route(&self, config: &Config) -> anyhow::Result<Route> {
        if !self
            .markers
            .is_some_and(|rate| rate > 0.0 && rate <= 10_000.0)
        {
            bail!("--markers is a number a second, above 0 and at most 10000");
        }
        if config.release.cadence_ms > 0 {
            terminal::note(format_args!(
                "note: cells are released every {} ms (`release.cadence`), which is part of what markers measure",
                config.release.cadence_ms
            ));
        }
        Ok(Route::of(config, self.brand.as_deref())?)
    }

    /// How far the first pass is moved, milliseconds, and the span of the inputs if they are played in
    /// a loop. Reads the inputs once if it has to.
    fn passes(&self, config: Option<&Config>) -> anyhow::Result<(i64, Option<Loop>)> {
        if self.duration.is_none() && self.shift_to.is_none() {
            return Ok((0, None));
        }
        let sources = config
            .iter()
            .flat_map(|config| &config.brands)
            .flat_map(|brand| &brand.sources);
        if sources
            .into_iter()
            .any(|source| !matches!(source.format, Format::Native))
        {
            terminal::note(
                "warning: times and identifiers in messages of vendors' formats stay as they are; only arrivals move",
            );
        }
        let Some(span) = span(inputs::open(config, &self.traces)?)? else {
            bail!("the inputs have no message");
        };
        let by_ms = match self.shift_to {
            None => 0,
            Some(ShiftTo::Now) => {
                let takes = match self.speed_up {
                    Some(factor) => (span.length() as f64 / factor) as i64,
                    None => 0,
                };
                jiff::Timestamp::now().as_millisecond() + takes - span.last
            }
        };
        let looped = self.duration.map(|_| match self.shift_to {
            None => Loop::Advance(span),
            Some(ShiftTo::Now) => Loop::Present(span),
        });
        Ok((by_ms, looped))
    }

    /// The time of arrival that messages have.
    fn clock(&self) -> Clock {
        match self.at {
            At::Exact => Clock::Exact,
            At::Last => Clock::Last,
            At::Stream => Clock::Stream,
        }
    }

    /// Replays the traces over HTTP, and prints a summary.
    ///
    /// # Errors
    ///
    /// An address that is no `http://host:port`, an input or a token that cannot be read, and a
    /// server that refuses requests.
    fn run_http<F: FnMut() -> Result<Inputs, InputsError>>(
        &self,
        passes: &mut Passes<F>,
        pace: Pace,
        seen: impl FnMut(u64),
    ) -> anyhow::Result<Outcome> {
        let url = self.http.as_deref().unwrap_or_default();
        let address = url
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/'));
        let Some(address) = address.filter(|address| !address.contains('/')) else {
            bail!("{url} is not an address such as http://127.0.0.1:9465; use a proxy for TLS");
        };
        let token = match &self.token_file {
            Some(file) => Some(token(file)?),
            None => None,
        };
        let runtime = tokio::runtime::Runtime::new()?;
        let mut summary = runtime.block_on(async {
            let options = HttpOptions {
                address: address.to_owned(),
                token,
                connections: self.connections as usize,
                pace,
                pack: self.pack,
                clock: self.clock(),
                duration: self.duration,
                stop: Some(interrupt::watch()),
                progress: Progress::new(),
            };
            replay_http(&mut *passes, options, seen).await
        })?;
        summary.skipped = passes.skipped();
        match self.json {
            true => terminal::print_line(serde_json::to_string(&summary)?)?,
            false => {
                terminal::print_line(format_args!(
                    "{} events in {} requests, {} refused, {} retries, {} bytes, {:.2} s, {:.0} events/s, {} lines skipped",
                    summary.events,
                    summary.requests,
                    summary.refused,
                    summary.retries,
                    summary.bytes,
                    summary.seconds,
                    summary.events_per_second,
                    summary.skipped
                ))?;
                terminal::print_line(format_args!("latency   {}", summary.latency.line()))?;
                if summary.lateness.count > 0 {
                    terminal::print_line(format_args!("lateness  {}", summary.lateness.line()))?;
                }
            }
        }
        Ok(outcome(summary.missed.as_slice()))
    }
}
