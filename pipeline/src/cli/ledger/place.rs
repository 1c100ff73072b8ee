//! The place of a process: its ledger, and the files of rights requests beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use tributary_config::model::{Brand, Config};
use tributary_connectors::nats::{self, Client};
use tributary_ledger::{Keyring, Ledger, Options, Position, inspect};
use tributary_rights::suppression::{self, SuppressionFile};
use tributary_rights::tombstones::Tombstones;
use tributary_rights::{BrandKeys, Head, LedgerWatermark};

use crate::privacy::erased::TOMBSTONES;
use crate::privacy::objections::LIST;
use crate::privacy::rights::published_heads::mark;
use crate::privacy::rights::{files, losses};

/// The place of a process.
pub(super) struct Place {
    /// The directory of its ledger, `process-<name>`.
    pub(super) ledger: PathBuf,
    /// The configuration with which the process there runs, with all brands of the
    /// file.
    pub(super) config: Config,
}

impl Place {
    /// The place of the ledger of a directory.
    ///
    /// # Errors
    ///
    /// A directory whose name is not that of a process's ledger.
    pub(super) fn of(config: &Config, ledger: &Path) -> anyhow::Result<Place> {
        let ledger = std::path::absolute(ledger)?;
        let name = ledger.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_prefix("process-").unwrap_or_default();
        let (shard, process) = match name.rsplit_once('-') {
            Some((shard, process)) => (Some(shard.to_owned()), process),
            None => (None, name),
        };
        let Ok(process) = process.parse() else {
            bail!(
                "{} is not the ledger of a process: its name is process-0, or process-<shard>-0",
                ledger.display()
            );
        };
        let mut config = config.clone();
        config.ledger.directory = ledger.parent().unwrap_or(Path::new("/")).to_owned();
        config.workers.shard = shard;
        config.workers.process = process;
        config.workers.hosts = Vec::new();
        Ok(Place { ledger, config })
    }

    /// The directory of the files of rights requests.
    pub(super) fn rights(&self) -> PathBuf {
        files::directory(&self.config)
    }

    /// The audit log of a brand.
    pub(super) fn log(&self, brand: &Brand) -> PathBuf {
        self.rights().join(files::log(&brand.name))
    }

    /// Opens the ledger as that of the process it belongs to, or begins one of `begun`.
    ///
    /// # Errors
    ///
    /// A ledger that a worker has open, or that cannot be read.
    pub(super) fn open(&self, begun: (usize, usize)) -> anyhow::Result<Ledger> {
        let (process, processes) = match Ledger::is_begun_in(&self.ledger) {
            true => {
                let found = inspect(&self.ledger, None)?;
                (found.process, found.processes)
            }
            false => begun,
        };
        let options = Options {
            process,
            processes,
            ..Options::new(&self.ledger)
        };
        let keyring = Arc::new(Keyring::new(&self.config));
        let (ledger, _) =
            Ledger::open(options, keyring).with_context(|| self.ledger.display().to_string())?;
        Ok(ledger)
    }

    /// Refuses a disk without room for as much as some ledgers hold, before anything is
    /// begun that has to be finished.
    ///
    /// # Errors
    ///
    /// How much is missing, or a ledger or disk that does not say.
    pub(super) fn refuse_little_room<'a>(
        &self,
        sources: impl Iterator<Item = &'a Place>,
    ) -> anyhow::Result<()> {
        let mut needed = 0;
        for source in sources {
            needed += inspect(&source.ledger, None)?.bytes;
        }
        let disk = self.ledger.ancestors().find(|path| path.exists());
        let disk = rustix::fs::statvfs(disk.unwrap_or(&self.ledger))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < needed {
            bail!(
                "the disk of {} has {free} bytes free, and {needed} are copied to it: make room for {} more; nothing was changed",
                self.ledger.display(),
                needed - free
            );
        }
        Ok(())
    }

    /// Refuses files that do not fit together, as the start of the worker there would: what is
    /// lost here would be lost for good with the move.
    ///
    /// # Errors
    ///
    /// The losses, or a broker that does not answer.
    pub(super) async fn refuse_losses(
        &self,
        client: &Client,
        ledger: &Ledger,
    ) -> anyhow::Result<()> {
        let mut config = self.config.clone();
        let is_here = |brand: &Brand| ledger.has_brand(&brand.name) || self.log(brand).exists();
        config.brands.retain(is_here);
        let found = losses::find(client, &config, Some(ledger), "").await?;
        if !found.losses.is_empty() {
            bail!("{}", found.refusal(&config));
        }
        Ok(())
    }

    /// Enters the objections that another process has of some brands, in the list that belongs
    /// to the ledger with this ID. Returns their number.
    ///
    /// # Errors
    ///
    /// A list that cannot be read or written.
    pub(super) fn take_objections(
        &self,
        from: &Place,
        brands: &[&Brand],
        ledger: [u8; 16],
    ) -> anyhow::Result<usize> {
        let keys = all_keys(&self.config);
        let Some(source) = suppression::read(&from.rights().join(LIST), &keys)? else {
            return Ok(0);
        };
        let mut list = SuppressionFile::open(&self.rights().join(LIST), &keys, ledger)?;
        let mut entered = 0;
        for brand in brands {
            let keys = files::keys(brand);
            let fresh = source.set().newer_than(&list.set, &keys);
            list.file.append(&keys, &fresh)?;
            entered += fresh.len();
        }
        Ok(entered)
    }

    /// Adds the tombstones that another process has of some brands.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written.
    pub(super) fn take_tombstones(&self, from: &Place, brands: &[&Brand]) -> anyhow::Result<()> {
        let keys = all_keys(&self.config);
        let source = Tombstones::open(&from.rights().join(TOMBSTONES), &keys)?;
        let mut tombstones = Tombstones::open(&self.rights().join(TOMBSTONES), &keys)?;
        for brand in brands {
            tombstones.add_all(&files::keys(brand), &source);
        }
        if tombstones.is_empty() {
            return Ok(());
        }
        Ok(tombstones.save()?)
    }

    /// Removes the tombstones of a brand.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written.
    pub(super) fn remove_tombstones(&self, brand: &Brand) -> anyhow::Result<()> {
        let path = self.rights().join(TOMBSTONES);
        if !path.exists() {
            return Ok(());
        }
        let mut tombstones = Tombstones::open(&path, &all_keys(&self.config))?;
        tombstones.remove_brand(&files::keys(brand));
        Ok(tombstones.save()?)
    }

    /// Records in the objection list, if there is one, how far the ledger is. Returns the
    /// ledger's watermark and the head of the list.
    ///
    /// # Errors
    ///
    /// A list that cannot be read or written.
    pub(super) fn record_watermark(
        &self,
        ledger: &Ledger,
    ) -> anyhow::Result<(LedgerWatermark, Head)> {
        let mark = mark(ledger.watermark());
        let keys = all_keys(&self.config);
        let list = SuppressionFile::open(&self.rights().join(LIST), &keys, mark.id())?;
        let mut file = list.file;
        file.record_watermark(&mark)?;
        Ok((mark, file.head()))
    }
}

/// The keys of all brands.
fn all_keys(config: &Config) -> Vec<BrandKeys> {
    config.brands.iter().map(files::keys).collect()
}

/// A connection to the broker; `why` says what cannot be done without.
///
/// # Errors
///
/// A broker that does not answer.
pub(super) async fn broker(config: &Config, why: &'static str) -> anyhow::Result<Client> {
    let client = nats::connect(&config.nats, "tributary ledger").await;
    client.context(why)
}

/// Why the broker is needed before ledgers are changed.
pub(super) const MISSED: &str =
    "cannot ask the broker whether anything is lost before the ledgers are changed";

/// The position up to which all of some ledgers were read.
///
/// # Errors
///
/// Ledgers that were read from different streams, or that have read nothing.
pub(super) fn common_position<'a>(
    ledgers: impl IntoIterator<Item = (&'a Path, Option<Position>)>,
) -> anyhow::Result<Position> {
    let mut common: Option<Position> = None;
    for (path, position) in ledgers {
        let Some(position) = position else {
            bail!(
                "{} has not read anything yet: start its worker once",
                path.display()
            );
        };
        let Some(before) = common else {
            common = Some(position);
            continue;
        };
        let is_same = before.stream == position.stream
            && before.pings.map(|pings| pings.stream) == position.pings.map(|pings| pings.stream);
        if !is_same {
            bail!(
                "{} was read from other streams than the rest: start all workers once, so that they read the streams of now",
                path.display()
            );
        }
        let pings = before.pings.zip(position.pings);
        common = Some(Position {
            sequence: before.sequence.min(position.sequence),
            epoch: before.epoch.max(position.epoch),
            newest_at: before.newest_at.max(position.newest_at),
            pings: pings.map(|(one, other)| match one.sequence < other.sequence {
                true => one,
                false => other,
            }),
            ..before
        });
    }
    common.context("there is no ledger")
}
