//! `tributary run`: a worker process, until a signal.
//!
//! The process restores the content of its ledger and continues to read the
//! input stream at the ledger's position. When it has caught up, it publishes
//! the cells that differ from those in the output stream; from then on, changed
//! cells leave at the release cadence.
//!
//! On SIGTERM or SIGINT it stops reading, finishes what it has read, commits,
//! publishes the last changes, waits until the broker has stored them, and
//! exits with 0. A second signal exits at once. If it is killed, it loses
//! nothing either: the next start continues from the last commit (invariants I4
//! and I5).

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tributary_config::beyond_this_machine;
use tributary_config::model::Config;

use crate::broker::retry::wait_until;
use crate::cli::args as cli;
use crate::cli::{reload, signals};
use crate::live_config::LiveConfig;
use crate::otlp::export::Export;
use crate::otlp::spans::Traces;
use crate::report::telemetry::Telemetry;
use crate::serve::access::refuse_unprotected;
use crate::serve::ingest;
use crate::start::{RunningWorker, lease, start};
use crate::worker::threads::Workers;

/// Maximum time for all of this after a signal: shorter than the grace period
/// of orchestrators.
const DRAIN: Duration = Duration::from_secs(25);

/// Executes the command.
///
/// # Errors
///
/// Those of a start, and of tasks that cannot continue.
pub fn command(args: &cli::Run) -> anyhow::Result<()> {
    let config = configure(args)?;
    let export = Export::start(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(run(config, args, export.traces()));
    // After a failure nobody waits for what cannot end, like the other processes of a cluster.
    runtime.shutdown_timeout(Duration::from_secs(1));
    export.finish(&outcome);
    outcome
}

/// The addresses in a host file, one per line; empty lines and those that begin
/// with `#` count for nothing.
///
/// # Errors
///
/// A file that cannot be read.
pub(super) fn hosts_in(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the host file {}", file.display()))?;
    let hosts = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    Ok(hosts.map(str::to_owned).collect())
}

/// The configuration with the options of the command line.
///
/// # Errors
///
/// A file that cannot be read or is not valid, or a process index outside the
/// cluster.
fn configure(args: &cli::Run) -> anyhow::Result<Config> {
    let mut config = crate::load(&args.config)?.of_its_shard()?;
    if let Some(threads) = args.workers {
        config.workers.threads = threads.max(1);
    }
    if let Some(file) = &args.hostfile {
        config.workers.hosts = hosts_in(file)?;
        // What the configuration says of its own hosts holds for these as well.
        if let Some(host) = beyond_this_machine(&config.workers.hosts)
            && !config.workers.private_network
            && !config.workers.has_tls()
        {
            bail!(
                "{}: {host} is beyond this machine, and processes exchange records neither encrypted nor authenticated; \
                 set workers.tls_ca_file, tls_cert_file and tls_key_file, or workers.private_network = true if only the \
                 processes of the cluster can reach these ports",
                file.display()
            );
        }
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
    refuse_unprotected(&config)?;
    ingest::refuse_unprotected(&config)?;
    Ok(config)
}

/// Runs a worker until a signal or until a task cannot continue.
///
/// # Errors
///
/// A start that is refused, a task that cannot continue, or a drain that
/// exceeds `DRAIN`.
async fn run(config: Config, args: &cli::Run, traces: Traces) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let hangup = signals::hangup()?;
    let telemetry = Telemetry::new(&config).tracing(traces);
    let (sender, live) = LiveConfig::new(&config);
    let read = {
        let args = args.clone();
        move || configure(&args)
    };
    let metrics = telemetry.metrics.clone();
    tokio::spawn(reload::at_each(hangup, sender, metrics, read));
    let running = tokio::select! {
        started = start(&config, live, telemetry, &args.config, args.accept_loss) => started?,
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
        inputs,
        watermark,
        mut commits,
        publisher,
        served,
        server,
        ingest_server,
        services,
        gauges,
        rights,
        retention,
        mut lease,
        mut members,
        backup,
        client,
    } = running;
    let mut rights = rights;
    let fed = tokio::select! {
        fed = feed.run(inputs, workers, stop.clone()) => fed,
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
        // It ends by itself only when another process has taken it.
        ended = &mut lease => return Err(lease::lost(ended)),
        replaced = &mut members => return Err(replaced?),
    };
    queries.close();
    let (workers, mut inputs) = match fed {
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
    members.abort();
    // What they were at goes on after the next start.
    rights.abort();
    retention.abort();
    // The workers and their listener have ended, so that both channels close.
    timeout_at(end, commits).await.with_context(|| {
        format!("the ledger did not take the last records within {DRAIN:?}")
    })???;
    let durable = *watermark.borrow();
    // A broker that is away keeps nobody: what it did not hear is said again after the next start.
    let _ = timeout_at(end, inputs.acknowledge(&durable)).await;
    let published = timeout_at(end, publisher).await;
    // With the lease, and what the ledger has at the end.
    let _ = backup.end.send(true);
    if timeout_at(end, backup.task).await.is_err() {
        tracing::warn!("the backup was not brought up to date at the end");
    }
    let _ = served.send(true);
    let _ = timeout_at(end, services).await;
    let _ = timeout_at(end, lease).await;
    let _ = timeout_at(end, server).await;
    let _ = timeout_at(end, ingest_server).await;
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

/// Returns when everything should have ended after a signal.
async fn overdue(stop: watch::Receiver<bool>) {
    wait_until(stop).await;
    tokio::time::sleep(DRAIN).await;
}

/// Ends the input and waits until every epoch is finished, at most until `end`.
///
/// # Errors
///
/// A failed worker thread, or a dataflow that does not finish in time.
async fn drain(workers: Workers, end: Instant) -> anyhow::Result<()> {
    let finish = tokio::task::spawn_blocking(move || workers.finish());
    match timeout_at(end, finish).await {
        Ok(finished) => finished?,
        Err(_) => bail!(
            "the dataflow did not finish within {DRAIN:?}; with several hosts all of them stop together"
        ),
    }
}
