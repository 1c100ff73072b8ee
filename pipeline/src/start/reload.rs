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

use anyhow::anyhow;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};
use tributary_config::model::{Brand, Config};
use tributary_ledger::Keyring;
use tributary_operators::ask::Question;
use tributary_operators::record::BrandId;

use super::brand_tasks::BrandTasks;
use super::process_context::{Beginning, ProcessContext, moves};
use super::servers::Servers;
use crate::broker::retry::{persistently, wait_until};
use crate::privacy::objections::Objections;
use crate::worker::feed::Fed;
use crate::worker::publisher::PublisherCommand;
use crate::worker::threads::{Workers, decoder_of};

mod prepare;

use prepare::{Prepared, has_records};

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
            let reopened = persistently(|| self.open_files(&now));
            let Some(reopened) = unless_stopped(&stop, reopened).await else {
                return Ok(Reloaded::Stopped(Some(Box::new(fed))));
            };
            files = reopened?;
            refused = Some(why);
            self.state_configuration(&now).await;
        }
        let clocks = match refused {
            None => clocks,
            Some(_) => {
                let of_before = persistently(|| self.clocks(&now));
                let Some(of_before) = unless_stopped(&stop, of_before).await else {
                    return Ok(Reloaded::Stopped(Some(Box::new(fed))));
                };
                of_before?
            }
        };
        fed.workers = self
            .change_workers(fed.workers, config, keyring, files.objections.clone())
            .await?;
        let mut watermark = self.watermark.clone();
        let durable = watermark.wait_for(|durable| durable.marks >= fed.marks);
        let durable = *durable
            .await
            .map_err(|_| anyhow!("the ledger has stopped"))?;
        if let Some(mut inputs) = fed.inputs.take() {
            unless_stopped(&stop, inputs.acknowledge(&durable)).await;
        }

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
        let opened = self.open(config, files, beginning, end);
        let Some(opened) = unless_stopped(&stop, opened).await else {
            return Ok(Reloaded::Stopped(Some(Box::new(fed))));
        };
        let (tasks, feed, inputs) = opened?;
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

/// Waits for something, which a broker that is away may keep from ending, unless the process is told to stop.
async fn unless_stopped<T>(
    stop: &watch::Receiver<bool>,
    waits: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        done = waits => Some(done),
        () = wait_until(stop.clone()) => None,
    }
}
