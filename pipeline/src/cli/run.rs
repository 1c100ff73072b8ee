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
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tributary_config::beyond_this_machine;
use tributary_config::model::Config;

use crate::broker::retry::wait_until;
use crate::cli::args as cli;
use crate::cli::reload::{self, Request, Triggers};
use crate::cli::signals;
use crate::live_config::LiveConfig;
use crate::otlp::export::Export;
use crate::otlp::spans::Traces;
use crate::report::telemetry::Telemetry;
use crate::serve::access::refuse_unprotected;
use crate::serve::ingest;
use crate::start::reload::{Reloaded, Replaceable};
use crate::start::{RunningWorker, lease, start};
use crate::worker::feed::Fed;
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
    let (runtime, triggers) = signals::runtime(&args.config)?;
    let config = configure(args)?;
    let export = Export::start(&config)?;
    let outcome = runtime.block_on(run(config, args, triggers, export.traces()));
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
async fn run(
    config: Config,
    args: &cli::Run,
    triggers: Triggers,
    traces: Traces,
) -> anyhow::Result<()> {
    let stop = signals::stop()?;
    let telemetry = Telemetry::new(&config).tracing(traces);
    let (current, live) = LiveConfig::new(&config);
    let current = Arc::new(current);
    let read = {
        let args = args.clone();
        move || configure(&args)
    };
    let (to_process, mut reloads) = mpsc::channel(1);
    tokio::spawn(reload::at_each(
        triggers,
        current.clone(),
        telemetry.metrics.clone(),
        read,
        Some(to_process),
    ));
    let mut starting = pin!(start(
        &config,
        live,
        telemetry,
        &args.config,
        args.accept_loss
    ));
    let running = loop {
        tokio::select! {
            started = &mut starting => break started?,
            // What is restored goes nowhere, so that it may be left at any moment.
            () = wait_until(stop.clone()) => {
                tracing::info!("stopped while starting");
                return Ok(());
            }
            // A standby may follow for good. Any other process takes it up once it has started.
            Some(Request { answer, .. }) = reloads.recv(), if config.workers.standby => {
                // Whoever waits may have ended.
                let _ = answer.send(Err(FOLLOWS.to_owned()));
            }
        }
    };
    let RunningWorker {
        context,
        servers,
        tasks,
        workers,
        feed,
        inputs,
        mut commits,
        publisher,
        served,
        output_watch,
        mut lease,
        mut members,
        backup,
    } = running;
    let mut running = Replaceable {
        servers,
        tasks,
        feed: Box::pin(feed.run(inputs, workers, stop.clone())),
    };
    let mut reloading = None;
    let fed = loop {
        // A reload keeps what it is at, whatever else happens meanwhile.
        let step = async {
            match reloading.take() {
                None => tokio::select! {
                    fed = &mut running.feed => Step::Fed(fed.map(Box::new)),
                    why = running.tasks.cannot_go_on() => Step::CannotGoOn(why),
                    Some(request) = reloads.recv() => Step::Reload(request),
                },
                Some(Request { next, answer }) => {
                    let next: Arc<Config> = next;
                    let reloaded = context
                        .reload(&next, &current, &mut running, stop.clone())
                        .await;
                    Step::Reloaded(reloaded, answer)
                }
            }
        };
        let step = tokio::select! {
            step = step => step,
            // It hands epochs to workers, which may wait for another process that no longer answers.
            () = overdue(stop.clone()) => bail!("the workers did not take what was read within {DRAIN:?} after the signal"),
            // It ends by itself only when it cannot go on.
            ended = &mut commits => match ended? {
                Ok(()) => bail!("the ledger has stopped"),
                Err(error) => return Err(error),
            },
            // It ends by itself only when another process has taken it.
            ended = &mut lease => return Err(lease::lost(ended)),
            replaced = &mut members => return Err(replaced?),
        };
        match step {
            Step::Fed(fed) => break fed.map(|fed| *fed),
            Step::CannotGoOn(why) => return Err(why),
            Step::Reload(request) => reloading = Some(request),
            Step::Reloaded(Ok(Reloaded::Done), answer) => drop(answer.send(Ok(()))),
            Step::Reloaded(Ok(Reloaded::Refused(why)), answer) => drop(answer.send(Err(why))),
            Step::Reloaded(Ok(Reloaded::Stopped(None)), _) => {}
            Step::Reloaded(Ok(Reloaded::Stopped(Some(fed))), _) => break Ok(*fed),
            Step::Reloaded(Err(error), _) => break Err(error),
        }
    };
    context.close();
    let Fed {
        workers, inputs, ..
    } = match fed {
        Ok(fed) => fed,
        Err(error) => {
            // Where it was the ledger that has stopped, its reason is the better one.
            if let Ok(ended) = timeout(Duration::from_secs(1), commits).await {
                ended??;
            }
            return Err(error);
        }
    };
    let Replaceable { servers, tasks, .. } = running;
    let end = Instant::now() + DRAIN;
    drain(workers, end).await?;
    tasks.abort();
    output_watch.abort();
    members.abort();
    // The workers and their listener have ended, so that both channels close.
    timeout_at(end, commits).await.with_context(|| {
        format!("the ledger did not take the last records within {DRAIN:?}")
    })???;
    let durable = context.durable();
    // A broker that is away keeps nobody: what it did not hear is said again after the next start.
    if let Some(mut inputs) = inputs {
        let _ = timeout_at(end, inputs.acknowledge(&durable)).await;
    }
    let published = timeout_at(end, publisher).await;
    // With the lease, and what the ledger has at the end.
    let _ = backup.end.send(true);
    if timeout_at(end, backup.task).await.is_err() {
        tracing::warn!("the backup was not brought up to date at the end");
    }
    let _ = served.send(true);
    tasks.end(end).await;
    let _ = timeout_at(end, lease).await;
    servers.end(end).await;
    published
        .with_context(|| format!("the broker did not take the last cells within {DRAIN:?}"))???;
    let flushed = timeout_at(end, context.flush()).await;
    flushed
        .with_context(|| {
            format!("the broker did not take the last acknowledgement within {DRAIN:?}")
        })?
        .context("the last acknowledgement")?;
    tracing::info!("stopped");
    Ok(())
}

/// Why a standby that does not lead yet refuses a reload that needs its dataflow.
const FOLLOWS: &str = "the process follows another one as a standby, and takes brands, sources and gates at its start: needs a restart";

/// What happens to a running process.
enum Step {
    /// The feed has ended.
    Fed(anyhow::Result<Box<Fed>>),
    /// A task cannot go on.
    CannotGoOn(anyhow::Error),
    /// A reload is requested.
    Reload(Request),
    /// The outcome of a reload, and who waits for it.
    Reloaded(
        anyhow::Result<Reloaded>,
        oneshot::Sender<Result<(), String>>,
    ),
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
