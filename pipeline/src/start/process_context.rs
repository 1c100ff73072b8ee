//! The parts of a process that live as long as it, and make the others.
//!
//! The dataflow with all records, the ledger, the lease and the publisher are made
//! once. [`ProcessContext`] has the handles to them, from which
//! [`ProcessContext::open`] makes the tasks of the brands ([`super::brand_tasks`]) and
//! the feed, once or again.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tributary_config::model::Config;
use tributary_connectors::nats::{self, Client, Fence};
use tributary_connectors::settings::NoiseDraw;
use tributary_ledger::{Extent, Position};
use tributary_rights::LedgerWatermark;

use super::brand_tasks::BrandTasks;
use super::gauges::gauge;
use super::input::open_inputs;
use super::servers::Listeners;
use super::unserved;
use crate::broker::retry::{persistently, retry_transient, wait_until};
use crate::durability::backups::Backup;
use crate::durability::command::{DurablePosition, LedgerCommand};
use crate::durability::moves::Moves;
use crate::durability::standbys::Standbys;
use crate::epochs::clock::{self, Clocks};
use crate::epochs::queries::Queries;
use crate::live_config::LiveConfig;
use crate::privacy::erased::Erased;
use crate::privacy::objections::Objections;
use crate::privacy::retention_pass::RetentionPass;
use crate::privacy::rights::losses::LossReport;
use crate::privacy::rights::signature::Signer;
use crate::privacy::rights::{self, Rights, RightsContext, callbacks};
use crate::report::published_cells::SharedCells;
use crate::report::tally::Tally;
use crate::report::telemetry::Telemetry;
use crate::serve::follow::follow;
use crate::serve::services;
use crate::serve::services::key_rotation::KeyRotations;
use crate::standby;
use crate::standby::mark::Tenure;
use crate::worker::feed::{Feed, Inputs};
use crate::worker::output_watch::Republish;
use crate::worker::publisher::PublisherCommand;

/// The parts of a process that live as long as it.
pub struct ProcessContext {
    /// The configuration file.
    pub(super) file: PathBuf,
    /// The configuration as it is now.
    pub(super) live: LiveConfig,
    pub(super) client: Client,
    pub(super) telemetry: Telemetry,
    /// The cells of this process.
    pub(super) cells: SharedCells,
    /// The cells that it shows.
    pub(super) shown: SharedCells,
    /// Whether it shows cells of other processes, which it reads from the output stream.
    pub(super) follows: bool,
    pub(super) signer: Option<Arc<Signer>>,
    pub(super) listeners: Listeners,
    pub(super) tally: Arc<Tally>,
    pub(super) queries: Queries,
    /// The task that owns the ledger, which ends once only this is left.
    pub(super) ledger_tx: mpsc::WeakUnboundedSender<LedgerCommand>,
    /// The publisher, which ends likewise.
    pub(super) publisher_tx: mpsc::WeakUnboundedSender<PublisherCommand>,
    /// The position up to which everything is durable.
    pub(super) watermark: watch::Receiver<DurablePosition>,
    pub(super) fence: Fence,
    pub(super) standbys: Standbys,
    pub(super) backup: Backup,
    pub(super) republish: Arc<Republish>,
    /// The draw of noise.
    pub(super) draw: NoiseDraw,
    /// How far the active segment of the ledger is durable.
    pub(super) extent: watch::Receiver<Extent>,
    /// Since when it leads, if it has a copy of the ledger.
    pub(super) leads: Option<Tenure>,
    /// The ledger as it was opened.
    pub(super) mark: LedgerWatermark,
    /// When the stream of rights requests was made, Unix nanoseconds.
    pub(super) created_ns: i64,
    /// Whether a loss of input does not stop the start.
    pub(super) accept_loss: bool,
}

/// The files of rights requests beside the ledger, open for the brands of a
/// configuration.
pub(super) struct RightsFiles {
    pub(super) objections: Arc<Objections>,
    pub(super) erased: Arc<Erased>,
    /// What they were compared with.
    pub(super) found: LossReport,
}

/// Where a feed begins.
pub(super) struct Beginning {
    /// The position after which input is read.
    pub(super) position: Option<Position>,
    /// See [`Feed::all_restored`].
    pub(super) all_restored: bool,
    /// The newest arrival of before, Unix milliseconds.
    pub(super) newest: i64,
    pub(super) clocks: Arc<Clocks>,
    /// The tasks that update the gauges.
    pub(super) gauges: JoinHandle<()>,
    /// Whether a running process goes on, which waits for the broker for as long as it takes.
    pub(super) is_reload: bool,
}

impl ProcessContext {
    /// Starts what is needed before the dataflow: whoever follows is shown the cells of
    /// others, and standbys receive copies. Returns the end of these and of all other
    /// tasks of the configuration.
    pub(super) fn begin(&self, config: &Config) -> watch::Sender<bool> {
        let (end, ended) = watch::channel(false);
        if let Some(leads) = self.leads.clone() {
            tokio::spawn(standby::serve(
                self.client.clone(),
                config.clone(),
                leads,
                self.extent.clone(),
                self.standbys.clone(),
                ended.clone(),
            ));
        }
        if self.follows {
            let (client, config, shown) = (self.client.clone(), config.clone(), self.shown.clone());
            let health = self.telemetry.health.clone();
            tokio::spawn(
                async move { follow(&client, &config, &shown, &health, false, ended).await },
            );
        }
        end
    }

    /// Opens the input for the brands of a configuration, and starts their tasks.
    /// Returns these, and the feed with its input.
    ///
    /// # Errors
    ///
    /// A broker that does not answer, a loss of input that was not accepted, or a file
    /// of rights requests that cannot be read.
    pub(super) async fn open(
        &self,
        config: &Config,
        files: RightsFiles,
        beginning: Beginning,
        end: watch::Sender<bool>,
    ) -> anyhow::Result<(BrandTasks, Feed, Inputs)> {
        let ProcessContext {
            client, telemetry, ..
        } = self;
        let RightsFiles {
            objections,
            erased,
            found,
        } = files;
        let Beginning {
            position,
            all_restored,
            newest,
            clocks,
            gauges,
            is_reload,
        } = beginning;
        let ledger_tx = self.ledger_tx.upgrade();
        let ledger_tx = ledger_tx.ok_or_else(|| anyhow!("the ledger has stopped"))?;
        let opened = || async {
            // What was accepted at the start was lost before it.
            let accept_loss = self.accept_loss && !is_reload;
            let (inputs, stream) = open_inputs(client, config, position, accept_loss).await?;
            let state = || nats::stream_state(client, &config.nats.input_stream);
            let past = retry_transient(state).await?.last_sequence;
            anyhow::Ok((inputs, stream, past))
        };
        let (inputs, stream, past) = match is_reload {
            true => persistently(opened).await?,
            false => opened().await?,
        };
        let services = tokio::spawn(services::serve(
            client.clone(),
            config.clone(),
            self.queries.clone(),
            KeyRotations::new(self.file.clone(), config, &ledger_tx),
            wait_until(end.subscribe()),
        ));
        let settling = Arc::new(tokio::sync::Mutex::new(()));
        let of_rights = RightsContext {
            config: config.clone(),
            settling: settling.clone(),
            client: client.clone(),
            queries: self.queries.clone(),
            ledger_tx: ledger_tx.clone(),
            watermark: self.watermark.clone(),
            fence: self.fence.clone(),
            standbys: self.standbys.clone(),
            backup: self.backup.clone(),
            objections: objections.clone(),
            erased: erased.clone(),
            generation: stream.generation,
            generation_of_pings: inputs
                .pings
                .as_ref()
                .map_or(0, |pings| pings.stream.generation),
            restored: position
                .filter(|position| position.stream == Some(stream))
                .map_or(0, |position| position.sequence),
            restored_pings: position
                .and_then(|position| position.pings)
                .filter(|kept| inputs.pings.as_ref().map(|pings| pings.stream) == Some(kept.stream))
                .map_or(0, |kept| kept.sequence),
            telemetry: telemetry.clone(),
            mark: self.mark,
            found,
            created_ns: self.created_ns,
        };
        let open_rights = || Rights::open(of_rights.clone());
        let (rights, requests) = match is_reload {
            true => persistently(open_rights).await?,
            false => open_rights().await?,
        };
        let (cleared, clear) = watch::channel(rights.is_clear());
        let rights = tokio::spawn(rights.run(requests, end.subscribe(), cleared));
        if let Some(signer) = self.signer.clone().filter(|_| config.workers.process == 0) {
            let (client, config, stop) = (client.clone(), config.clone(), end.subscribe());
            let metrics = telemetry.metrics.clone();
            tokio::spawn(async move {
                let delivered = callbacks::deliver(&config, &client, signer, metrics, stop).await;
                if let Err(error) = delivered {
                    tracing::error!(%error, "callbacks of OpenDSR are no longer posted");
                }
            });
        }
        tokio::spawn(rights::audit_watch::watch(
            config.clone(),
            telemetry.metrics.clone(),
            wait_until(end.subscribe()),
        ));
        let retention = RetentionPass {
            config: config.clone(),
            queries: self.queries.clone(),
            ledger_tx: ledger_tx.clone(),
            metrics: telemetry.metrics.clone(),
            traces: telemetry.traces.clone(),
            clocks: clocks.clone(),
            erased,
            settling,
            standbys: self.standbys.clone(),
        };
        let retention = tokio::spawn(retention.run(end.subscribe()));
        let (pause, paused) = watch::channel(false);
        let feed = Feed {
            config: config.clone(),
            live: self.live.clone(),
            telemetry: telemetry.clone(),
            queries: self.queries.clone(),
            tally: self.tally.clone(),
            ledger_tx,
            watermark: self.watermark.clone(),
            stream,
            past,
            all_restored,
            pause: paused,
            position,
            client: client.clone(),
            standbys: self.standbys.clone(),
            clocks,
            newest,
            clear,
            republish: self.republish.clone(),
        };
        let tasks = BrandTasks {
            end,
            pause,
            services,
            gauges,
            rights: Some(rights),
            retention,
            objections,
        };
        Ok((tasks, feed, inputs))
    }

    /// Starts the tasks that update the gauges.
    pub(super) fn gauges(&self, config: &Config, clocks: Arc<Clocks>) -> JoinHandle<()> {
        let (client, telemetry) = (self.client.clone(), self.telemetry.clone());
        let metrics = telemetry.metrics.clone();
        let counted = gauge(
            config.clone(),
            telemetry.clone(),
            self.cells.clone(),
            self.tally.clone(),
            self.standbys.clone(),
            self.backup.clone(),
        );
        let waiting = rights::waiting::watch(config.clone(), client.clone(), metrics.clone());
        let served_brands = unserved::watch(config.clone(), client.clone(), metrics);
        let compared = clock::watch(config.clone(), client, clocks, telemetry);
        tokio::spawn(async {
            tokio::join!(counted, waiting, compared, served_brands);
        })
    }
}

impl ProcessContext {
    /// Ends the queries in progress, because the workers end.
    pub fn close(&self) {
        self.queries.close();
    }

    /// The position up to which everything is durable.
    pub fn durable(&self) -> DurablePosition {
        *self.watermark.borrow()
    }

    /// Waits until everything is sent to the broker.
    ///
    /// # Errors
    ///
    /// A connection that is closed.
    pub async fn flush(&self) -> anyhow::Result<()> {
        self.client.flush().await.map_err(Into::into)
    }
}

/// The moves of brands of the ledger of a configuration.
///
/// # Errors
///
/// A file that cannot be read.
pub(super) fn moves(config: &Config) -> anyhow::Result<Moves> {
    Moves::read(&crate::durability::location::ledger_options(config).directory)
}
