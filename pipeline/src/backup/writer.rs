//! The task that keeps the backup of this process up to date: at the start, every
//! `ledger.backup_every`, when an erasure waits for it, and once the ledger is closed.
//!
//! A directory that cannot be written holds up nothing but the backup: that is logged
//! and counted. An erasure does not wait for the directory either: the key of the backup
//! is destroyed, with which everything in it is unreadable, and the backup is written
//! anew once the directory is back. The same happens after [`LONGEST`] without a
//! renewal, because the salts of closed days are to be unreadable everywhere at some
//! time.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::{mpsc, watch};
use tributary_config::model::Config;
use tributary_connectors::nats::{Client, Fence};
use tributary_ledger::{Extent, FileKey};

use super::copying::Sources;
use super::directory::{Directory, index_name};
use super::known::{self, Known, NotOurs};
use super::{index, keys};
use crate::broker::retry::wait_until;
use crate::durability::backups::{Backup, Waiting};
use crate::durability::location::ledger_options;
use crate::durability::snapshot::Snapshot;
use crate::privacy::rights::files;
use crate::report::telemetry::Telemetry;

mod upkeep;

/// How often a snapshot is taken of files that are replaced while they are copied.
const TRIES: usize = 50;

/// The longest time for which a backup is kept that cannot be renewed.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// The longest pause after an attempt that failed.
const RETRY: Duration = Duration::from_secs(60);

/// How often a renewal is tried for which an erasure waits.
const ATTEMPTS: usize = 3;

/// The pause between two attempts for which an erasure waits.
const PAUSE: Duration = Duration::from_secs(1);

/// The parts of a worker that [`Writer`] uses.
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The broker, which has the key.
    pub client: Client,
    /// Whether this process leads: another one that does writes the backup.
    pub fence: Fence,
    /// How far the active segment is durable.
    pub extent: watch::Receiver<Extent>,
    /// The backup, as others know it.
    pub backup: Backup,
    /// Metrics.
    pub telemetry: Telemetry,
}

/// Writes the backup of this process.
pub struct Writer {
    parts: Parts,
    directory: Directory,
    sources: Sources,
    /// What the backup consists of; `None` if it must be read.
    known: Option<Known>,
    /// Files that this process has written, and of which no index that counts is known to
    /// list them.
    written: BTreeSet<String>,
    /// The file that was opened last, to see whether it is what was written.
    opened: String,
}

impl Writer {
    /// The writer of the backup in `backup`.
    pub fn new(parts: Parts, backup: &std::path::Path) -> Writer {
        let config = &parts.config;
        Writer {
            directory: Directory::of(backup, &config.workers.name()),
            sources: Sources {
                ledger: ledger_options(config).directory,
                rights: files::directory(config),
                run: data_encoding::HEXLOWER.encode(&rand::random::<[u8; 8]>()),
            },
            known: None,
            written: BTreeSet::new(),
            opened: String::new(),
            parts,
        }
    }

    /// Keeps the backup up to date until `stop`, and brings it up to date then.
    pub async fn run(
        mut self,
        mut requests: mpsc::UnboundedReceiver<Waiting>,
        stop: watch::Receiver<bool>,
    ) {
        let every = Duration::from_millis(self.parts.config.ledger.backup_every_ms);
        let mut pause = Duration::ZERO;
        self.warn_of_one_disk().await;
        loop {
            let mut waiting = Vec::new();
            let is_last = tokio::select! {
                biased;
                () = wait_until(stop.clone()) => true,
                _ = requests.recv_many(&mut waiting, usize::MAX) => false,
                () = tokio::time::sleep(pause) => false,
            };
            let begun = Instant::now();
            let is_awaited = waiting.iter().any(|request: &Waiting| request.is_erasure);
            let left = self.renew(is_awaited).await;
            for request in waiting {
                // Whoever waits may have ended.
                let _ = request.done.send(left);
            }
            if is_last {
                return;
            }
            let is_renewed = self.parts.backup.age() <= begun.elapsed();
            pause = if is_renewed { every } else { every.min(RETRY) };
        }
    }

    /// Warns if the backup is on the disk of the ledger, and is lost with it: its own disk
    /// may not be mounted.
    async fn warn_of_one_disk(&self) {
        let ledger = self.sources.ledger.clone();
        let is_one = self
            .directory
            .step(move |directory| Ok(directory.device()? == std::fs::metadata(ledger)?.dev()));
        // A disk that is away is named by the renewal.
        if is_one.await.unwrap_or(false) {
            let directory = self.directory.path().display().to_string();
            tracing::warn!(
                directory,
                "the backup is on the disk of the ledger, and is lost with it: is its own disk mounted?"
            );
        }
    }

    /// Brings the backup up to date, or destroys its key if that fails and an erasure
    /// waits for it. Returns the number of keys that could not be destroyed.
    async fn renew(&mut self, is_awaited: bool) -> u64 {
        let mut attempts = 0;
        loop {
            let begun = Instant::now();
            let Err(error) = self.bring_up_to_date().await else {
                self.parts.backup.set_renewed(begun);
                return 0;
            };
            self.parts.telemetry.metrics.backup_failed();
            let directory = self.directory.path().display().to_string();
            tracing::warn!(
                directory,
                error = format!("{error:#}"),
                "cannot bring the backup up to date"
            );
            // The ledger to which the key belongs was lost: it is to be restored with this backup.
            if matches!(error.downcast_ref(), Some(NotOurs::Lost(_))) {
                return u64::from(is_awaited);
            }
            if !is_awaited && self.parts.backup.age() < LONGEST {
                return 0;
            }
            attempts += 1;
            if is_awaited && attempts < ATTEMPTS {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            self.known = None;
            match self.destroy().await {
                Ok(0) => return 0,
                Ok(_) => {
                    tracing::error!(
                        directory,
                        "destroyed the key of the backup, which could not be renewed: there is no backup until it can be"
                    );
                    return 0;
                }
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    "retrying to destroy the key of the backup"
                ),
            }
            if !is_awaited {
                return 0;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Destroys the key of the backup.
    ///
    /// # Errors
    ///
    /// A lost lease, or a broker that does not answer.
    async fn destroy(&self) -> anyhow::Result<usize> {
        self.check_lease()?;
        keys::destroy_all(&self.parts.client, &self.parts.config).await
    }

    /// Refuses to go on for a process that does not lead.
    ///
    /// # Errors
    ///
    /// A lease that was not renewed in time.
    fn check_lease(&self) -> anyhow::Result<()> {
        match self.parts.fence.holds(None) {
            true => Ok(()),
            false => bail!("this process does not hold its lease"),
        }
    }

    /// Executes the steps ([`crate::backup`]).
    ///
    /// # Errors
    ///
    /// A directory or a broker that does not take something, or another process that
    /// writes the backup. What is known of it is then to be read again.
    async fn bring_up_to_date(&mut self) -> anyhow::Result<()> {
        self.check_lease()?;
        let Sources { ledger, rights, .. } = self.sources.clone();
        let mut is_inspected = false;
        for _ in 0..TRIES {
            let snapshot = Snapshot::take(&ledger, &rights, &self.parts.extent).await?;
            let id = snapshot.manifest.ledger();
            if !is_inspected {
                self.inspect(id).await?;
                is_inspected = true;
            }
            let mut known = match self.known.take() {
                Some(known) => known,
                None => self.read(id).await?,
            };
            self.make_room(&known).await?;
            let (sources, parts) = (&self.sources, &mut known.parts);
            let copied = sources.copy(&snapshot, parts, &self.directory).await;
            let files = known.parts.iter().map(|part| &part.file);
            let new = files.filter(|file| !known.listed.contains(*file));
            self.written.extend(new.cloned());
            if !matches!(copied, Ok(true)) {
                // What was copied need not be copied again.
                self.known = Some(known);
                copied?;
                continue;
            }
            self.known = Some(self.list(known, id).await?);
            return Ok(());
        }
        bail!("the files of the ledger change all the time")
    }

    /// Makes the parts those that count: steps 2 to 5.
    ///
    /// # Errors
    ///
    /// As [`Writer::bring_up_to_date`].
    async fn list(&mut self, mut known: Known, ledger: [u8; 16]) -> anyhow::Result<Known> {
        let (client, config) = (&self.parts.client, &self.parts.config);
        let key = FileKey::draw();
        let number = known.number;
        let content = index::seal(&known.parts, &ledger, number, &key)?;
        let files: BTreeSet<String> = known.parts.iter().map(|part| part.file.clone()).collect();
        let (expected, foreign) = (files.clone(), known.foreign.clone());
        // Before the key: what another process writes afterwards is not among them.
        let names = self.directory.step(move |directory| {
            known::check(directory, &ledger, &expected, &foreign)?;
            directory.write_index(number, &content)?;
            // It may have been replaced by another one at any time.
            let checked = known::check(directory, &ledger, &expected, &foreign);
            checked.inspect_err(|_| directory.give_up(&index_name(number)))
        });
        let mut names = names.await?;
        self.written.insert(index_name(number));
        names.retain(|name| *name != index_name(number) && !files.contains(name));
        self.check_lease()?;
        let last = keys::publish(client, config, &key, known.last).await?;
        keys::destroy(client, config, &known.keys).await?;
        keys::check_alone(client, config, last).await?;
        let remove = move |directory: &Directory| Ok(directory.remove(&names)?);
        let removed = self.directory.step(remove).await;
        if let Err(error) = removed {
            // Nobody can read them, and the next renewal removes them.
            let error = format!("{error:#}");
            tracing::warn!(error, "cannot remove replaced files of the backup");
        }
        self.written.clear();
        let parts = std::mem::take(&mut known.parts);
        known.list(parts, number);
        Ok(Known {
            number: number.checked_add(1).context("no number is left")?,
            last,
            keys: vec![last],
            foreign: Vec::new(),
            unreadable: Vec::new(),
            ..known
        })
    }
}
