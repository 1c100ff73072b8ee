//! `tributary run`: a worker process. NATS in, NATS and Prometheus out, until a signal.
//!
//! The process restores what its ledger holds and reads the input stream on from where the ledger stands. When the
//! stream has ended for now ("caught up"), the cells that differ from what stands outside leave; from then on changed
//! cells leave at the cadence.
//!
//! On SIGTERM or SIGINT it stops reading, finishes what it has, commits, lets the last changes leave, waits until the
//! broker has them, and exits 0. A second signal exits at once. Killed without a signal, it loses nothing either: the
//! next start goes on from the last commit (invariants I4 and I5).

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tributary_config::model::Config;

use crate::broker::retry::wait_until;
use crate::cli::args as cli;
use crate::cli::signals;
use crate::start::{RunningWorker, start};
use crate::worker::threads::Workers;

/// How long everything may take after a signal: less than orchestrators wait before they kill.
const DRAIN: Duration = Duration::from_secs(25);

/// The command.
pub fn command(args: &cli::Run) -> anyhow::Result<()> {
    let config = configure(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(run(config, &args.config, args.accept_loss));
    // After a failure nobody waits for what cannot end, like the other processes of a cluster.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
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

async fn run(config: Config, file: &Path, accept_loss: bool) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let running = tokio::select! {
        started = start(&config, file, accept_loss) => started?,
        // What is restored goes nowhere, so that it may be left at any moment.
        () = wait_until(stop.clone()) => {
            tracing::info!("stopped while starting");
            return Ok(());
        }
    };
    let RunningWorker {
        queries,
        workers,
        feed,
        input,
        watermark,
        mut commits,
        publisher,
        served,
        server,
        services,
        gauges,
        rights,
        retention,
        client,
    } = running;
    let mut rights = rights;
    let fed = tokio::select! {
        fed = feed.run(input, workers, stop.clone()) => fed,
        // It hands epochs to workers, which may wait for another process that no longer answers.
        () = overdue(stop) => bail!("the workers did not take what was read within {DRAIN:?} after the signal"),
        // It ends by itself only when it cannot go on.
        ended = &mut commits => match ended? {
            Ok(()) => bail!("the ledger has stopped"),
            Err(error) => return Err(error),
        },
        // It ends by itself only when it cannot go on.
        ended = &mut rights => match ended? {
            Ok(()) => bail!("rights requests can no longer be answered"),
            Err(error) => return Err(error.context("answering rights requests")),
        },
    };
    queries.close();
    let (workers, mut input) = match fed {
        Ok(fed) => fed,
        Err(error) => {
            // Where it was the ledger that has stopped, its reason is the better one.
            if let Ok(ended) = timeout(Duration::from_secs(1), commits).await {
                ended??;
            }
            return Err(error);
        }
    };
    let end = Instant::now() + DRAIN;
    drain(workers, end).await?;
    gauges.abort();
    // What they were at goes on after the next start.
    rights.abort();
    retention.abort();
    // The workers and their listener have ended, so that both channels close.
    timeout_at(end, commits).await.with_context(|| {
        format!("the ledger did not take the last records within {DRAIN:?}")
    })???;
    let sequence = watermark.borrow().sequence;
    // A broker that is away keeps nobody: what it did not hear is said again after the next start.
    let _ = timeout_at(end, input.acknowledge(sequence)).await;
    let published = timeout_at(end, publisher).await;
    let _ = served.send(true);
    let _ = timeout_at(end, services).await;
    let _ = timeout_at(end, server).await;
    published
        .with_context(|| format!("the broker did not take the last cells within {DRAIN:?}"))???;
    let flushed = timeout_at(end, client.flush()).await;
    flushed
        .with_context(|| {
            format!("the broker did not take the last acknowledgement within {DRAIN:?}")
        })?
        .context("the last acknowledgement")?;
    tracing::info!("stopped");
    Ok(())
}

/// Comes back when everything should have ended that a signal ends.
async fn overdue(stop: watch::Receiver<bool>) {
    wait_until(stop).await;
    tokio::time::sleep(DRAIN).await;
}

/// Ends the input and waits until everything is through.
async fn drain(workers: Workers, end: Instant) -> anyhow::Result<()> {
    let finish = tokio::task::spawn_blocking(move || workers.finish());
    match timeout_at(end, finish).await {
        Ok(finished) => finished?,
        Err(_) => bail!(
            "the dataflow did not finish within {DRAIN:?}; with several hosts all of them stop together"
        ),
    }
}
