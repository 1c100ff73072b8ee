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
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::{mpsc, watch};
use tributary_config::model::Config;
use tributary_connectors::nats::{Client, Fence};
use tributary_ledger::{Extent, FileKey};

use super::copying::Sources;
use super::directory::{Directory, index_name};
use super::index::{self, Part};
use super::keys;
use crate::broker::retry::wait_until;
use crate::durability::backups::{Backup, Waiting};
use crate::durability::location::ledger_options;
use crate::durability::snapshot::Snapshot;
use crate::privacy::rights::files;
use crate::report::telemetry::Telemetry;

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
}

/// What a backup consists of.
#[derive(Debug)]
struct Known {
    /// The number of the next index.
    number: u64,
    /// The sequence number of the last key at the broker; 0 for none.
    last: u64,
    /// Those of all keys there.
    keys: Vec<u64>,
    /// The parts.
    parts: Vec<Part>,
}

/// The directory holds the backup of another ledger.
#[derive(Debug, thiserror::Error)]
#[error(
    "{directory} holds the backup of another ledger: restore it, or move it away if it is no longer needed; \
     each deployment needs a directory of its own"
)]
struct OfAnother {
    directory: String,
    /// Whether a key at the broker opens it: then the keys there are those of that
    /// backup, and not of one of this ledger. Anybody who may write to the directory
    /// can put an index there that names another ledger.
    is_restorable: bool,
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
        loop {
            let mut waiting = Vec::new();
            let is_last = tokio::select! {
                biased;
                () = wait_until(stop.clone()) => true,
                _ = requests.recv_many(&mut waiting, usize::MAX) => false,
                () = tokio::time::sleep(pause) => false,
            };
            let begun = Instant::now();
            let left = self.renew(!waiting.is_empty()).await;
            for done in waiting {
                // Whoever waits may have ended.
                let _ = done.send(left);
            }
            if is_last {
                return;
            }
            let is_renewed = self.parts.backup.age() <= begun.elapsed();
            pause = if is_renewed { every } else { every.min(RETRY) };
        }
    }

    /// Brings the backup up to date, or destroys its key if that fails and somebody
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
            let another = error.downcast_ref::<OfAnother>();
            if another.is_some_and(|another| another.is_restorable) {
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
        for _ in 0..TRIES {
            let snapshot = Snapshot::take(&ledger, &rights, &self.parts.extent).await?;
            let id = snapshot.manifest.ledger();
            let mut known = match self.known.take() {
                Some(known) => known,
                None => self.read(id).await?,
            };
            let (sources, parts) = (&self.sources, &mut known.parts);
            let copied = sources.copy(&snapshot, parts, &self.directory).await;
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
    async fn list(&self, known: Known, ledger: [u8; 16]) -> anyhow::Result<Known> {
        let (client, config) = (&self.parts.client, &self.parts.config);
        let key = FileKey::draw();
        let number = known.number;
        let content = index::seal(&known.parts, &ledger, number, &key)?;
        // Before the key: what another process writes afterwards is not among them.
        let names = self.directory.step(move |directory| {
            directory.write_index(number, &content)?;
            directory.names()
        });
        let mut names = names.await?;
        let is_there = |part: &Part| names.binary_search(&part.file).is_ok();
        if let Some(lost) = known.parts.iter().find(|part| !is_there(part)) {
            bail!("{} is no longer in the directory of the backup", lost.file);
        }
        let parts = known.parts.iter();
        let listed: BTreeSet<&str> = parts.map(|part| part.file.as_str()).collect();
        names.retain(|name| *name != index_name(number) && !listed.contains(name.as_str()));
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
        Ok(Known {
            number: number.checked_add(1).context("no number is left")?,
            last,
            keys: vec![last],
            parts: known.parts,
        })
    }

    /// Reads what the backup of a ledger consists of; it may be nothing that opens.
    ///
    /// # Errors
    ///
    /// The backup of another ledger, a directory that cannot be read, or a broker that does
    /// not answer.
    async fn read(&self, ledger: [u8; 16]) -> anyhow::Result<Known> {
        let keys = keys::read(&self.parts.client, &self.parts.config).await?;
        let indexes = self.directory.step(|directory| {
            directory.create()?;
            if directory.is_open_to_others() {
                let directory = directory.path().display().to_string();
                tracing::warn!(directory, "others may enter the directory of the backup");
            }
            directory.indexes()
        });
        let indexes = indexes.await?;
        let is_of_another = |file: &[u8]| index::ledger_of(file).is_some_and(|id| id != ledger);
        let others = indexes.iter().filter(|(_, file)| is_of_another(file));
        let others: Vec<_> = others.collect();
        if !others.is_empty() {
            let mut is_restorable = false;
            for (number, file) in others {
                for key in keys.iter().filter_map(|stored| stored.key.as_ref()) {
                    is_restorable |= index::open(file, *number, key)?.is_some();
                }
            }
            bail!(OfAnother {
                directory: self.directory.path().display().to_string(),
                is_restorable,
            });
        }
        let mut known = Known {
            number: 1,
            last: keys.last().map_or(0, |key| key.sequence),
            keys: keys.iter().map(|key| key.sequence).collect(),
            parts: Vec::new(),
        };
        for (number, file) in &indexes {
            for key in keys.iter().filter_map(|stored| stored.key.as_ref()) {
                if let Some(parts) = index::open(file, *number, key)? {
                    known.parts = parts;
                    known.number = free_after(*number, &indexes)?;
                    return Ok(known);
                }
            }
        }
        known.number = free_after(0, &indexes)?;
        Ok(known)
    }
}

/// The lowest number behind `after` that no index has. One that no key opens counts for
/// nothing else: whoever may write to the directory could put the highest number there.
///
/// # Errors
///
/// None in practice: the numbers do not end before the indexes do.
fn free_after(after: u64, indexes: &[(u64, Vec<u8>)]) -> anyhow::Result<u64> {
    let taken: BTreeSet<u64> = indexes.iter().map(|(number, _)| *number).collect();
    let mut numbers = (after..=u64::MAX).skip(1);
    numbers
        .find(|number| !taken.contains(number))
        .context("no number is left for an index")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn an_index_that_nobody_opens_takes_no_number_but_its_own() {
        let indexes = |numbers: &[u64]| -> Vec<_> {
            numbers.iter().map(|number| (*number, Vec::new())).collect()
        };
        for (after, taken, expected) in [
            (0, &[][..], 1),
            (3, &[3], 4),
            // A kill has left the next one, or somebody has put one there.
            (3, &[4, 3], 5),
            (3, &[u64::MAX, 3], 4),
        ] {
            assert_eq!(free_after(after, &indexes(taken)).unwrap(), expected);
        }
        assert!(free_after(u64::MAX, &indexes(&[])).is_err());
    }
}
