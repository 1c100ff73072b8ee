//! `tributary run`: a worker process. NATS in, NATS and Prometheus out, until a signal.
//!
//! The process starts from the beginning of the input stream and computes; that the stream has ended for
//! now ("caught up") is when the first cells leave. From then on changed cells leave at the cadence. A tick
//! gathers what has come into one epoch; epochs are numbered by the clock so that several processes agree on
//! them. A process of a cluster takes the messages whose sequence falls to it, and decodes only those.
//!
//! On SIGTERM or SIGINT it stops reading, finishes what it has, lets the last changes leave, waits until the
//! broker has them, and exits 0. A second signal exits at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use async_nats::Client;
use tokio::sync::{mpsc, watch};
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Input, Outgoing, Publisher};
use tributary_connectors::trace::TraceLine;

use crate::asks::Asks;
use crate::cli;
use crate::http::{self, State};
use crate::signals;
use crate::tally::Tally;
use crate::workers::{Batch, Incoming, Report, Workers};

/// Messages and bytes in one epoch at most.
const MAX_MESSAGES: usize = 20_000;
const MAX_BYTES: usize = 32 << 20;

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

/// What goes to the broker.
enum Out {
    Cell(Outgoing, bool),
    Dead(Outgoing),
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
            for cell in cells {
                board.apply(&cell);
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

async fn publish(
    client: Client,
    mut outgoing: mpsc::UnboundedReceiver<Out>,
    state: Arc<State>,
) -> anyhow::Result<()> {
    let mut publisher = Publisher::new(&client, 512);
    while let Some(out) = outgoing.recv().await {
        let message = match out {
            Out::Cell(message, closed) => {
                state
                    .metrics
                    .published(u64::from(!closed), u64::from(closed), 0);
                message
            }
            Out::Dead(message) => message,
        };
        if let Err(error) = publisher.send(message).await {
            state.metrics.published(0, 0, 1);
            tracing::warn!(%error, "publishing again");
        }
        if outgoing.is_empty() {
            while let Err(error) = publisher.flush().await {
                state.metrics.published(0, 0, 1);
                tracing::warn!(%error, "publishing again");
                if outgoing.is_closed() && !error.is_transient() {
                    return Err(error.into());
                }
            }
        }
    }
    publisher
        .flush()
        .await
        .context("the last messages could not be published")
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

/// Gathers messages into epochs.
struct Feed<'a> {
    config: &'a Config,
    state: &'a Arc<State>,
    asks: &'a Asks,
    tally: &'a Arc<Tally>,
    epoch: u64,
    first_epoch: u64,
    released: Option<Instant>,
    unreleased: bool,
    /// The arrival of the newest message, Unix milliseconds.
    newest: i64,
}

impl<'a> Feed<'a> {
    fn new(
        config: &'a Config,
        state: &'a Arc<State>,
        asks: &'a Asks,
        tally: &'a Arc<Tally>,
    ) -> Feed<'a> {
        let (epoch, first_epoch, released, unreleased, newest) = (0, 0, None, true, 0);
        Feed {
            config,
            state,
            asks,
            tally,
            epoch,
            first_epoch,
            released,
            unreleased,
            newest,
        }
    }

    async fn run(
        mut self,
        mut input: Input,
        workers: Workers,
        mut stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Workers> {
        let mut workers = Some(workers);
        loop {
            let stopping = *stop.borrow();
            let (messages, bytes) = match stopping {
                true => (Vec::new(), 0),
                false => tokio::select! {
                    gathered = self.gather(&mut input) => gathered?,
                    _ = stop.changed() => continue,
                },
            };
            let caught_up = input.caught_up();
            self.state.metrics.input(
                input.next_sequence().saturating_sub(1),
                input.pending(),
                messages.len() as u64,
                bytes,
            );
            let batch = self.batch(messages, caught_up, stopping);
            if let Some(batch) = batch {
                let Some(running) = workers.take() else {
                    bail!("the workers are gone")
                };
                let (running, sent) = tokio::task::spawn_blocking(move || {
                    let sent = running.send(batch);
                    (running, sent)
                })
                .await?;
                if !sent {
                    return running
                        .finish()
                        .and(Err(anyhow!("the worker threads have stopped")));
                }
                workers = Some(running);
            }
            self.measure(caught_up);
            if stopping {
                return workers.ok_or_else(|| anyhow!("the workers are gone"));
            }
        }
    }

    /// What comes within a tick.
    async fn gather(&mut self, input: &mut Input) -> anyhow::Result<(Vec<Incoming>, u64)> {
        let tick = Duration::from_millis(self.config.workers.tick_ms);
        let until = Instant::now() + tick;
        let (mut messages, mut bytes) = (Vec::new(), 0);
        let (process, processes) = (
            self.config.workers.process as u64,
            self.config.workers.hosts.len().max(1) as u64,
        );
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let arrived = match input.next_batch(MAX_MESSAGES, left).await {
                Ok(arrived) => arrived,
                Err(error) if error.is_transient() => {
                    self.state.health.set_connected(false);
                    self.state.metrics.connected(false);
                    return Ok((messages, bytes));
                }
                Err(error) => return Err(error.into()),
            };
            self.state.health.set_connected(true);
            self.state.metrics.connected(true);
            for message in arrived {
                self.newest = self.newest.max(message.at_ms);
                if message.sequence % processes != process {
                    continue;
                }
                bytes += message.payload.len() as u64;
                let line = TraceLine {
                    subject: message.subject.to_string(),
                    at: message.at_ms,
                    headers: message.headers,
                    data: message.payload.into(),
                };
                messages.push(Incoming {
                    number: message.sequence,
                    line,
                });
            }
            let full = messages.len() >= MAX_MESSAGES || bytes as usize >= MAX_BYTES;
            if full || self.asks.are_waiting() || Instant::now() >= until {
                return Ok((messages, bytes));
            }
        }
    }

    /// The next epoch, or none where nothing has happened.
    fn batch(&mut self, messages: Vec<Incoming>, caught_up: bool, stopping: bool) -> Option<Batch> {
        let cadence = Duration::from_millis(self.config.release.cadence_ms);
        self.unreleased |= !messages.is_empty();
        let due = self
            .released
            .is_none_or(|released| released.elapsed() >= cadence);
        // Other processes' changes are not seen from here, so that a cluster always releases when due.
        let alone = self.config.workers.hosts.len() <= 1;
        let release = stopping || caught_up && due && (self.unreleased || !alone);
        if messages.is_empty() && !release && !self.asks.are_waiting() && alone {
            return None;
        }
        if release {
            self.released = Some(Instant::now());
            self.unreleased = false;
        }
        let now = jiff::Timestamp::now().as_millisecond().max(0) as u64;
        self.epoch = now.max(self.epoch + 1);
        if self.first_epoch == 0 {
            self.first_epoch = self.epoch;
        }
        Some(Batch {
            epoch: self.epoch,
            messages,
            release,
            questions: self.asks.take(self.epoch),
            salt_days: crate::clock::salt_days(self.config, self.newest),
        })
    }

    fn measure(&self, caught_up: bool) {
        let threads = self.config.workers.threads.max(1);
        let finished = self.tally.finished_before(threads);
        // Before anything is finished, what counts is how long the first epoch has been under way.
        let behind = self.epoch.saturating_sub(finished.max(self.first_epoch));
        let now = jiff::Timestamp::now().as_millisecond().max(0) as u64;
        let lag = match (finished, self.epoch) {
            (_, 0) => 0,
            (0, _) => now.saturating_sub(self.first_epoch).max(1),
            (finished, epoch) if finished > epoch => 0,
            _ => behind.max(1),
        };
        let lag = lag as f64 / 1000.0;
        let tick = self.config.workers.tick_ms as f64 / 1000.0;
        self.state
            .metrics
            .epoch(finished.saturating_sub(1), lag, tick);
        self.state.health.set_lag(lag);
        if caught_up {
            self.state.health.set_caught_up(true);
        }
    }
}
