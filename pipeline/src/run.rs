//! `tributary run`: a worker process. NATS in, NATS and Prometheus out, until a signal.
//!
//! The process starts from the beginning of the input stream and computes; that the stream has ended for
//! now ("caught up") is when the first cells leave. From then on changed cells leave at the cadence.
//!
//! On SIGTERM or SIGINT it stops reading, finishes what it has, lets the last changes leave, waits until the
//! broker has them, and exits 0. A second signal exits at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::{mpsc, watch};
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Input, Outgoing};

use crate::asks::Asks;
use crate::cli;
use crate::feed::Feed;
use crate::http::{self, State};
use crate::outgoing::{Out, publish};
use crate::signals;
use crate::tally::Tally;
use crate::workers::{Report, Workers};

/// How long the last epochs may take after a signal.
const DRAIN: Duration = Duration::from_secs(60);

/// The command.
pub fn command(args: &cli::Run) -> anyhow::Result<()> {
    let config = configure(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(run(config))
}

fn configure(args: &cli::Run) -> anyhow::Result<Config> {
    let mut config = crate::load(&args.config)?;
    if let Some(threads) = args.workers {
        config.workers.threads = threads.max(1);
    }
    if let Some(file) = &args.hostfile {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the host file {}", file.display()))?;
        let hosts = text
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty() && !l.starts_with('#'));
        config.workers.hosts = hosts.map(str::to_owned).collect();
    }
    if let Some(process) = args.process {
        config.workers.process = process;
    }
    let hosts = config.workers.hosts.len().max(1);
    if config.workers.process >= hosts {
        bail!(
            "this is process {} of {hosts}: processes count from 0",
            config.workers.process
        );
    }
    if let Some(listen) = args.listen {
        config.http.listen = listen;
    }
    Ok(config)
}

async fn run(config: Config) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let listener = tokio::net::TcpListener::bind(config.http.listen)
        .await
        .with_context(|| format!("cannot listen on {} (http.listen)", config.http.listen))?;
    let state = Arc::new(State::new(&config));
    tracing::info!(address = %listener.local_addr()?, "serving /metrics, /livez, /readyz and /config");
    let (served, end_serving) = watch::channel(false);
    let server = tokio::spawn(http::serve(listener, state.clone(), wait_for(end_serving)));

    let client = nats::connect(&config.nats, "tributary").await?;
    state.metrics.connected(true);
    state.health.set_connected(true);
    let brands: Vec<&str> = config
        .brands
        .iter()
        .map(|brand| brand.name.as_str())
        .collect();
    nats::ensure_input_stream(&client, &config.nats, &brands).await?;
    nats::ensure_output_stream(&client, &config.nats, &brands).await?;
    nats::ensure_dead_letter_stream(&client, &config.nats).await?;
    let input = Input::open(&client, &config.nats.input_stream, 1).await?;

    let tally = Arc::new(Tally::default());
    let asks = Asks::default();
    let (out, outgoing) = mpsc::unbounded_channel();
    let publisher = tokio::spawn(publish(client.clone(), outgoing, state.clone()));
    let workers = {
        let listener = hear(
            tally.clone(),
            asks.clone(),
            state.clone(),
            out,
            client.max_payload(),
        );
        let config = config.clone();
        let settings = Arc::new(tributary_connectors::settings::settings(&config));
        // With several hosts this waits for all of them.
        tokio::task::spawn_blocking(move || Workers::start(&config, settings, listener)).await??
    };
    let services = tokio::spawn(crate::services::serve(
        client.clone(),
        config.clone(),
        asks.clone(),
        wait_for(served.subscribe()),
    ));
    let gauges = tokio::spawn(gauge(config.clone(), state.clone(), tally.clone()));

    let fed = Feed::new(&config, &state, &asks, &tally)
        .run(input, workers, stop)
        .await;
    asks.close();
    let drained = match fed {
        Ok(workers) => drain(workers).await,
        Err(error) => Err(error),
    };
    gauges.abort();
    // The workers and their listener are gone, so that the channel ends.
    let published = tokio::time::timeout(DRAIN, publisher).await;
    let _ = served.send(true);
    let _ = services.await;
    server.await??;
    drained?;
    match published {
        Ok(outcome) => outcome??,
        Err(_) => bail!("the broker did not take the last cells within {DRAIN:?}"),
    }
    tracing::info!("stopped");
    Ok(())
}

async fn wait_for(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|set| *set).await;
}

/// Ends the input and waits until everything is through.
async fn drain(workers: Workers) -> anyhow::Result<()> {
    let finish = tokio::task::spawn_blocking(move || workers.finish());
    match tokio::time::timeout(DRAIN, finish).await {
        Ok(finished) => finished?,
        Err(_) => bail!(
            "the dataflow did not finish within {DRAIN:?}; with several hosts all of them stop together"
        ),
    }
}

/// Takes the workers' reports to where they belong.
fn hear(
    tally: Arc<Tally>,
    asks: Asks,
    state: Arc<State>,
    out: mpsc::UnboundedSender<Out>,
    max_payload: usize,
) -> crate::workers::Listener {
    // A closed channel means that the process is stopping; nothing is lost, since all is recomputed.
    Arc::new(move |report| match report {
        Report::Cells(epoch, cells) => {
            let now = jiff::Timestamp::now().as_millisecond();
            let mut board = state.board();
            for (cell, news) in cells {
                board.apply(&cell);
                if !news {
                    continue;
                }
                let closed = cell.values.is_empty();
                let _ = out.send(Out::Cell(Outgoing::cell(&cell, epoch, now), closed));
            }
        }
        Report::Dead(letters) => {
            tally.dead(&letters);
            for letter in letters {
                let _ = out.send(Out::Dead(Outgoing::dead_letter(letter, max_payload)));
            }
        }
        Report::Answer(answer) => asks.answer(answer),
        Report::Finished {
            thread,
            before,
            counts,
        } => {
            tally.finished(thread, before, counts);
            if thread == 0 {
                asks.finished(before);
            }
            state.health.progress();
        }
    })
}

/// Keeps the gauges up with what was counted and released.
async fn gauge(config: Config, state: Arc<State>, tally: Arc<Tally>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut computed = None;
    loop {
        every.tick().await;
        state.metrics.sync(&tally.counts(), &tally.dead_letters());
        let now = jiff::Timestamp::now();
        state.metrics.ready(state.health.not_ready().is_empty());
        // The workers write to the board: a copy is read, where anything or the day can have changed.
        let due = computed.is_none_or(|(stamp, at): (u64, Instant)| {
            stamp != state.board().stamp() || at.elapsed() > Duration::from_secs(60)
        });
        if !due {
            continue;
        }
        let board = state.board().clone();
        computed = Some((board.stamp(), Instant::now()));
        state.metrics.board(&board, |brand| {
            let zone = config
                .brands
                .iter()
                .find(|b| b.name == brand)
                .map(|b| b.timezone.clone());
            crate::clock::day(now, &zone.unwrap_or(jiff::tz::TimeZone::UTC))
        });
    }
}
