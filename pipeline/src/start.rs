//! Start of a worker process: opens everything that it needs, in the order in
//! which it is needed.
//!
//! 1. The HTTP server, so that `/readyz` can report what the start waits for.
//! 2. The ledger, which is refused if another process has it open or if it
//!    cannot be read.
//! 3. The broker and its streams. Ledger, objection list, audit logs and broker
//!    are compared with each other; a loss stops the start unless the operator
//!    has accepted it.
//! 4. The lease, so that no other process publishes the same cells. With
//!    `workers.standby`, it is taken first, and everything else waits until this
//!    process leads ([`crate::standby`]).
//! 5. The task that owns the ledger, the publisher, and the worker threads. In
//!    a cluster, this step waits for all hosts.
//! 6. The restored state, and then the input after the position of the ledger.
//! 7. The NATS services, the rights requests and the retention pass.
//!
//! A missing ledger is created only after step 3 has established that no input
//! was lost with it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};
use tributary_config::model::{Brand, Config, Kind, Source};
use tributary_connectors::nats::{self, Input, NatsError};
use tributary_connectors::settings::settings_drawn;
use tributary_ledger::{Keyring, Ledger};

use crate::backup::{self, BackupTask};
use crate::broker::connect::connect;
use crate::broker::retry::{retry_at_start, retry_transient, wait_until};
use crate::durability::command::DurablePosition;
use crate::durability::commits::Commits;
use crate::durability::location::ledger_options;
use crate::durability::moves::Moves;
use crate::durability::open::open;
use crate::durability::standbys::Standbys;
use crate::epochs::clock::Clocks;
use crate::live_config::LiveConfig;
use crate::privacy::erased::{self, Erased};
use crate::privacy::objections::Objections;
use crate::privacy::rights::published_heads::mark;
use crate::privacy::rights::signature::Signer;
use crate::privacy::rights::{self, losses};
use crate::privacy::tombstone_copies;
use crate::report::published_cells::SharedCells;
use crate::report::telemetry::Telemetry;
use crate::serve::follow::follow;
use crate::standby::{self, Leading, Standby};
use crate::version::{COMMIT, VERSION};
use crate::worker::agreement;
use crate::worker::feed::{Feed, Inputs};
use crate::worker::output_watch::{KnownSubjects, OutputWatch, Republish};
use crate::worker::publisher::publish;
use crate::worker::restore::{self, restore};
use crate::worker::router::Outputs;
use crate::worker::threads::{Workers, decoder_of};

mod brand_tasks;
mod cluster;
mod gauges;
mod input;
pub(crate) mod lease;
mod process_context;
pub mod reload;
mod servers;
mod unserved;

pub use brand_tasks::BrandTasks;
use input::{explained, refuse_missing_ledger, wanted};
use lease::Held;
pub use process_context::ProcessContext;
use process_context::{Beginning, RightsFiles};
use servers::{Listeners, Servers};

/// A worker process that is ready to read its input: its parts, and the handles
/// of its tasks.
pub struct RunningWorker {
    /// The parts that live as long as the process, and make the others.
    pub context: ProcessContext,
    /// The HTTP servers.
    pub servers: Servers,
    /// The tasks of the brands.
    pub tasks: BrandTasks,
    /// The worker threads.
    pub workers: Workers,
    /// The feed of the worker threads.
    pub feed: Feed,
    /// The input of the feed.
    pub inputs: Inputs,
    /// Ends when the ledger is closed or cannot continue.
    pub commits: JoinHandle<anyhow::Result<()>>,
    /// Ends when the broker has acknowledged every cell.
    pub publisher: JoinHandle<anyhow::Result<()>>,
    /// Gives the lease back when set to true.
    pub served: watch::Sender<bool>,
    /// The task that watches the output stream.
    pub output_watch: JoinHandle<()>,
    /// The lease of this process; ends early only when it is lost.
    pub lease: JoinHandle<Result<(), NatsError>>,
    /// Ends when another process has taken the place of one of the cluster, and says
    /// which.
    pub members: JoinHandle<anyhow::Error>,
    /// Brings the backup up to date for the last time once it is told to.
    pub backup: BackupTask,
}

/// Starts a worker with a configuration that was read from `file`, and returns
/// once every process of the cluster has restored its state. What a reload may
/// change is read from `live`. With `accept_loss`, a loss of input or of rights records does not stop the start.
///
/// # Errors
///
/// An address, ledger, broker or cluster that does not permit a start; the
/// error tells the operator what to do.
pub async fn start(
    config: &Config,
    live: LiveConfig,
    telemetry: Telemetry,
    file: &Path,
    accept_loss: bool,
) -> anyhow::Result<RunningWorker> {
    tracing::info!(version = VERSION, commit = COMMIT, "starting");
    // Connections of scrapers, of the broker and the ledger's files share one limit, which is low on many systems.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let directory = ledger_options(config).directory;
    Moves::read(&directory)?.refuse_start(config, &directory)?;
    let listeners = Listeners::bind(config)?;
    let outputs = Outputs::default();
    // A process of a cluster owns a part of the cells, and a standby none; both show all.
    let is_cluster = config.workers.hosts.len() > 1;
    let may_follow = config.workers.standby;
    let shown = match is_cluster || may_follow {
        true => SharedCells::default(),
        false => outputs.cells.clone(),
    };
    let signer = Signer::open(&config.http)?.map(Arc::new);
    telemetry.health.set_starting();
    tracing::info!(address = %listeners.http_address()?, "serving the page, /metrics, /livez, /readyz and /config");
    if let Some(address) = listeners.ingest_address() {
        tracing::info!(%address, "receiving records over HTTP");
    }
    let servers = Servers::start(&listeners, &live, &telemetry, &shown, signer.clone())?;
    let (served, end_serving) = watch::channel(false);
    // That of the tasks of this configuration.
    let (end, ended) = watch::channel(false);

    let keyring = Arc::new(Keyring::new(config));
    if !may_follow {
        standby::refuse_incomplete(config)?;
    }
    // Without a ledger, a restore may be under way.
    if Ledger::exists_in(&directory) {
        backup::restore::remove_draft(config)?;
    }
    // A ledger that is missing is begun when it is known that nothing of it was lost.
    let opened = match !may_follow && Ledger::exists_in(&ledger_options(config).directory) {
        true => Some(open(config, keyring.clone()).await?),
        false => None,
    };
    let client = connect(&config.nats, &telemetry.health).await?;
    let follow_cells = {
        let (client, config, stop) = (client.clone(), config.clone(), ended.clone());
        let (shown, health) = (shown.clone(), telemetry.health.clone());
        move || {
            tokio::spawn(
                async move { follow(&client, &config, &shown, &health, false, stop).await },
            );
        }
    };
    let mut follow_cells = Some(follow_cells).filter(|_| is_cluster || may_follow);
    telemetry.health.set_starting();
    telemetry.metrics.connected(true);
    telemetry.health.set_connected(true);
    let brands: Vec<&str> = config
        .brands
        .iter()
        .map(|brand| brand.name.as_str())
        .collect();
    let health = &telemetry.health;
    let hold = |lease| Held::keep(lease, wait_until(end_serving.clone()));
    let (opened, found, leading, prepared) = match may_follow {
        false => {
            // Before the losses: of a brand that was given to another shard, files are missing, too.
            let moves = Moves::read(&ledger_options(config).directory)?;
            lease::check_claims(&client, config, &moves, accept_loss, Some(health)).await?;
            let ledger = opened.as_ref().map(|(ledger, _)| ledger);
            let found = losses::find(&client, config, ledger, "").await?;
            if !found.losses.is_empty() && !accept_loss {
                bail!("{}", found.refusal(config));
            }
            (opened, found, None, None)
        }
        true => {
            let standby = Standby {
                client: &client,
                config,
                telemetry: &telemetry,
                keyring: keyring.clone(),
                accept_loss,
                holder: lease::holder(config, ""),
            };
            let begin_to_follow = || {
                // Whoever follows takes records and requests, which are for the broker.
                servers.open(&client);
                if let Some(follow_cells) = follow_cells.take() {
                    follow_cells();
                }
            };
            let Leading {
                lease,
                ledger,
                found,
                tenure,
                prepared,
            } = standby.lead(begin_to_follow).await?;
            (ledger, found, Some((hold(lease), tenure)), prepared)
        }
    };
    retry_at_start(health, || {
        nats::ensure_input_stream(&client, &config.nats, &brands)
    })
    .await?;
    let mut sources = config.brands.iter().flat_map(|brand| &brand.sources);
    let has_addresses = |source: &Source| matches!(source.kind, Kind::Ping | Kind::Partner);
    if config.nats.pings_stream.is_none() && sources.any(has_addresses) {
        tracing::warn!(
            stream = config.nats.input_stream,
            "the broker keeps MAC addresses in clear as long as this stream keeps everything; nats.pings_stream keeps them for an hour"
        );
    }
    let known = retry_at_start(health, || {
        nats::ensure_output_stream(&client, &config.nats, &brands)
    })
    .await?;
    let dead_letters = retry_at_start(health, || {
        nats::ensure_dead_letter_stream(&client, &config.nats)
    })
    .await?;
    let requests =
        retry_at_start(health, || nats::ensure_rights_stream(&client, &config.nats)).await?;
    let created_ns = requests.created_ns;
    retry_at_start(health, || nats::refuse_copies(&client, &config.nats)).await?;
    if let Some(follow_cells) = follow_cells {
        follow_cells();
    }
    let (ledger, recovered) = match opened {
        Some(opened) => opened,
        None => {
            let wanted = wanted(&client, config, None, accept_loss).await?;
            let judged = retry_transient(|| Input::check(&client, &wanted)).await;
            explained(judged, config, &wanted)?;
            refuse_missing_ledger(config, &wanted)?;
            open(config, keyring.clone()).await?
        }
    };
    for loss in &found.losses {
        tracing::error!(loss, "continuing after an accepted loss");
    }
    let id = mark(ledger.watermark()).id();
    if !found.losses.is_empty() {
        losses::repair(config, id)?;
    }
    let objections = Objections::open(config, &rights::files::directory(config), id)?;
    let objections = Arc::new(objections);
    let erased = Arc::new(Erased::open(config, &erased::path(config))?);
    let wall = jiff::Timestamp::now().as_millisecond();
    tombstone_copies::complete(&client, config, &erased, wall).await?;
    let (ledger, mut recovered) = match found.losses.is_empty() {
        true => (ledger, recovered),
        // An older ledger may hold records of objectors, and of people who were erased since.
        false => {
            drop(recovered);
            let (objections, erased) = (objections.clone(), erased.clone());
            let left_out = move || {
                let left_out = losses::leave_out(ledger, &objections, erased);
                left_out.context("leaving out people who have objected or were erased")
            };
            let not_overwritten = tokio::task::spawn_blocking(left_out).await??;
            telemetry.not_overwritten(not_overwritten);
            open(config, keyring.clone()).await?
        }
    };
    let position = recovered.position;
    let mark = mark(ledger.watermark());
    let (held, leads) = match leading {
        Some((held, leads)) => (held, Some(leads)),
        None => {
            let lease = lease::take(&client, config, mark, &telemetry.health).await?;
            (hold(lease), None)
        }
    };
    let Held {
        mut lease,
        fence,
        tenure,
        replaces_another,
    } = held;
    backup::restore::remove_draft(config)?;
    // That of a copy came with it. From now on nobody else has the ledger open, and changes it.
    let moves = Moves::read(&directory)?;
    moves.refuse_start(config, &directory)?;
    if let Some(renewed) = moves.renewed(config, &directory)? {
        renewed.save(&directory)?;
    }
    lease::claim_brands(&client, config, (mark.id(), &moves), accept_loss).await?;
    tokio::spawn(lease::keep_claims(
        client.clone(),
        live.clone(),
        (mark.id(), moves.clone()),
        fence.clone(),
    ));
    tokio::spawn(gauges::lease(telemetry.clone(), fence.clone()));
    let standbys = match leads {
        Some(_) => Standbys::of(fence.clone()),
        None => Standbys::none(),
    };
    servers.open(&client);
    let clocks = Arc::new(Clocks::new(config));
    let time = retry_at_start(health, || nats::broker_time(&client, &config.nats)).await?;
    clocks.set_broker(&time);
    // What was kept of the newest arrival and lies beyond every message of the stream was never true: it mends itself.
    let newest = position.map_or(0, |position| position.newest_at);
    let newest = newest.min(time.newest.unwrap_or(clocks.read().wall.max(time.now)));
    clocks.set_newest(newest);
    telemetry.health.set_clock(clocks.read().disagreement());

    agreement::publish(&client, config, mark.id()).await?;
    let draw = agreement::noise_draw(&client, config, mark.id()).await?;
    let begun = match prepared {
        Some(prepared) => block_in_place(|| prepared.go_on(&mut recovered, draw, &moves))?,
        None => None,
    };
    let (prepared, outputs, first_epoch) = match begun {
        Some(begun) => (Some(begun.workers), begun.outputs, begun.epoch),
        None => (None, outputs, restore::FIRST),
    };
    let listener = outputs.listener(&telemetry);
    let Outputs {
        tally,
        queries,
        cells,
        to_publisher,
        outgoing,
        ledger_tx,
        ledger_rx,
    } = outputs;
    let acknowledged = Arc::default();
    let publisher = publish(
        client.clone(),
        config.nats.output_stream.clone(),
        fence.clone(),
        outgoing,
        telemetry.clone(),
        Arc::clone(&acknowledged),
    );
    let publisher = tokio::spawn(publisher);
    let (watermark_tx, watermark) = watch::channel(DurablePosition::default());
    let commits = Commits::new(
        ledger,
        &client,
        config,
        telemetry.clone(),
        tally.clone(),
        watermark_tx,
        standbys.clone(),
    )
    .stated_by(fence.clone());
    let extent = commits.extent();
    if let Some(leads) = leads.clone() {
        tokio::spawn(standby::serve(
            client.clone(),
            config.clone(),
            leads,
            extent.clone(),
            standbys.clone(),
            ended,
        ));
    }
    let (backup, backup_task) =
        backup::start(&client, config, fence.clone(), commits.extent(), &telemetry).await?;
    let commits = tokio::spawn(commits.run(ledger_rx));
    let republish = Arc::new(Republish::default());
    if replaces_another && is_cluster {
        // Each process publishes the cells that it owns, and knows those once they are computed. One that is alone publishes
        // again what it finds (`restore`).
        republish.request();
    }
    let output_watch = OutputWatch {
        live: live.clone(),
        client: client.clone(),
        health: telemetry.health.clone(),
        tally: tally.clone(),
        out: to_publisher.clone(),
        republish: republish.clone(),
        known,
        dead_letters,
        subjects: KnownSubjects::of(acknowledged),
    };
    // This waits for all of them.
    let peers = tokio::select! {
        peers = cluster::meet(&client, config, draw, tenure, &telemetry.health) => peers?,
        // Whoever was suspended meanwhile is not waited for.
        ended = &mut lease => return Err(lease::lost(ended)),
    };
    telemetry.health.set_starting();
    let watching = cluster::watch(client.clone(), config.clone(), peers.tenures.clone());
    let mut members = tokio::spawn(watching);
    let settings = settings_drawn(config, &|brand: &Brand| moves.draw(brand, draw));
    let settings = Arc::new(settings);
    let decoder = decoder_of(config);
    let workers = block_in_place(|| match prepared {
        Some(workers) => {
            drop(listener);
            let objections = objections.clone();
            match workers.change(config, settings, decoder, keyring, objections) {
                true => Ok(workers),
                false => bail!("the worker threads have stopped"),
            }
        }
        None => Workers::start(
            config,
            settings,
            decoder,
            keyring,
            objections.clone(),
            listener,
            peers,
        ),
    })?;
    agreement::compare(&client, config, draw, None).await?;
    let output_watch = tokio::spawn(output_watch.watch());
    let context = ProcessContext {
        file: file.to_owned(),
        live,
        client: client.clone(),
        telemetry: telemetry.clone(),
        cells,
        shown,
        follows: is_cluster || may_follow,
        signer,
        listeners,
        tally: tally.clone(),
        queries,
        ledger_tx: ledger_tx.downgrade(),
        publisher_tx: to_publisher.downgrade(),
        watermark,
        fence,
        standbys,
        backup,
        republish,
        draw,
        extent,
        leads,
        mark,
        created_ns,
        accept_loss,
    };
    let gauges = context.gauges(config, clocks.clone());
    let now = clocks.read().release_time();
    let restored = restore(
        &client,
        config,
        recovered,
        workers,
        &telemetry,
        &tally,
        &to_publisher,
        now,
        first_epoch,
        replaces_another && !is_cluster,
    );
    // This waits for the other processes as well.
    let workers = tokio::select! {
        restored = restored => restored?,
        ended = &mut lease => return Err(lease::lost(ended)),
        replaced = &mut members => return Err(replaced?),
    };
    // The publisher ends when nobody can send to it any more.
    drop(to_publisher);
    let files = RightsFiles {
        objections,
        erased,
        found,
    };
    let beginning = Beginning {
        position,
        all_restored: false,
        newest,
        clocks,
        gauges,
        is_reload: false,
    };
    let opened = context.open(config, files, beginning, end).await;
    // From now on the workers and the tasks keep the ledger open.
    drop(ledger_tx);
    let (tasks, feed, inputs) = opened?;
    Ok(RunningWorker {
        context,
        servers,
        tasks,
        workers,
        feed,
        inputs,
        commits,
        publisher,
        served,
        output_watch,
        lease,
        members,
        backup: backup_task,
    })
}
