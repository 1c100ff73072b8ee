//! `tributary run`: a worker process. NATS in, NATS and Prometheus out, until a signal.
//!
//! The process restores what its ledger holds and reads the input stream on from where the ledger stands. When the
//! stream has ended for now ("caught up"), the cells that differ from what stands outside leave; from then on changed
//! cells leave at the cadence.
//!
//! On SIGTERM or SIGINT it stops reading, finishes what it has, commits, lets the last changes leave, waits until the
//! broker has them, and exits 0. A second signal exits at once. Killed without a signal, it loses nothing either: the
//! next start goes on from the last commit (invariants I4 and I5).

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::{mpsc, watch};
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, Input, LossKind, Outgoing, Wanted};
use tributary_ledger::{Keyring, Ledger, Position, Recovered, StreamMark};

use crate::asks::Asks;
use crate::cli;
use crate::commits::{Commits, Durable, Word};
use crate::feed::Feed;
use crate::http::{self, State};
use crate::outgoing::{Out, publish};
use crate::restore::restore;
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
    runtime.block_on(run(config, args.accept_loss))
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

async fn run(config: Config, accept_loss: bool) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let listener = tokio::net::TcpListener::bind(config.http.listen)
        .await
        .with_context(|| format!("cannot listen on {} (http.listen)", config.http.listen))?;
    let state = Arc::new(State::new(&config));
    tracing::info!(address = %listener.local_addr()?, "serving the page, /metrics, /livez, /readyz and /config");
    let (served, end_serving) = watch::channel(false);
    let server = tokio::spawn(http::serve(listener, state.clone(), wait_for(end_serving)));

    let keyring = Arc::new(Keyring::new(&config));
    let (ledger, recovered) = open(&config, keyring.clone()).await?;
    let position = recovered.position;
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

    let tally = Arc::new(Tally::default());
    let asks = Asks::default();
    let (out, outgoing) = mpsc::unbounded_channel();
    let publisher = tokio::spawn(publish(client.clone(), outgoing, state.clone()));
    let (words, heard) = mpsc::unbounded_channel();
    let (told, durable) = watch::channel(Durable::default());
    let threads = config.workers.threads.max(1);
    let commits = Commits::new(ledger, &client, threads, state.clone(), told);
    let mut commits = tokio::spawn(commits.run(heard));
    let workers = {
        let (tally, asks, state) = (tally.clone(), asks.clone(), state.clone());
        let listener = hear(tally, asks, state, out, words.clone());
        let config = config.clone();
        let settings = Arc::new(tributary_connectors::settings::settings(&config));
        // With several hosts this waits for all of them.
        tokio::task::spawn_blocking(move || Workers::start(&config, settings, keyring, listener))
            .await??
    };
    let gauges = tokio::spawn(gauge(config.clone(), state.clone(), tally.clone()));
    let workers = restore(&client, &config, recovered, workers, &state, &tally).await?;
    let (input, stream) = open_input(&client, &config, position, accept_loss).await?;
    let services = tokio::spawn(crate::services::serve(
        client.clone(),
        config.clone(),
        asks.clone(),
        wait_for(served.subscribe()),
    ));

    let feed = Feed::new(
        &config,
        &state,
        &asks,
        &tally,
        words,
        durable.clone(),
        stream,
        position,
    );
    let fed = tokio::select! {
        fed = feed.run(input, workers, stop) => fed,
        // It ends by itself only when it cannot go on.
        ended = &mut commits => match ended? {
            Ok(()) => bail!("the ledger has stopped"),
            Err(error) => return Err(error),
        },
    };
    asks.close();
    let (workers, mut input) = fed?;
    drain(workers).await?;
    gauges.abort();
    // The workers and their listener are gone, so that both channels end.
    tokio::time::timeout(DRAIN, commits)
        .await
        .with_context(|| {
            format!("the ledger did not take the last records within {DRAIN:?}")
        })???;
    let sequence = durable.borrow().sequence;
    input.acknowledge(sequence).await;
    let published = tokio::time::timeout(DRAIN, publisher).await;
    let _ = served.send(true);
    let _ = services.await;
    server.await??;
    published
        .with_context(|| format!("the broker did not take the last cells within {DRAIN:?}"))???;
    client.flush().await.context("the last acknowledgement")?;
    tracing::info!("stopped");
    Ok(())
}

/// Opens this process's ledger.
async fn open(config: &Config, keyring: Arc<Keyring>) -> anyhow::Result<(Ledger, Recovered)> {
    let options = ledger_options(config);
    let directory = options.directory.clone();
    let (ledger, recovered) =
        tokio::task::spawn_blocking(move || Ledger::open(options, keyring)).await??;
    let stats = &recovered.stats;
    tracing::info!(directory = %directory.display(), entries = stats.entries.total(), bytes = stats.bytes, "opened the ledger");
    if recovered.cut_bytes > 0 {
        tracing::warn!(
            bytes = recovered.cut_bytes,
            "cut the end of the ledger, which was not committed; its messages are read again"
        );
    }
    Ok((ledger, recovered))
}

/// Where the ledger of a configuration's process lies.
pub fn ledger_options(config: &Config) -> tributary_ledger::Options {
    let process = config.workers.process;
    let directory = config.ledger.directory.join(format!("process-{process}"));
    tributary_ledger::Options {
        process,
        processes: config.workers.hosts.len().max(1),
        ..tributary_ledger::Options::new(directory)
    }
}

/// Opens the input behind a position, and says which stream it is.
async fn open_input(
    client: &Client,
    config: &Config,
    position: Option<Position>,
    accept_loss: bool,
) -> anyhow::Result<(Input, StreamMark)> {
    let before = position.and_then(|position| position.stream);
    let wanted = Wanted {
        stream: config.nats.input_stream.clone(),
        process: config.workers.process,
        processes: config.workers.hosts.len().max(1),
        partitions: config.nats.partitions,
        next: position.map_or(1, |position| position.sequence + 1),
        created: before.map(|stream| stream.created_ns),
        accept_loss,
    };
    let input = Input::open(client, wanted).await?;
    let mut generation = before.map_or(1, |stream| stream.generation);
    if let Some(loss) = input.accepted_loss() {
        tracing::error!(from = loss.from, to = loss.to, going_on_at = loss.resume, kind = ?loss.kind, "data was lost upstream, as accepted");
        // Sequences that were given before are given again: what comes now is later than all of them.
        if loss.kind != LossKind::Passed {
            generation = generation.saturating_add(1);
        }
    }
    let created_ns = input.created();
    Ok((
        input,
        StreamMark {
            created_ns,
            generation,
        },
    ))
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
    words: mpsc::UnboundedSender<Word>,
) -> crate::workers::Listener {
    // A closed channel means that the process is stopping; nothing is lost, since all that is not durable is read
    // again.
    Arc::new(move |report| match report {
        Report::Cells(epoch, cells) => {
            let now = jiff::Timestamp::now().as_millisecond();
            let mut board = state.board();
            for (cell, news) in cells {
                board.apply(&cell);
                if news {
                    let closed = cell.values.is_empty();
                    let message = Outgoing::cell(&cell, epoch, now);
                    let _ = out.send(Out { message, closed });
                }
            }
        }
        Report::Accepted { epoch, page, dead } => {
            tally.dead(&dead);
            let _ = words.send(Word::Part(epoch, page, dead));
        }
        Report::Forgotten(brand, before) => {
            let _ = words.send(Word::Forget(brand, before));
        }
        Report::Unreadable(why) => tally.set_unreadable(why),
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
