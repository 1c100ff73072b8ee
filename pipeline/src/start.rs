//! Start: everything that a worker process needs, in the order in which it is needed.
//!
//! First the door for probes, so that `/readyz` can say what is being waited for; then the ledger, which refuses what
//! another process holds or nobody can read; then the broker and its streams, the threads, what is restored, and the
//! input behind it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tributary_config::model::Config;
use tributary_connectors::nats::{
    self, Client, Input, InputRequest, LossKind, NatsError, OutgoingMessage,
};
use tributary_ledger::{Keyring, Ledger, Position, Recovery, StreamPosition};

use crate::asks::Asks;
use crate::clock::Clocks;
use crate::commits::{Commits, Durable, Word};
use crate::exchange::Exchanges;
use crate::feed::Feed;
use crate::http::{self, State};
use crate::outgoing::{Out, publish};
use crate::restore::restore;
use crate::retention::{self, Keeper};
use crate::rights::{self, Rights, losses};
use crate::standing::{Again, Held, Standing};
use crate::suppressed::Suppressed;
use crate::tally::Tally;
use crate::version::{COMMIT, VERSION};
use crate::workers::{Report, Workers};

/// A worker process that is ready to read.
pub struct Running {
    /// Questions to the dataflow.
    pub asks: Asks,
    /// The threads.
    pub workers: Workers,
    /// What feeds them.
    pub feed: Feed,
    /// What it feeds them from.
    pub input: Input,
    /// How far everything is durable.
    pub durable: watch::Receiver<Durable>,
    /// Ends when the ledger is closed, or cannot go on.
    pub commits: JoinHandle<anyhow::Result<()>>,
    /// Ends when the broker has every cell.
    pub publisher: JoinHandle<anyhow::Result<()>>,
    /// True ends the servers.
    pub served: watch::Sender<bool>,
    /// The HTTP server.
    pub server: JoinHandle<()>,
    /// The NATS services.
    pub services: JoinHandle<anyhow::Result<()>>,
    /// What keeps the gauges up.
    pub gauges: JoinHandle<()>,
    /// What answers data subjects.
    pub rights: JoinHandle<anyhow::Result<()>>,
    /// What keeps the retention.
    pub keeper: JoinHandle<Result<(), retention::Stopping>>,
    /// The broker.
    pub client: Client,
}

/// Starts with a configuration that was read from a file, and comes back when everything from before is restored on
/// every process.
pub async fn start(config: &Config, file: &Path, accept_loss: bool) -> anyhow::Result<Running> {
    tracing::info!(version = VERSION, commit = COMMIT, "starting");
    // Connections of scrapers, of the broker and the ledger's files share one limit, which is low on many systems.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let listener = tokio::net::TcpListener::bind(config.http.listen)
        .await
        .with_context(|| format!("cannot listen on {} (http.listen)", config.http.listen))?;
    let state = Arc::new(State::new(config));
    state
        .health
        .set_restoring(Some("the worker is starting".to_owned()));
    tracing::info!(address = %listener.local_addr()?, "serving the page, /metrics, /livez, /readyz and /config");
    let (served, end_serving) = watch::channel(false);
    let server = tokio::spawn(http::serve(listener, state.clone(), wait_for(end_serving)));

    let keyring = Arc::new(Keyring::new(config));
    // A ledger that is missing is begun when it is known that nothing of it was lost.
    let opened = match Ledger::exists_in(&ledger_options(config).directory) {
        true => Some(open(config, keyring.clone()).await?),
        false => None,
    };
    let client = crate::broker::connect(&config.nats, &state.health).await?;
    state
        .health
        .set_restoring(Some("the worker is starting".to_owned()));
    state.metrics.connected(true);
    state.health.set_connected(true);
    let brands: Vec<&str> = config
        .brands
        .iter()
        .map(|brand| brand.name.as_str())
        .collect();
    let found = losses::find(&client, config, opened.as_ref().map(|(ledger, _)| ledger)).await?;
    if !found.losses.is_empty() && !accept_loss {
        bail!("{}", found.refusal(config));
    }
    patiently(|| nats::ensure_input_stream(&client, &config.nats, &brands)).await?;
    let known = patiently(|| nats::ensure_output_stream(&client, &config.nats, &brands)).await?;
    let dead_letters = patiently(|| nats::ensure_dead_letter_stream(&client, &config.nats)).await?;
    let requests = patiently(|| nats::ensure_rights_stream(&client, &config.nats)).await?;
    let created_ns = requests.created_ns;
    patiently(|| nats::refuse_copies(&client, &config.nats)).await?;
    let (ledger, recovered) = match opened {
        Some(opened) => opened,
        None => {
            let wanted = wanted(&client, config, None, accept_loss).await?;
            let judged = patiently(|| Input::check(&client, &wanted)).await;
            explained(judged, config, &wanted)?;
            open(config, keyring.clone()).await?
        }
    };
    for loss in &found.losses {
        tracing::error!(loss, "continuing after an accepted loss");
    }
    let id = rights::mark(ledger.watermark()).id();
    if !found.losses.is_empty() {
        losses::repair(config, id)?;
    }
    let suppressed = Suppressed::open(config, &rights::directory(config), id)?;
    let suppressed = Arc::new(suppressed);
    let (ledger, recovered) = match found.losses.is_empty() {
        true => (ledger, recovered),
        // An older ledger may hold whom the list keeps out.
        false => {
            drop(recovered);
            let suppressed = suppressed.clone();
            let left_out =
                move || losses::leave_out(ledger, &suppressed).context("leaving out objectors");
            tokio::task::spawn_blocking(left_out).await??;
            open(config, keyring.clone()).await?
        }
    };
    let position = recovered.position;
    let mark = rights::mark(ledger.watermark());
    state.opendsr.open(client.clone());
    let clocks = Arc::new(Clocks::new(config));
    let time = patiently(|| nats::broker_time(&client, &config.nats.input_stream)).await?;
    clocks.set_broker(&time);
    // What was kept of the newest arrival and lies beyond every message of the stream was never true: it mends itself.
    let newest = position.map_or(0, |position| position.newest_at);
    let newest = newest.min(time.newest.unwrap_or(clocks.read().wall.max(time.now)));
    clocks.set_newest(newest);
    state.health.set_clock(clocks.read().disagreement());

    crate::agreement::publish(&client, config).await?;
    let tally = Arc::new(Tally::default());
    let asks = Asks::default();
    let (out, outgoing) = mpsc::unbounded_channel();
    let told_subjects = Arc::default();
    let publisher = publish(
        client.clone(),
        outgoing,
        state.clone(),
        Arc::clone(&told_subjects),
    );
    let publisher = tokio::spawn(publisher);
    let (words, heard) = mpsc::unbounded_channel();
    let (told, durable) = watch::channel(Durable::default());
    let threads = config.workers.threads.max(1);
    let commits = Commits::new(ledger, &client, threads, state.clone(), tally.clone(), told);
    let commits = tokio::spawn(commits.run(heard));
    let again = Arc::new(Again::default());
    let standing = Standing {
        config: config.clone(),
        client: client.clone(),
        state: state.clone(),
        tally: tally.clone(),
        out: out.clone(),
        again: again.clone(),
        known,
        dead_letters,
        held: Held::of(told_subjects),
    };
    let workers = {
        let (tally, asks, state) = (tally.clone(), asks.clone(), state.clone());
        let listener = hear(tally, asks, state, out, words.clone());
        let (config, suppressed) = (config.clone(), suppressed.clone());
        let settings = Arc::new(tributary_connectors::settings::settings(&config));
        // With several hosts this waits for all of them.
        tokio::task::spawn_blocking(move || {
            Workers::start(&config, settings, keyring, suppressed, listener)
        })
        .await??
    };
    crate::agreement::compare(&client, config).await?;
    let gauges = {
        let counted = gauge(config.clone(), state.clone(), tally.clone());
        let waiting = rights::watch(config.clone(), client.clone(), state.clone());
        let compared = crate::clock::watch(
            config.clone(),
            client.clone(),
            clocks.clone(),
            state.clone(),
        );
        tokio::spawn(async {
            tokio::join!(counted, waiting, compared, standing.watch());
        })
    };
    let now = clocks.read().release_time();
    let workers = restore(&client, config, recovered, workers, &state, &tally, now).await?;
    let (input, stream) = open_input(&client, config, position, accept_loss).await?;
    let past = patiently(|| nats::stream_state(&client, &config.nats.input_stream))
        .await?
        .last_sequence;
    let services = tokio::spawn(crate::services::serve(
        client.clone(),
        config.clone(),
        asks.clone(),
        Exchanges::new(file.to_owned(), config, &words),
        wait_for(served.subscribe()),
    ));
    let (rights, requests) = Rights::open(rights::Parts {
        config: config.clone(),
        client: client.clone(),
        asks: asks.clone(),
        words: words.clone(),
        durable: durable.clone(),
        suppressed,
        restored: position
            .filter(|position| position.stream == Some(stream))
            .map_or(0, |position| position.sequence),
        state: state.clone(),
        mark,
        found,
        created_ns,
    })
    .await?;
    let (cleared, clear) = watch::channel(requests.caught_up());
    let rights = tokio::spawn(rights.run(requests, served.subscribe(), cleared));
    let keeper = Keeper {
        config: config.clone(),
        asks: asks.clone(),
        words: words.clone(),
        state: state.clone(),
        clocks: clocks.clone(),
    };
    let keeper = tokio::spawn(keeper.run(served.subscribe()));
    let feed = Feed {
        config: config.clone(),
        state,
        asks: asks.clone(),
        tally,
        words,
        durable: durable.clone(),
        stream,
        past,
        position,
        client: client.clone(),
        clocks,
        newest,
        clear,
        again,
    };
    Ok(Running {
        asks,
        workers,
        feed,
        input,
        durable,
        commits,
        publisher,
        served,
        server,
        services,
        gauges,
        rights,
        keeper,
        client,
    })
}

/// Comes back when a flag is set, or nobody can set it any more.
pub async fn wait_for(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|set| *set).await;
}

/// How long a broker that does not answer is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks the broker again while it does not answer, for a while.
pub async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, NatsError>
where
    F: Future<Output = Result<T, NatsError>>,
{
    let begun = Instant::now();
    loop {
        match ask().await {
            Err(error) if error.is_transient() && begun.elapsed() < PATIENCE => {
                tracing::warn!(%error, "retrying the query to the broker");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            answered => return answered,
        }
    }
}

/// Opens this process's ledger.
async fn open(config: &Config, keyring: Arc<Keyring>) -> anyhow::Result<(Ledger, Recovery)> {
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

/// What is to be read of the input behind a position.
async fn wanted(
    client: &Client,
    config: &Config,
    position: Option<Position>,
    accept_loss: bool,
) -> anyhow::Result<InputRequest> {
    let before = position.and_then(|position| position.stream);
    let mut published = false;
    if position.is_none() {
        for brand in &config.brands {
            let cells = format!("tributary.out.{}.>", brand.name);
            let stream = &config.nats.output_stream;
            published |= patiently(|| nats::has_messages(client, stream, &cells)).await?;
        }
    }
    Ok(InputRequest {
        stream: config.nats.input_stream.clone(),
        process: config.workers.process,
        processes: config.workers.hosts.len().max(1),
        partitions: config.nats.partitions,
        next: position.map_or(1, |position| position.sequence + 1),
        created: before.map(|stream| stream.created_ns),
        published,
        accept_loss,
    })
}

/// Says what an input that is lost means where the ledger is missing, too.
fn explained<T>(
    result: Result<T, NatsError>,
    config: &Config,
    wanted: &InputRequest,
) -> anyhow::Result<T> {
    match wanted.published {
        true => result.with_context(|| {
            format!(
                "{} holds no ledger, but the stream {} holds cells of an earlier run",
                ledger_options(config).directory.display(),
                config.nats.output_stream
            )
        }),
        false => result.map_err(Into::into),
    }
}

/// Opens the input behind a position, and says which stream it is.
async fn open_input(
    client: &Client,
    config: &Config,
    position: Option<Position>,
    accept_loss: bool,
) -> anyhow::Result<(Input, StreamPosition)> {
    let before = position.and_then(|position| position.stream);
    let wanted = wanted(client, config, position, accept_loss).await?;
    let input = patiently(|| Input::open(client, wanted.clone())).await;
    let input = explained(input, config, &wanted)?;
    let mut generation = before.map_or(1, |stream| stream.generation);
    if let Some(loss) = input.accepted_loss() {
        let (from, to, next) = (loss.from, loss.to, loss.resume);
        match loss.kind {
            LossKind::Dropped => {
                tracing::error!(
                    from,
                    to,
                    next,
                    "these sequences were never read (loss accepted)"
                );
            }
            LossKind::Truncated => {
                tracing::error!(
                    from,
                    to,
                    next,
                    "the end of the input stream was lost upstream (loss accepted)"
                );
            }
            LossKind::Recreated => {
                tracing::error!(next, "the input stream was replaced (loss accepted)");
            }
        }
        // Sequences that were given before are given again: what comes now is later than all of them.
        if loss.kind != LossKind::Dropped {
            generation = generation.saturating_add(1);
        }
    }
    let created_ns = input.created();
    Ok((
        input,
        StreamPosition {
            created_ns,
            generation,
        },
    ))
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
            let mut board = state.board();
            for (cell, news, released) in cells {
                board.apply(&cell);
                if news {
                    let closed = cell.values.is_empty();
                    let message = OutgoingMessage::cell(&cell, epoch, released);
                    let _ = out.send(Out::Cell { message, closed });
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
        Report::Settle { page, done } => {
            let _ = words.send(Word::Settle(page, done));
        }
        // Where there are none a rewrite would find nothing.
        Report::Settled { pings: 0, .. } => {}
        Report::Settled { brand, before, .. } => {
            let _ = words.send(Word::Settled(brand, before));
        }
        Report::Expired(records) => {
            let _ = words.send(Word::Expired(records));
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
