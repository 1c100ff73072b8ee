//! `loadtest replay`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use tributary_config::model::Nats;
use tributary_config::nats_at;
use tributary_connectors::inputs::{self, Inputs};
use tributary_connectors::nats::{Client, NatsError, NatsErrorKind, connect, ensure_input_stream};
use tributary_connectors::terminal;
use tributary_loadtest::replay::{
    Clock, HttpOptions, Pace, ReplayOptions, Summary, replay, replay_http,
};

use super::bar::{self, Unit};

/// Replay traces into NATS.
///
/// Every message carries the trace's arrival time in the header Tributary-At, so that a worker
/// whose sources set `arrival_header = true` computes exactly the cells that `tributary replay`
/// writes. The input stream is created if it is missing.
///
///   loadtest replay --url nats://localhost:4222 t.ndjson.zst
///   loadtest replay --config t.toml --rate 20000 t.ndjson.zst
///   loadtest replay --config t.toml --pack 100 --at last t.ndjson.zst
///   loadtest replay --http http://127.0.0.1:9465 --connections 16 t.ndjson.zst
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
    #[arg(long, value_name = "URL", conflicts_with_all = ["core", "window"])]
    http: Option<String>,
    /// The number of HTTP connections; only one keeps the order of all messages
    #[arg(long, default_value_t = 1, requires = "http", value_parser = clap::value_parser!(u32).range(1..=256))]
    connections: u32,
    /// A file with the token of the source, for --http
    #[arg(long, value_name = "FILE", requires = "http")]
    token_file: Option<PathBuf>,
    /// Events per second [default: as fast as possible]
    #[arg(long, conflicts_with = "speed_up")]
    rate: Option<f64>,
    /// Speed relative to the trace's own clock
    #[arg(long)]
    speed_up: Option<f64>,
    /// The maximum number of events per message
    #[arg(long, default_value_t = 1)]
    pack: usize,
    /// The arrival time to use
    #[arg(long, value_enum, default_value_t = At::Exact)]
    at: At,
    /// Publish without acknowledgements: faster, but the broker silently drops messages it cannot
    /// store in time
    #[arg(long)]
    core: bool,
    /// The maximum number of unacknowledged messages
    #[arg(long, default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    window: u32,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// How long to wait for a broker that has just been started.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to the broker, and retries for a moment if it is not available yet.
async fn connected(nats: &Nats) -> Result<Client, NatsError> {
    let begun = Instant::now();
    loop {
        match connect(nats, "loadtest").await {
            Err(error) if error.is_transient() && begun.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            connected => return connected,
        }
    }
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
    pub fn run(self) -> anyhow::Result<()> {
        let pace = match (self.rate, self.speed_up) {
            (None, None) => Pace::Free,
            (Some(rate), _) if rate > 0.0 => Pace::Rate(rate),
            (None, Some(factor)) if factor > 0.0 => Pace::SpeedUp(factor),
            _ => bail!("a rate or a speed-up must be above 0"),
        };
        let config = match &self.config {
            Some(path) => Some(super::configuration::configuration(path)?),
            None => None,
        };
        let mut inputs = inputs::open(config.as_ref(), &self.traces)?;
        if let Some(url) = &self.http {
            return self.run_http(url, inputs, pace);
        }
        let nats = config
            .as_ref()
            .map_or_else(|| nats_at(&self.url), |config| config.nats.clone());
        let brands: Vec<&str> = config
            .iter()
            .flat_map(|config| config.brands.iter().map(|brand| brand.name.as_str()))
            .collect();
        let options = ReplayOptions {
            pace,
            pack: self.pack,
            clock: self.clock(),
            window: (!self.core).then_some(self.window as usize),
        };
        let progress = inputs.progress();
        let bar = bar::towards(progress.total(), Unit::Bytes);
        let seen = |summary: &Summary| {
            if summary.messages.is_multiple_of(256) {
                bar.set_position(progress.read());
                bar.set_message(format!("{} events", summary.events));
            }
        };
        let runtime = tokio::runtime::Runtime::new()?;
        let mut summary = runtime.block_on(async {
            let client = connected(&nats).await?;
            match ensure_input_stream(&client, &nats, &brands).await {
                // Another stream may capture the subjects; if none does, the first acknowledgement
                // tells.
                Err(error) if error.kind() == NatsErrorKind::Stream => {
                    terminal::note(format_args!("warning: {error}"));
                }
                other => drop(other?),
            }
            let summary = replay(&client, &mut inputs, options, seen).await?;
            anyhow::Ok(summary)
        })?;
        summary.skipped = inputs.skipped();
        bar.finish_and_clear();
        match self.json {
            true => terminal::print_line(serde_json::to_string(&summary)?)?,
            false => terminal::print_line(format_args!(
                "{} events in {} messages, {} bytes, {:.2} s, {:.0} events/s, {} lines skipped",
                summary.events,
                summary.messages,
                summary.bytes,
                summary.seconds,
                summary.events_per_second,
                summary.skipped
            ))?,
        }
        Ok(())
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
    fn run_http(&self, url: &str, mut inputs: Inputs, pace: Pace) -> anyhow::Result<()> {
        let address = url
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/'));
        let Some(address) = address.filter(|address| !address.contains('/')) else {
            bail!("{url} is not an address such as http://127.0.0.1:9465; use a proxy for TLS");
        };
        let token = match &self.token_file {
            Some(file) => {
                let token = std::fs::read_to_string(file);
                let token = token.with_context(|| format!("cannot read {}", file.display()))?;
                Some(token.trim().to_owned())
            }
            None => None,
        };
        let options = HttpOptions {
            address: address.to_owned(),
            token,
            connections: self.connections as usize,
            pace,
            pack: self.pack,
            clock: self.clock(),
        };
        let progress = inputs.progress();
        let bar = bar::towards(progress.total(), Unit::Bytes);
        let seen = |requests: u64| {
            if requests.is_multiple_of(256) {
                bar.set_position(progress.read());
                bar.set_message(format!("{requests} requests"));
            }
        };
        let runtime = tokio::runtime::Runtime::new()?;
        let mut summary = runtime.block_on(replay_http(&mut inputs, options, seen))?;
        summary.skipped = inputs.skipped();
        bar.finish_and_clear();
        match self.json {
            true => terminal::print_line(serde_json::to_string(&summary)?)?,
            false => terminal::print_line(format_args!(
                "{} events in {} requests, {} refused, {} retries, {} bytes, {:.2} s, {:.0} events/s, p50 {:.1} ms, p99 {:.1} ms, {} lines skipped",
                summary.events,
                summary.requests,
                summary.refused,
                summary.retries,
                summary.bytes,
                summary.seconds,
                summary.events_per_second,
                summary.p50_ms,
                summary.p99_ms,
                summary.skipped
            ))?,
        }
        Ok(())
    }
}
