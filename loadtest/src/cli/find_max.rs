//! `loadtest find-max`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use tributary_connectors::{inputs, terminal};
use tributary_loadtest::find_max::{Probe, Search, judge};
use tributary_loadtest::markers::Route;
use tributary_loadtest::measure::prometheus;
use tributary_loadtest::measure::system::{SystemOptions, Worker};
use tributary_loadtest::replay::{
    Clock, Loop, Pace, Passes, Progress, RateCurve, ReplayOptions, replay, span,
};
use tributary_loadtest::report::Threshold;
use tributary_loadtest::run::{RunOptions, run};

use super::connection::{broker_of, clients, connected, length, token};
use super::interrupt;
use super::outcome::Outcome;

/// Find the highest rate that a worker keeps under a service level.
///
/// Doubles the rate until it does not hold, and searches between. A rate holds if it was sent in time,
/// if every --slo holds, if the cell of every marker came, and if the backlog did not grow while it was
/// sent. A rate that fails is tried once more; between probes the worker catches up. The trace is played
/// again as often as it takes, each time with records of its own and so that it ends now; use one of a
/// single day (loadtest generate --days 1), because older pings are rejected.
///
///   tributary run --config t.toml &
///   loadtest find-max --config t.toml --metrics 127.0.0.1:9464 --slo 'p99<250ms' t.ndjson.zst
///
/// A bare percentile is that from a marker to its cell on NATS; `loadtest report --help` lists the
/// figures. The exit status is 1 if no rate holds.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct FindMax {
    /// Traces, as for replay
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<String>,
    /// The configuration of the worker
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The address of the worker, whose backlog is watched
    #[arg(long, value_name = "HOST:PORT")]
    metrics: String,
    /// A file with the token for --metrics, of the role `operate`
    #[arg(long, value_name = "FILE")]
    metrics_token_file: Option<PathBuf>,
    /// What a rate has to keep, such as 'p99<250ms'. May be repeated
    #[arg(long, required = true, value_name = "LEVEL")]
    slo: Vec<Threshold>,
    /// The rate to begin with, events per second
    #[arg(long, default_value_t = 1_000.0)]
    first: f64,
    /// The length of a probe
    #[arg(long, default_value = "30s", value_parser = length)]
    probe: Duration,
    /// How long a rate is sent before its probe, so that caches and ticks are those of the rate
    #[arg(long, default_value = "5s", value_parser = length)]
    warm_up: Duration,
    /// The precision of the result, percent
    #[arg(long, default_value_t = 10.0)]
    precision: f64,
    /// Markers per second
    #[arg(long, default_value_t = 20.0)]
    markers: f64,
    /// The brand of the markers [default: the first]
    #[arg(long)]
    brand: Option<String>,
    /// The maximum number of events per message
    #[arg(long, default_value_t = 1)]
    pack: usize,
    /// The number of connections to the broker
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    clients: u32,
    /// Print the probes as JSON, one a line, and the result
    #[arg(long)]
    json: bool,
}

/// How long a worker may take to catch up between probes.
const PATIENCE: Duration = Duration::from_secs(600);

impl FindMax {
    /// Searches, and prints each probe and the highest rate.
    ///
    /// # Errors
    ///
    /// Invalid options, an input that cannot be read, an error of the broker, and a worker that does not
    /// answer or does not catch up.
    pub fn run(self) -> anyhow::Result<Outcome> {
        let rates = 1.0..=1e8;
        if !rates.contains(&self.first) || !(1.0..=100.0).contains(&self.precision) {
            bail!(
                "--first must be from 1 to 100000000 events per second, and --precision from 1 to 100 percent"
            );
        }
        if !(self.markers > 0.0 && self.markers <= 10_000.0) {
            bail!("--markers is a number a second, above 0 and at most 10000");
        }
        let config = super::configuration::of_broker(&self.config)?;
        let route = Route::of(&config, self.brand.as_deref())?;
        let token = self.metrics_token_file.as_deref().map(token).transpose()?;
        let Some(span) = span(inputs::open(Some(&config), &self.traces)?)? else {
            bail!("the inputs have no message");
        };
        let open = || inputs::open(Some(&config), &self.traces);
        let by_ms = jiff::Timestamp::now().as_millisecond() - span.last;
        let mut passes = Passes::new(open, by_ms, Some(Loop::Present(span)))?;
        let brands: Vec<&str> = config
            .brands
            .iter()
            .map(|brand| brand.name.as_str())
            .collect();
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            let stop = interrupt::watch();
            let clients = clients(&config.nats, &brands, self.clients).await?;
            let mut search = Search::new(self.first, self.precision / 100.0);
            while let Some(rate) = search.next() {
                self.catch_up(token.as_deref()).await?;
                let options = |length: Duration| ReplayOptions {
                    pace: Pace::Rate(RateCurve::constant(rate)),
                    pack: self.pack,
                    clock: Clock::Stream,
                    window: Some(4096),
                    duration: Some(length),
                    stop: Some(stop.clone()),
                    progress: Progress::new(),
                };
                replay(&clients, passes.by_ref(), options(self.warm_up), |_| {}).await?;
                let run_options = RunOptions {
                    title: format!("{rate:.0} events/s"),
                    config: Some(self.config.clone()),
                    markers: Some((route.clone(), self.markers)),
                    system: SystemOptions {
                        metrics: Some(self.metrics.clone()),
                        token: token.clone(),
                        broker: broker_of(&config.nats),
                    },
                };
                let beside = Some(connected(&config.nats).await?);
                let (report, failed) = run(
                    &clients,
                    beside,
                    passes.by_ref(),
                    options(self.probe),
                    run_options,
                    |_| {},
                )
                .await;
                if let Some(error) = failed {
                    return Err(error.into());
                }
                if report.interrupted {
                    bail!("the search was ended by a signal");
                }
                let probe = judge(rate, &report, &self.slo);
                self.print(
                    &probe,
                    report.markers.map(|of| of.to_cell.percentiles.line()),
                )?;
                search.note(probe.failures.is_empty());
            }
            let found = search.found();
            match (self.json, found) {
                (true, found) => terminal::print_line(serde_json::json!({"highest_rate": found}))?,
                (false, Some(rate)) => terminal::print_line(format_args!(
                    "highest rate that holds: {rate:.0} events/s"
                ))?,
                (false, None) => terminal::print_line("no rate holds")?,
            }
            Ok(match found {
                Some(_) => Outcome::Success,
                None => Outcome::Difference,
            })
        })
    }

    /// Prints a probe.
    fn print(&self, probe: &Probe, times: Option<String>) -> anyhow::Result<()> {
        match self.json {
            true => terminal::print_line(serde_json::to_string(probe)?)?,
            false => {
                let verdict = match probe.failures.is_empty() {
                    true => "holds".to_owned(),
                    false => format!("does not hold: {}", probe.failures.join("; ")),
                };
                terminal::print_line(format_args!("{:>9.0} events/s  {verdict}", probe.rate))?;
                if let Some(times) = times {
                    terminal::print_line(format_args!("                    to the cell {times}"))?;
                }
            }
        }
        Ok(())
    }

    /// Waits until the worker has read everything, and the broker has stored its cells.
    async fn catch_up(&self, token: Option<&str>) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let text = prometheus::get(&self.metrics, "/metrics", token).await;
            let worker = text.map(|text| Worker::read(&text));
            match worker {
                Ok(Some(worker))
                    if worker.pending == 0.0
                        && worker.lag_seconds < 0.5
                        && worker.cells_unacknowledged < 100.0 =>
                {
                    return Ok(());
                }
                Ok(None) => bail!(
                    "{}/metrics is not that of a worker with a token of the role `operate`",
                    self.metrics
                ),
                Err(error) if begun.elapsed() > Duration::from_secs(10) => {
                    bail!("the worker does not answer at {}: {error}", self.metrics)
                }
                _ if begun.elapsed() > PATIENCE => bail!(
                    "the worker does not catch up within {} s",
                    PATIENCE.as_secs()
                ),
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}
