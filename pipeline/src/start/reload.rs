//! A reload that adds brands or sources, or makes a release gate stricter: the
//! process goes on with another configuration, without a restart.
//!
//! The dataflow, the ledger and the lease stay as they are, with everything that they
//! hold. All other parts are made anew for the new configuration:
//!
//! 1. Everything that may refuse is asked, while the process goes on. Nothing has
//!    changed if it does.
//! 2. Rights requests and the retention pass finish what they are at, while epochs go on.
//! 3. The feed pauses between two epochs. The worker threads finish all epochs,
//!    and change together.
//! 4. The tasks of the brands are made anew ([`super::brand_tasks`]), the servers on
//!    the same sockets, and the feed goes on where it paused.
//!
//! A kill at any of these points leaves a ledger like any other, with which the next
//! start begins under the configuration of its file. A new brand has no records
//! before, so that the results are those of a start with all brands.

use std::pin::Pin;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};
use tributary_config::model::{Brand, Config, Source};
use tributary_connectors::decode::Decoder;
use tributary_connectors::nats;
use tributary_ledger::Keyring;
use tributary_operators::ask::Question;
use tributary_operators::label::Label;
use tributary_operators::record::BrandId;

use super::brand_tasks::BrandTasks;
use super::lease;
use super::process_context::{Beginning, ProcessContext, RightsFiles, moves};
use super::servers::Servers;
use crate::broker::retry::{persistently, retry_transient, wait_until};
use crate::durability::command::LedgerCommand;
use crate::durability::location::ledger_options;
use crate::epochs::clock::Clocks;
use crate::privacy::erased::{self, Erased};
use crate::privacy::objections::Objections;
use crate::privacy::rights::{self, losses};
use crate::shared_settings;
use crate::worker::feed::Fed;
use crate::worker::publisher::PublisherCommand;
use crate::worker::threads::Workers;

/// Maximum time for the last responses of the servers of before.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// Maximum time for the first cells after a change to reach the broker.
const CONFIRM: std::time::Duration = std::time::Duration::from_secs(10);

/// The parts of a process that a reload replaces.
pub struct Replaceable {
    /// The HTTP servers.
    pub servers: Servers,
    /// The tasks of the brands.
    pub tasks: BrandTasks,
    /// The feed, which whoever has it polls.
    pub feed: RunningFeed,
}

/// A running feed. It is no task of its own: it works between two messages, and the
/// tasks that share its thread would wait for it, that of the connection to the broker
/// among them.
pub type RunningFeed = Pin<Box<dyn Future<Output = anyhow::Result<Fed>> + Send>>;

/// How a reload ended.
pub enum Reloaded {
    /// The process works by the new configuration.
    Done,
    /// Everything stays as it was, for this reason.
    Refused(String),
    /// A signal came first: the feed has ended, or will, and the process ends.
    Stopped(Option<Box<Fed>>),
}

/// What the preparation of a reload has found.
struct Prepared {
    keyring: Arc<Keyring>,
    clocks: Arc<Clocks>,
}

impl ProcessContext {
    /// Goes on with `next` in place of the current configuration, which may differ by
    /// what [`crate::live_config`] says.
    ///
    /// # Errors
    ///
    /// What ends the process: workers or a ledger that have stopped, or a broker that
    /// does not answer once everything has changed.
    pub async fn reload(
        &self,
        next: &Arc<Config>,
        current: &watch::Sender<Arc<Config>>,
        running: &mut Replaceable,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Reloaded> {
        let begun = Instant::now();
        let now = current.borrow().clone();
        let prepared = tokio::select! {
            prepared = self.prepare(&now, next) => prepared,
            fed = &mut running.feed => return Ok(Reloaded::Stopped(Some(Box::new(fed?)))),
            () = wait_until(stop.clone()) => return Ok(Reloaded::Stopped(None)),
        };
        let Prepared { keyring, clocks } = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Ok(Reloaded::Refused(format!("{error:#}"))),
        };
        let reopened = async {
            running.tasks.finish().await;
            match persistently(|| self.open_files(next)).await {
                Ok(files) => anyhow::Ok((next, keyring, files, None)),
                Err(error) => {
                    let files = persistently(|| self.open_files(&now)).await?;
                    let keyring = Arc::new(Keyring::new(&now));
                    Ok((&now, keyring, files, Some(format!("{error:#}"))))
                }
            }
        };
        let reopened = tokio::select! {
            reopened = reopened => reopened,
            fed = &mut running.feed => return Ok(Reloaded::Stopped(Some(Box::new(fed?)))),
        };
        let (mut config, mut keyring, mut files, mut refused) = reopened?;
        if refused.is_none() {
            // A standby with the old configuration does not take over from here on.
            tokio::select! {
                is_stored = self.state_configuration(config) => if !is_stored {
                    // Whoever waits for the lease ends the process.
                    return Ok(Reloaded::Refused("the lease is lost".to_owned()));
                },
                fed = &mut running.feed => return Ok(Reloaded::Stopped(Some(Box::new(fed?)))),
            }
        }
        let paused = Instant::now();
        let _ = running.tasks.pause.send(true);
        let mut fed = (&mut running.feed).await?;
        if *stop.borrow() {
            return Ok(Reloaded::Stopped(Some(Box::new(fed))));
        }
        if refused.is_none()
            && let Some(why) = has_records(&fed.workers, &now, next)?
        {
            (config, keyring) = (&now, Arc::new(Keyring::new(&now)));
            // A file is open once.
            files.objections.close();
            drop(files);
            files = persistently(|| self.open_files(&now)).await?;
            refused = Some(why);
            self.state_configuration(&now).await;
        }
        let clocks = match refused {
            None => clocks,
            Some(_) => persistently(|| self.clocks(&now)).await?,
        };
        fed.workers = self
            .change_workers(fed.workers, config, keyring, files.objections.clone())
            .await?;
        let mut watermark = self.watermark.clone();
        let durable = watermark.wait_for(|durable| durable.marks >= fed.marks);
        let durable = *durable
            .await
            .map_err(|_| anyhow!("the ledger has stopped"))?;
        fed.inputs.acknowledge(&durable).await;
        drop(fed.inputs);

        current.send_replace(config.clone());
        self.telemetry.metrics.follow(config);
        let signer = self.signer.clone();
        let servers = Servers::start(
            &self.listeners,
            &self.live,
            &self.telemetry,
            &self.shown,
            signer,
        )?;
        servers.open(&self.client);
        let before = std::mem::replace(&mut running.servers, servers);
        tokio::spawn(before.end(Instant::now() + GRACE));
        let beginning = Beginning {
            position: Some(fed.position),
            all_restored: fed.all_restored,
            newest: fed.position.newest_at,
            clocks: clocks.clone(),
            gauges: self.gauges(config, clocks),
            is_reload: true,
        };
        let end = self.begin(config);
        let (tasks, feed, inputs) = self.open(config, files, beginning, end).await?;
        running.tasks = tasks;
        running.feed = Box::pin(feed.run(inputs, fed.workers, stop));
        tracing::info!(
            milliseconds = begun.elapsed().as_millis(),
            paused_milliseconds = paused.elapsed().as_millis(),
            "input is read again"
        );
        tokio::select! {
            () = self.withdrawn() => {}
            fed = &mut running.feed => return Ok(Reloaded::Stopped(Some(Box::new(fed?)))),
        }
        Ok(match refused {
            None => Reloaded::Done,
            Some(why) => Reloaded::Refused(why),
        })
    }

    /// Waits until the broker has what the first release after the change has withdrawn: from
    /// then on, nothing comes back with a kill. A broker that is away is not waited for
    /// for long.
    async fn withdrawn(&self) {
        let released = async {
            // It is answered at the end of the first epoch, which releases.
            let nobodys = Question::Cells {
                brand: BrandId(0),
                family: None,
            };
            self.queries.submit(nobodys).await?;
            let (confirm, confirmed) = oneshot::channel();
            let command = PublisherCommand::Confirm(confirm);
            self.publisher_tx.upgrade()?.send(command).ok()?;
            confirmed.await.ok()
        };
        if !matches!(timeout(CONFIRM, released).await, Ok(Some(()))) {
            tracing::warn!("the broker does not have all cells of the new configuration yet");
        }
    }

    /// Asks everything that may refuse, and prepares ledger and broker for new brands, in
    /// ways that change nothing for the others.
    ///
    /// # Errors
    ///
    /// A refusal, or a broker that does not answer.
    async fn prepare(&self, now: &Config, next: &Config) -> anyhow::Result<Prepared> {
        let client = &self.client;
        let is_known = |brand: &&Brand| now.brands.iter().any(|known| known.name == brand.name);
        let added = next.brands.iter().filter(|brand| !is_known(brand));
        let added = Config {
            brands: added.cloned().collect(),
            ..next.clone()
        };
        for brand in &added.brands {
            // A start would compare them with what is computed, and close those that are wrong.
            let stream = &next.nats.output_stream;
            let cells = format!("tributary.out.{}.>", brand.name);
            if retry_transient(|| nats::has_messages(client, stream, &cells)).await? {
                bail!(
                    "brand.{} is new, but the stream {stream} has cells of it: needs a restart",
                    brand.name
                );
            }
        }
        let moves = moves(next)?;
        moves.refuse_start(next, &ledger_options(next).directory)?;
        lease::check_claims(client, &added, &moves, false, None).await?;
        losses::compare_logs(Some(client), next).await?;
        let keyring = Arc::new(Keyring::new(next));
        let (done, added_brands) = oneshot::channel();
        self.ledger_tx
            .upgrade()
            .and_then(|ledger| {
                ledger
                    .send(LedgerCommand::AddBrands(keyring.clone(), done))
                    .ok()
            })
            .ok_or_else(|| anyhow!("the ledger has stopped"))?;
        added_brands.await?.map_err(|why| anyhow!(why))?;
        let names: Vec<&str> = next.brands.iter().map(|b| b.name.as_str()).collect();
        retry_transient(|| nats::ensure_input_stream(client, &next.nats, &names)).await?;
        retry_transient(|| nats::ensure_output_stream(client, &next.nats, &names)).await?;
        lease::claim_brands(client, &added, (self.mark.id(), &moves), false).await?;
        let clocks = self.clocks(next).await?;
        Ok(Prepared { keyring, clocks })
    }

    /// The clocks of a configuration, which agree with the broker's.
    ///
    /// # Errors
    ///
    /// A broker that does not answer.
    async fn clocks(&self, config: &Config) -> anyhow::Result<Arc<Clocks>> {
        let clocks = Arc::new(Clocks::new(config));
        let time = || nats::broker_time(&self.client, &config.nats);
        clocks.set_broker(&retry_transient(time).await?);
        Ok(clocks)
    }

    /// Has the lease state the brands and the settings of a configuration. Returns whether it
    /// does: not if it is lost.
    async fn state_configuration(&self, config: &Config) -> bool {
        let names = config.brands.iter().map(|brand| brand.name.clone());
        let settings = shared_settings::digest(config);
        self.fence.set_configured(names.collect(), settings).await
    }

    /// Opens the files of rights requests, which nobody else has open.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or that was changed, or a broker that does not answer.
    async fn open_files(&self, config: &Config) -> anyhow::Result<RightsFiles> {
        let found = losses::receipts(&self.client, config).await?;
        if !found.losses.is_empty() {
            bail!("{}", found.refusal(config));
        }
        let directory = rights::files::directory(config);
        let objections = Objections::open(config, &directory, self.mark.id())?;
        let erased = Erased::open(config, &erased::path(config))?;
        Ok(RightsFiles {
            objections: Arc::new(objections),
            erased: Arc::new(erased),
            found,
        })
    }

    /// Has the worker threads finish all epochs and change.
    ///
    /// # Errors
    ///
    /// Threads that have stopped.
    async fn change_workers(
        &self,
        workers: Workers,
        config: &Arc<Config>,
        keyring: Arc<Keyring>,
        objections: Arc<Objections>,
    ) -> anyhow::Result<Workers> {
        let moves = moves(config)?;
        let drawn = |brand: &Brand| moves.draw(brand, self.draw);
        let settings = Arc::new(tributary_connectors::settings::settings_drawn(
            config, &drawn,
        ));
        let config = config.clone();
        let changing = tokio::task::spawn_blocking(move || {
            let decoder = decoder_of(&config);
            let changed = workers.change(&config, settings, decoder, keyring, objections);
            (workers, changed)
        });
        match changing.await? {
            (workers, true) => Ok(workers),
            (workers, false) => workers
                .finish()
                .and(Err(anyhow!("the worker threads have stopped"))),
        }
    }
}

/// Why a source is not new, if there are records of its name, which would go on without its
/// basis and its trust. Of other sources these say nothing.
///
/// # Errors
///
/// Threads that have stopped.
fn has_records(workers: &Workers, now: &Config, next: &Config) -> anyhow::Result<Option<String>> {
    for brand in &next.brands {
        let Some(before) = now.brands.iter().find(|of| of.name == brand.name) else {
            continue;
        };
        let is_new = |of: &&Source| before.sources.iter().all(|known| known.name != of.name);
        let counts_otherwise = |of: &&Source| brand.rests_on_consent(of) || of.is_open();
        let sources = brand.sources.iter();
        for source in sources.filter(is_new).filter(counts_otherwise) {
            let label = [(BrandId::of(&brand.name), Label::of(&source.name))];
            let knows = tokio::task::block_in_place(|| workers.know(&label));
            if knows.ok_or_else(|| anyhow!("the worker threads have stopped"))? {
                return Ok(Some(format!(
                    "brand.{}.source.{} is new, but there are records with this name, which would count as before: needs a \
                     restart",
                    brand.name, source.name
                )));
            }
        }
    }
    Ok(None)
}

/// The decoder of a process.
pub(super) fn decoder_of(config: &Config) -> Decoder {
    let decoder = Decoder::new(config);
    match config.nats.pings_stream {
        Some(_) => decoder.refusing_addresses(),
        None => decoder,
    }
}
